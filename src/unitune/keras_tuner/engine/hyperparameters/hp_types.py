"""The kinds of hyperparameter, by KerasTuner's import path, and their configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unitune.errors import SpaceError, suggest
from unitune.space.hyperparameters import Boolean, Choice, Fixed, Float, HyperParameter, HyperParameters, Int

__all__ = ["Boolean", "Choice", "Fixed", "Float", "HyperParameter", "Int", "deserialize", "serialize"]

_CLASSES = {kind.__name__: kind for kind in (Boolean, Choice, Fixed, Float, HyperParameter, HyperParameters, Int)}


def serialize(obj: Any) -> dict[str, Any]:
    """A hyperparameter, or all of them, as its class's name and its configuration."""
    return {"class_name": type(obj).__name__, "config": obj.get_config()}


def deserialize(config: Mapping[str, Any]) -> Any:
    """The inverse of `serialize`.

    Raises:
        SpaceError: There is no such class.
    """
    name = config["class_name"]
    if name not in _CLASSES:
        raise SpaceError("the class must be a hyperparameter", f"got `{name}`", suggest(name, _CLASSES))
    return _CLASSES[name].from_config(config["config"])
