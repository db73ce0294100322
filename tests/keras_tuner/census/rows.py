"""The rows on which the functions are tried, and what a case of the census is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(48, 4)).astype("float32")
BINARY = (TABLE[:, 0] > 0).astype("int32")
KINDS = np.argmax(TABLE[:, :3], axis=1).astype("int64")
ONE_HOT = np.eye(3, dtype="float32")[KINDS]
NUMBERS = (TABLE[:, :1] * 2 + TABLE[:, 1:2]).astype("float32")
GRAY = RNG.normal(size=(32, 12, 12, 1)).astype("float32")
COLOR = RNG.normal(size=(12, 32, 32, 3)).astype("float32")
SERIES = RNG.normal(size=(32, 8, 3)).astype("float32")
AHEAD = SERIES[:, :4, :1].copy()
TOKENS = RNG.integers(0, 20, size=(32, 10)).astype("int32")
DIGITS = (np.arange(32) % 3).astype("int32")
OBJECTS = (np.arange(12) % 2).astype("int32")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A function with the rows it is meant for.

    Attributes:
        build: The function, or the class of a `HyperModel`.
        rows: From nothing to the positional arguments of `search`.
        fit: From nothing to the others, beside epochs and what is held out.
        tuner: The name of the tuner, or from nothing to its class.
        settings: Of the tuner.
        solo: Where it is left to `fit`, words of the reason.
    """

    build: Any
    rows: Callable[[], tuple[Any, ...]]
    fit: Callable[[], dict[str, Any]] = dict
    tuner: Any = "RandomSearch"
    settings: dict[str, Any] = field(default_factory=dict)
    solo: str = ""


CASES: dict[str, Case] = {}


def case(name: str, *rows: Any, kind: str = "neutral", **settings: Any) -> Callable[[Any], Any]:
    """Notes a function; `rows` are arrays, or one function that makes them."""

    def note(build: Any) -> Any:
        given = rows[0] if len(rows) == 1 and callable(rows[0]) else lambda: rows
        CASES[f"{kind}: {name}"] = Case(build=build, rows=given, **settings)
        return build

    return note
