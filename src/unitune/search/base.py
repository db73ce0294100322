"""What every strategy does: ask for configurations, tell the finished trials."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from unitune.records import Configuration, Direction, Trial
from unitune.space import Hyperparameter

COSTS = ("parameters", "seconds")
"""What can be an objective beside the metrics; less is better."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What changing one hyperparameter did to the scores.

    Attributes:
        step: The round of the search, counted from 1.
        hyperparameter, before, after: What was changed; `before` and `after` are labels.
        trial, baseline: Numbers of the changed and of the unchanged trial.
        validation, train: Mean score after minus mean score before, in the objective's own units.
        p: One-sided p value of the improvement in the validation score, paired over folds and repeats; NaN where
            there is a single fold.
        improved: Whether the improvement is beyond noise.
        kept: Whether the search went on from it.
    """

    step: int
    hyperparameter: str
    before: Any
    after: Any
    trial: int
    baseline: int
    validation: float
    train: float
    p: float
    improved: bool
    kept: bool


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a search is after.

    Attributes:
        metric: The objective.
        direction: Whether it is minimised or maximised.
        validation_ratio: Validation rows per training row, for paired tests over folds (see `unitune.stats`).
        more: Further objectives with their directions: metrics, `"parameters"`, `"seconds"`.

    Example:
        >>> Goal(metric="auc", direction="maximize", more=(("parameters", "minimize"),)).objectives
        (('auc', 'maximize'), ('parameters', 'minimize'))
    """

    metric: str
    direction: Direction
    validation_ratio: float = 0.0
    more: tuple[tuple[str, Direction], ...] = ()

    @property
    def objectives(self) -> tuple[tuple[str, Direction], ...]:
        """All objectives with their directions, the first one first."""
        return ((self.metric, self.direction), *self.more)

    def values(self, trial: Trial) -> tuple[float, ...] | None:
        """A trial's value in each objective; None where it failed, was stopped, or a value is no finite number.

        Args:
            trial: One with scores.
        """
        if trial.state != "complete":
            return None
        values = tuple(objective_value(trial, name) for name, _ in self.objectives)
        return values if all(map(math.isfinite, values)) else None


def objective_value(trial: Trial, name: str) -> float:
    """A complete trial's mean score in a metric, or its cost; NaN where it has none."""
    if name == "parameters":
        return float(trial.n_parameters)
    if name == "seconds":
        return float(trial.elapsed_s)
    return trial.scores[name].mean if name in trial.scores else math.nan


class Strategy(ABC):
    """Proposes configurations.

    The tuner calls `ask` and `tell`: every configuration that was asked for is told, as a complete, failed or stopped
    trial, except after an interruption. Trials that were never asked for may be told too: they were given by the user,
    or are those of an earlier run.

    Attributes:
        name: What it is called.
        notes: Sentences for the user.
        learns: Whether what it is told changes what it proposes. Such a strategy is asked in several batches.
        asks_ahead: Whether it may be asked for more while trials are in training that were not told yet.
        any_batch: Whether what it proposes does not depend on how many configurations are asked for at once.

    Example:
        >>> from unitune.space import Choice, Hyperparameter, Space
        >>> class Doubling(Strategy):
        ...     name = "doubling"
        ...     def __init__(self, space):
        ...         self._left = [{"units": 2**power} for power in range(4, 7)]
        ...     def ask(self, n, running=()):
        ...         asked, self._left = self._left[:n], self._left[n:]
        ...         return asked
        ...     @property
        ...     def done(self):
        ...         return not self._left
        >>> strategy = Doubling(Space([Hyperparameter("units", Choice((16, 32, 64)))]))
        >>> strategy.ask(2), strategy.done
        ([{'units': 16}, {'units': 32}], False)
    """

    name: ClassVar[str]
    notes: tuple[str, ...] = ()
    learns: ClassVar[bool] = False
    asks_ahead: ClassVar[bool] = False
    any_batch: ClassVar[bool] = True

    @property
    def referee(self) -> Strategy:
        """What decides which trials are trained to their end, if the strategy does: itself, or one that it holds."""
        return self

    @abstractmethod
    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """At most `n` configurations that were not proposed before. An empty list means that none are left.

        Args:
            n: How many, 1 or more.
            running: Configurations in training that were not asked for here: those of another process, say. A strategy
                remembers by itself what it was asked for and not told.
        """

    def tell(self, finished: Sequence[Trial]) -> None:  # noqa: B027 - strategies that do not learn leave it empty
        """Learns from finished trials.

        Args:
            finished: Trials that are complete, failed or stopped.
        """

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether nothing more will be proposed."""

    @property
    def changes(self) -> Sequence[Change]:
        """What single changes did, where the strategy tests them."""
        return ()

    def width(self, told: int) -> int | None:
        """How many configurations are best asked for at once after so many trials; None for as many as possible.

        Args:
            told: How many trials it was told of.
        """
        return None


def is_active(hyperparameter: Hyperparameter, values: Mapping[str, Any]) -> bool:
    """Whether the hyperparameters that it depends on have values under which it exists."""
    return all(condition.holds(values) for condition in hyperparameter.active_if)
