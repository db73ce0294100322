"""What a model is by its class: Keras's own, or one of the user's that says something else."""

from __future__ import annotations

from typing import Any

# Of the names that Python itself calls, those that change what a model does; a constructor only makes it.
_CHANGING = frozenset({"__call__", "__getattribute__", "__getattr__", "__setattr__"})


def base_of(model: Any) -> Any:
    """`keras.Sequential`, `Functional` or `keras.Model`: the class of Keras's that a model's class is made of."""
    return next(kind for kind in type(model).__mro__ if kind.__module__.split(".")[0] == "keras")


def overrides(model: Any) -> list[str]:
    """What the user's own classes of a model say anew of what Keras's has."""
    base = base_of(model)
    kinds = type(model).__mro__[: type(model).__mro__.index(base)]
    names = {name for kind in kinds for name in vars(kind) if hasattr(base, name)}
    told = [name for name in names if name in _CHANGING or not name.startswith("__")]
    return sorted(name for name in told if getattr(type(model), name) is not getattr(base, name))


def is_plain(model: Any) -> bool:
    """Whether a model is Sequential or Functional, also of a class of the user's that only has a constructor."""
    return base_of(model).__name__ in ("Sequential", "Functional") and not overrides(model)
