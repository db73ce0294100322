"""Between the domains of a space and Optuna's distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        """The configuration that a trial is given, parents before those that depend on them."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        values: dict[str, Any] = {}
        for hyperparameter in self.space:
            if not is_active(hyperparameter, values):
                continue
            name = hyperparameter.name
            if name not in self.codes:
                values[name] = hyperparameter.domain.values()[0]
                continue
            code = self.codes[name]
            given = code.distribution
            if isinstance(given, CategoricalDistribution):
                number: Any = trial.suggest_categorical(name, given.choices)
            elif isinstance(given, FloatDistribution):
                number = trial.suggest_float(name, given.low, given.high, log=given.log)
            else:
                number = trial.suggest_int(name, given.low, given.high, log=given.log)  # type: ignore[attr-defined]
            values[name] = code.decode(number)
        return values
