"""What a search is after: a metric and its direction, or several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unitune.errors import OptionError
from unitune.keras_tuner.engine.metrics_tracking import infer_metric_direction

DEFAULT_NAME = "default_objective"


@dataclass(frozen=True)
class Objective:
    """A metric, and whether less of it is better.

    Args:
        name: As it is logged: `"val_accuracy"`.
        direction: `"min"` or `"max"`.

    Example:
        >>> Objective("val_f1", "max").better_than(0.9, 0.8)
        True
    """

    name: str
    direction: str

    def has_value(self, logs: Mapping[str, Any] | None) -> bool:
        """Whether the logs have it.

        Args:
            logs: From the names of metrics to values.
        """
        return self.name in (logs or {})

    def get_value(self, logs: Mapping[str, Any]) -> float:
        """Its value in the logs.

        Args:
            logs: From the names of metrics to values.
        """
        return float(logs[self.name])

    def better_than(self, a: float, b: float) -> bool:
        """Whether `a` is better than `b`; equal is not better.

        Args:
            a, b: Two values of the metric.
        """
        return a > b if self.direction == "max" else a < b

    @property
    def name_to_direction(self) -> dict[str, str]:
        """From each metric's name to its direction."""
        return {self.name: self.direction}

    def __str__(self) -> str:
        return f'Objective(name="{self.name}", direction="{self.direction}")'


class DefaultObjective(Objective):
    """The one number that `run_trial` or `HyperModel.fit` returns, to be minimised."""

    def __init__(self) -> None:
        super().__init__(name=DEFAULT_NAME, direction="min")


class MultiObjective(Objective):
    """The sum of metrics to minimise less the sum of those to maximise.

    Args:
        objectives: The metrics.
    """

    objectives: list[Objective]

    def __init__(self, objectives: Sequence[Objective]) -> None:
        super().__init__(name="multi_objective", direction="min")
        object.__setattr__(self, "objectives", list(objectives))

    @property
    def name_to_direction(self) -> dict[str, str]:
        """From each metric's name to its direction."""
        return {one.name: one.direction for one in self.objectives}

    def has_value(self, logs: Mapping[str, Any] | None) -> bool:
        """Whether the logs have all of them."""
        return all(one.has_value(logs) for one in self.objectives)

    def get_value(self, logs: Mapping[str, Any]) -> float:
        """The sum, each metric with the sign of its direction."""
        return sum(one.get_value(logs) * (-1.0 if one.direction == "max" else 1.0) for one in self.objectives)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MultiObjective):
            return False
        return _as_set(self.objectives) == _as_set(other.objectives)

    def __hash__(self) -> int:
        return hash(_as_set(self.objectives))

    def __str__(self) -> str:
        inside = ", ".join(str(one) for one in self.objectives)
        return f'MultiObjective(name="{self.name}", direction="{self.direction}"): [{inside}]'


def _as_set(objectives: Sequence[Objective]) -> frozenset[tuple[str, str]]:
    return frozenset((one.name, one.direction) for one in objectives)


def create_objective(objective: Any) -> Objective:
    """An objective from a name, an `Objective`, a list of these, or None for the number that a trial returns.

    Raises:
        OptionError: It is a name whose direction is unknown.
        TypeError: It is something else.
    """
    if objective is None:
        return DefaultObjective()
    if isinstance(objective, Objective):
        return objective
    if type(objective).__module__.split(".")[0] == "keras_tuner":  # one of KerasTuner's own
        if hasattr(objective, "objectives"):
            return MultiObjective([create_objective(one) for one in objective.objectives])
        return Objective(name=objective.name, direction=objective.direction)
    if isinstance(objective, str):
        return Objective(name=objective, direction=_direction(objective))
    if isinstance(objective, list | tuple):
        return MultiObjective([create_objective(one) for one in objective])
    raise TypeError(f"The objective {objective!r} was not understood, expected str, `Objective`, or a list of them.")


def _direction(name: str) -> str:
    direction = infer_metric_direction(name)
    if direction is None:
        raise OptionError(
            f"Could not infer optimization direction for the objective `{name}`: it is no metric of Keras",
            "",
            f'Say it: `Objective("{name}", direction="min")` or `"max"`.',
        )
    return direction
