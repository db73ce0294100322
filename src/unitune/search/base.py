"""What every strategy does: ask for configurations, tell the finished trials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unitune.records import Direction, Trial
from unitune.space import Hyperparameter


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a search is after.

    Attributes:
        metric: The objective.
        direction: Whether it is minimised or maximised.
        validation_ratio: Validation rows per training row, for paired tests over folds (see `unitune.stats`).
    """

    metric: str
    direction: Direction
    validation_ratio: float = 0.0


class Strategy(ABC):
    """Proposes configurations.

    The tuner calls `ask` and `tell` in turn: every configuration that was asked for is told, as a complete or failed
    trial, before the next `ask`, except after an interruption.
    """

    name: str
    notes: tuple[str, ...] = ()

    @abstractmethod
    def ask(self, n: int) -> list[dict[str, Any]]:
        """At most `n` configurations that were not proposed before. An empty list means that none are left."""

    def tell(self, finished: Sequence[Trial]) -> None:  # noqa: B027 - strategies that do not learn leave it empty
        """Learns from finished trials."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether nothing more will be proposed."""


def is_active(hyperparameter: Hyperparameter, values: Mapping[str, Any]) -> bool:
    """Whether the hyperparameters that it depends on have values under which it exists."""
    return all(condition.holds(values) for condition in hyperparameter.active_if)
