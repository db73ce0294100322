"""When a hyperparameter is active."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unitune.space.domains import same


@dataclass(frozen=True)
class Parent:
    """Active only where another hyperparameter has one of these values.

    Args:
        name: The parent's full name.
        values: One value, or several in a list.

    Example:
        >>> Parent("layers", [2, 3]).is_active({"layers": 3})
        True
    """

    name: str
    values: tuple[Any, ...]

    def __init__(self, name: str, values: Any) -> None:
        # A tuple may itself be a value of the parent; a list is always several.
        several = values if isinstance(values, list | set | frozenset | range) else _listed(values)
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "values", tuple(several))

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether the parent is among the active values and has one of these."""
        return self.name in values and any(same(values[self.name], value) for value in self.values)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"name": self.name, "values": list(self.values)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Parent:
        """The inverse of `get_config`."""
        return cls(config["name"], list(config["values"]))


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, tuple) else [values]
