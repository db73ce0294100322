"""Readable names of values: what a table shows, and what JSON can hold."""

from __future__ import annotations

import inspect
from typing import Any

Label = str | float | int | bool | None


def label(value: Any) -> Label:
    """A name of a value that JSON can hold and a reader understands.

    Numbers, strings, booleans and None are their own labels; a layer or another Keras object is its class with the
    arguments that differ from the defaults; a function is its name; a tuple is `"(16, 8)"`.

    Example:
        >>> label(16), label((16, 8)), label(abs)
        (16, '(16, 8)', 'abs')
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_text(item) for item in value) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, dict):
        if "class_name" in value:
            return _with_arguments(str(value["class_name"]), dict(value.get("config", {})))
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, type):
        return value.__name__
    if hasattr(value, "get_config"):
        return _with_arguments(type(value).__name__, changed_arguments(value))
    if hasattr(value, "func") and hasattr(value, "keywords"):  # functools.partial
        return _with_arguments(str(label(value.func)), dict(value.keywords))
    name = getattr(value, "__name__", None)
    if isinstance(name, str):
        return "lambda" if name == "<lambda>" else name
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return label(value.item())
    return repr(value)


def changed_arguments(value: Any) -> dict[str, Any]:
    """The constructor's arguments of an object with `get_config` that differ from their defaults.

    A name is left out: it tells nothing about what the object does.
    """
    try:
        parameters = inspect.signature(type(value).__init__).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]
    config = value.get_config()
    changed = {}
    for name, parameter in parameters.items():
        if name in ("self", "name", "seed") or name not in config:
            continue
        given, default = config[name], parameter.default
        if isinstance(given, dict) and "class_name" in given:
            # Keras writes an initializer's default as a name ("zeros", "Zeros") and its configuration as a mapping.
            same = isinstance(default, str) and default.replace("_", "").lower() == given["class_name"].lower()
            if same and not any(item is not None for item in given.get("config", {}).values()):
                continue
        if given != default:
            changed[name] = given
    return changed


def _text(value: Any) -> str:
    shown = label(value)
    return f"{shown:g}" if isinstance(shown, float) else str(shown)


def _with_arguments(name: str, arguments: dict[str, Any]) -> str:
    shown = ", ".join(f"{key}={_text(item)}" for key, item in arguments.items() if item is not None)
    return f"{name}({shown})" if shown else name
