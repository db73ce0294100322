"""Between the domains of a space and Optuna's distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.records import Array
from unitune.search.base import is_active
from unitune.space import Choice, Int, Space
from unitune.space.domains import Domain, same

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True, kw_only=True, eq=False)
class Code:
    """How one hyperparameter is written for Optuna.

    Attributes:
        distribution: Optuna's.
        values: What the numbers 0, 1, ... stand for; None where the number is the value.
    """

    distribution: BaseDistribution
    values: tuple[Any, ...] | None

    @property
    def nominal(self) -> bool:
        """Whether its values have no order."""
        from optuna.distributions import CategoricalDistribution

        return isinstance(self.distribution, CategoricalDistribution)

    def encode(self, value: Any) -> Any:
        """A value as Optuna has it."""
        if self.values is None:
            return value
        return next(number for number, other in enumerate(self.values) if same(other, value))

    def decode(self, number: Any) -> Any:
        """Optuna's number as a value."""
        if self.values is not None:
            return self.values[int(number)]
        # 12 digits, as `Float.from_unit` gives.
        return float(f"{number:.12g}") if isinstance(number, float) else int(number)

    def suggest(self, trial: Trial, name: str) -> Any:
        """The number that a trial of Optuna's is given."""
        given: Any = self.distribution
        if self.nominal:
            return trial.suggest_categorical(name, given.choices)
        if self._whole:
            return trial.suggest_int(name, given.low, given.high, log=given.log)
        return trial.suggest_float(name, given.low, given.high, log=given.log)

    @property
    def _whole(self) -> bool:
        from optuna.distributions import FloatDistribution

        return not isinstance(self.distribution, FloatDistribution)

    @property
    def width(self) -> int:
        """How many axes of a unit cube it takes: one, or one for each of more than two names."""
        return len(self.values) if self.nominal and self.values is not None and len(self.values) > 2 else 1

    def _ends(self) -> tuple[float, float, bool]:
        given: Any = self.distribution
        low, high, log = (0, len(given.choices) - 1, False) if self.nominal else (given.low, given.high, given.log)
        margin = 0.5 if self._whole else 0.0  # which gives the ends their share once rounded
        low, high = low - margin, high + margin
        return (math.log(low), math.log(high), True) if log else (low, high, False)

    def units(self, value: Any) -> list[float]:
        """A value as a point of its axes."""
        number = self.encode(value)
        if self.width > 1:
            return [float(number == place) for place in range(self.width)]
        low, high, log = self._ends()
        return [((math.log(number) if log else number) - low) / (high - low)]

    def number_at(self, point: Array) -> Any:
        """The number nearest to a point of its axes."""
        if self.width > 1:
            return int(np.argmax(point))
        low, high, log = self._ends()
        exact = low + float(point[0]) * (high - low)
        given: Any = self.distribution
        first, last = (0, len(given.choices) - 1) if self.nominal else (given.low, given.high)
        exact = min(max(math.exp(exact) if log else exact, first), last)
        return round(exact) if self._whole else exact


def code_of(domain: Domain) -> Code:
    """How a domain with more than one value is written.

    Names, layers and whatever else has no order are categories. Lists of numbers and ranges with a step are the places
    of their values in ascending order, equally far apart: whoever writes `[16, 64, 256]` has chosen the scale.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Choice) and not domain.ordered:
        # Numbers again, because a layer or a function is no choice that Optuna takes.
        return Code(distribution=CategoricalDistribution(tuple(range(domain.size))), values=domain.options)
    if domain.size == math.inf:
        low, high, log = domain.low, domain.high, domain.log  # type: ignore[union-attr]
        return Code(distribution=FloatDistribution(low, high, log=log), values=None)
    if isinstance(domain, Int) and domain.step is None:
        return Code(distribution=IntDistribution(domain.low, domain.high, log=domain.log), values=None)
    values = tuple(domain.values())
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values = tuple(sorted(values))
    return Code(distribution=IntDistribution(0, len(values) - 1), values=values)


class Codec:
    """Between a space's configurations and Optuna's parameters. What cannot vary or is inactive is not modelled."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.codes = {name: code_of(space[name].domain) for name in space.varying}

    def encode(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration's parameters."""
        return {name: code.encode(configuration[name]) for name, code in self.codes.items() if name in configuration}

    def distributions(self, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
        """Their distributions."""
        return {name: self.codes[name].distribution for name in params}

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """The configuration that a trial is given."""
        return self.configuration(lambda name, code: code.suggest(trial, name))

    def configuration(self, number: Callable[[str, Code], Any]) -> dict[str, Any]:
        """The configuration of these numbers, parents before those that depend on them."""
        values: dict[str, Any] = {}
        for hyperparameter in self.space:
            name = hyperparameter.name
            if not is_active(hyperparameter, values):
                continue
            code = self.codes.get(name)
            values[name] = hyperparameter.domain.values()[0] if code is None else code.decode(number(name, code))
        return values
