"""Saving what a search knows, as JSON: also values that JSON has no form of."""

from __future__ import annotations

import contextlib
import importlib
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unitune.space.labels import label


class Stateful(ABC):
    """Has a state that can be saved and loaded."""

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """The state as plain data."""

    @abstractmethod
    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a state of `get_state`.

        Args:
            state: What `get_state` gave.
        """

    def save(self, fname: str | Path) -> None:
        """Writes the state to a file.

        Args:
            fname: The file.
        """
        write_json(fname, self.get_state())

    def reload(self, fname: str | Path) -> None:
        """Reads the state from a file.

        Args:
            fname: The file.
        """
        self.set_state(read_json(fname))


def write_json(fname: str | Path, data: Any) -> None:
    """Writes plain data, at once: a reader sees the old file or the new one."""
    with at_once(fname) as draft:
        draft.write_text(json.dumps(_encode(data)), encoding="utf-8")


@contextlib.contextmanager
def at_once(fname: str | Path) -> Iterator[Path]:
    """A path to write to, of which nobody else knows: it takes the place of the file when all is written."""
    path = Path(fname)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_json(fname: str | Path) -> Any:
    """What `write_json` wrote."""
    return _decode(json.loads(Path(fname).read_text(encoding="utf-8")))


def _encode(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, list | set | frozenset):
        return [_encode(item) for item in value]
    if isinstance(value, tuple):
        return {"__tuple__": [_encode(item) for item in value]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if callable(value) and hasattr(value, "__qualname__"):
        return {"__function__": [value.__module__, value.__qualname__]}
    return {"__object__": str(label(value))}


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "__tuple__" in value:
        return tuple(_decode(item) for item in value["__tuple__"])
    if "__function__" in value:
        return _function(*value["__function__"])
    if "__object__" in value:
        return value["__object__"]
    return {key: _decode(item) for key, item in value.items()}


def _function(module: str, name: str) -> Any:
    """The function of that name; its name where it cannot be found again (a lambda, say)."""
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return name
    return found
