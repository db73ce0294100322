"""What every kind of hyperparameter has: a name, a default, conditions, and a way to the unit interval and back."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unitune.space import domains
from unitune.space.hyperparameters.conditions import Parent


class HyperParameter:
    """A name, a default, and the conditions under which it is active.

    Args:
        name: Its full name.
        default: The value until another is proposed.
        conditions: All must hold.

    Example:
        >>> from unitune import HyperParameters
        >>> hp = HyperParameters()
        >>> hp.Int("units", 8, 64, step=8)
        8
        >>> hp.space[0].name, hp.space[0].default, list(hp.space[0].values)[:3]
        ('units', 8, [8, 16, 24])
    """

    def __init__(self, name: str, default: Any = None, conditions: Iterable[Any] | None = None) -> None:
        self.name = name
        self._default = default
        self.conditions = [c if isinstance(c, Parent) else _condition(c) for c in conditions or ()]

    @property
    def default(self) -> Any:
        """The value until another is proposed."""
        return self._default

    @property
    def values(self) -> Sequence[Any]:
        """The values that a grid visits."""
        raise NotImplementedError

    def prob_to_value(self, prob: float) -> Any:
        """The value at a point of the unit interval.

        Args:
            prob: From 0 to 1.
        """
        raise NotImplementedError

    def value_to_prob(self, value: Any) -> float:
        """A point of the unit interval that stands for the value.

        Args:
            value: One that it can take.
        """
        raise NotImplementedError

    @property
    def domain(self) -> domains.Domain:
        """Its values as a domain of a `Space`."""
        return domains.Choice(self.values)

    def random_sample(self, seed: int | None = None) -> Any:
        """A value drawn at random, the same for the same seed.

        Args:
            seed: 0 or more; at random if not given.
        """
        # Not for secrets; Python's generator costs microseconds to seed where NumPy's takes far longer.
        return self.prob_to_value(random.Random(seed).random())

    def contains(self, value: Any) -> bool:
        """Whether it can take the value.

        Args:
            value: Anything.
        """
        return self.domain.contains(value)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "name": self.name,
            "default": self.default,
            "conditions": [{"class_name": "Parent", "config": c.get_config()} for c in self.conditions],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HyperParameter:
        """The inverse of `get_config`.

        Args:
            config: What `get_config` gave.
        """
        return cls(**config)

    def __repr__(self) -> str:
        own = {key: value for key, value in self.get_config().items() if key != "conditions"}
        inside = ", ".join(f"{key}: {value!r}" for key, value in own.items())
        return f"{type(self).__name__}({inside})"


def _condition(config: Mapping[str, Any]) -> Parent:
    return Parent.from_config(config.get("config", config))
