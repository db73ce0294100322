"""What is judged: a run as arrays, without files, frames or a framework."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from unitune.diagnosis import thresholds as t
from unitune.records import Array, Direction, Task, Trial, sign_of
from unitune.space import Space

MOST_GROUPS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """A search, as far as it can be judged. Members are in any order; NaN stands for what was not measured.

    Attributes:
        space: What could vary.
        task, objective, direction: What was asked.
        trials: By number.
        trial: `(member,)`, the position of each member's trial in `trials`.
        train, validation: `(member, epoch)` losses; NaN after a member's last epoch.
        learning_rate: `(member, epoch)`.
        n_epochs, best_epoch: `(member,)`; `best_epoch` counts from 1.
        probes: From a name to `(member, epoch, layer)`; empty where nothing was probed.
        recall: `(member, class)`, the share of each class's validation rows that were found; None without classes.
        class_labels, class_counts: `(class,)`, in the order of `recall`.
        baseline_loss: The loss of predicting the class shares, or the mean; NaN if unknown.
        n_rows: Rows of the data that were split.
        validation_ratio: Validation rows per training row; 0 where all members see the same rows.
        repeats: How often the folds were repeated in the search.
        draws: `(draw, trial)` true scores in the objective, as one model of all scores draws them; NaN for trials of
            which it knows nothing. None where nothing tells luck from quality: then nothing is said of who is better.
        tolerance: Differences up to this, in units of the objective, do not matter; NaN if unknown.
        credible: Numbers of the trials of which one is the best with 95 %, likeliest first; empty if unknown.
        is_settled: Whether the choice among them hardly matters: the expected loss is within the tolerance.
        to_settle: How many trials to repeat how often until it does; None if unknown, or if no number would do.
        recommended: The number of the trial that is handed over; None if unknown.
        references: From the kind of a simpler model to its scores in the objective, ordered as the trials' own.
        call: The arguments of the search, by name, as far as they are known; None if none are.
        best_feature, best_feature_score: The single feature that predicts best, and how well (1 is perfectly).
    """

    space: Space
    task: Task
    objective: str
    direction: Direction
    trials: tuple[Trial, ...]
    trial: Array
    train: Array
    validation: Array
    learning_rate: Array
    n_epochs: Array
    best_epoch: Array
    probes: Mapping[str, Array] = field(default_factory=dict)
    recall: Array | None = None
    class_labels: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    baseline_loss: float = math.nan
    n_rows: int = 0
    validation_ratio: float = 0.25
    repeats: int = 1
    draws: Array | None = None
    tolerance: float = math.nan
    credible: tuple[int, ...] = ()
    is_settled: bool = False
    to_settle: tuple[int, int] | None = None
    recommended: int | None = None
    references: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    call: Mapping[str, Any] | None = None
    best_feature: str = ""
    best_feature_score: float = math.nan

    def per_trial(self, values: Array) -> Array:
        """The median over each trial's members, `(trial,)`; NaN where there is none. NaN members are left out."""
        medians = pd.Series(np.asarray(values, dtype=np.float64)).groupby(np.asarray(self.trial)).median()
        result: Array = medians.reindex(range(len(self.trials))).to_numpy()
        return result

    def mean_per_trial(self, values: Array) -> Array:
        """The mean over each trial's members, `(trial,)`; NaN where there is none. NaN members are left out."""
        means = pd.Series(np.asarray(values, dtype=np.float64)).groupby(np.asarray(self.trial)).mean()
        result: Array = means.reindex(range(len(self.trials))).to_numpy()
        return result

    @cached_property
    def winner(self) -> int | None:
        """The position of the trial that is handed over, or else of the one with the best mean; None if none."""
        chosen = [place for place, trial in enumerate(self.trials) if trial.number == self.recommended]
        return chosen[0] if chosen else self.best_of(range(len(self.trials)))

    @cached_property
    def mean(self) -> Array:
        """`(trial,)` means of the objective; NaN for failed trials."""
        return self._scores(self.objective, "mean")

    @cached_property
    def values(self) -> Array:
        """`(trial, member)` scores in the objective, as many members as every complete trial has; NaN if failed."""
        lengths = [len(one.scores[self.objective].values) for one in self.trials if one.state == "complete"]
        n = min(lengths, default=0)
        rows = np.full((len(self.trials), n), np.nan)
        for position, trial in enumerate(self.trials):
            if trial.state == "complete":
                rows[position] = trial.scores[self.objective].values[:n]
        return rows

    @cached_property
    def complete_values(self) -> Array:
        """The rows of `values` without failed trials."""
        return self.values[np.isfinite(self.mean)]

    @cached_property
    def explained(self) -> tuple[Array, Array]:
        """`(trial,)` shares of the baseline loss explained on training and on validation rows.

        `1 - log_loss / baseline` for classes, R² for numbers; NaN where the metric was not scored.
        """
        if self.task == "regression":
            return self._scores("r2", "train"), self._scores("r2", "mean")
        scale = self.baseline_loss
        return 1 - self._scores("log_loss", "train") / scale, 1 - self._scores("log_loss", "mean") / scale

    @cached_property
    def scale(self) -> Array:
        """`(member,)`: the loss to compare with; the baseline, or where it is unknown the first epoch's."""
        if math.isfinite(self.baseline_loss) and self.baseline_loss > 0:
            return np.full(len(self.trial), self.baseline_loss)
        first = self.train[:, 0] if self.train.shape[1] else np.full(len(self.trial), np.nan)
        return np.where(first > 0, first, np.nan)

    @cached_property
    def rate(self) -> Array:
        """`(trial,)`: the highest learning rate of training."""
        return self.per_trial(_largest(self.learning_rate))

    def better(self, a: Array | float, b: Array | float) -> Array:
        """By how much score `a` is better than `b`."""
        sign = sign_of(self.direction)
        return sign * np.asarray(a, dtype=np.float64) - sign * b

    def best_true(self, positions: Iterable[int]) -> Array | None:
        """`(draw,)` how good the truly best of some trials is, greater is better; None where nothing is known."""
        if self.draws is None:
            return None
        mine = self.draws[:, list(positions)]
        mine = mine[:, np.isfinite(mine).all(axis=0)]
        if not mine.shape[1]:
            return None
        return np.asarray((sign_of(self.direction) * mine).max(axis=1))

    def gain(self, first: Iterable[int], second: Iterable[int]) -> Array | None:
        """`(draw,)` by how much the truly best of some trials is better than that of others; None where unknown."""
        a, b = self.best_true(first), self.best_true(second)
        return None if a is None or b is None else a - b

    def is_better(self, first: Iterable[int], second: Iterable[int]) -> bool:
        """Whether the truly best of some trials is better than that of others, with 95 %."""
        gain = self.gain(first, second)
        return gain is not None and float((gain > 0).mean()) >= t.SURE

    def is_no_better(self, first: Iterable[int], second: Iterable[int]) -> bool:
        """Whether the truly best of some trials is better than that of others by no more than matters, with 95 %."""
        gain = self.gain(first, second)
        return gain is not None and float((gain <= self.tolerance).mean()) >= t.SURE

    def has(self, name: str) -> bool:
        """Whether the space has a hyperparameter of this name."""
        return name in self.space

    def varying(self, *families: str) -> list[str]:
        """The names of those that vary; only of these families (`units` is also `units_1`, `units_2`) if given."""
        return [name for name in self.space.varying if not families or family(name) in families]

    def groups(self, name: str) -> list[tuple[str, Array]]:
        """For each value of a hyperparameter its label and the positions of the trials that have it.

        Numbers of a range are put into four groups of equal size once there are more than a dozen.
        """
        having = [(i, one.configuration[name]) for i, one in enumerate(self.trials) if name in one.configuration]
        numbers = [value for _, value in having if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) == len(having) and len(set(numbers)) > MOST_GROUPS:
            parts = np.array_split(np.argsort(np.array(numbers), kind="stable"), 4)
            return [
                (f"{numbers[part[0]]:.3g} to {numbers[part[-1]]:.3g}", np.array([having[int(i)][0] for i in part]))
                for part in parts
            ]
        found: dict[str, list[int]] = {}
        for position, value in having:
            found.setdefault(str(self.space.label(name, value)), []).append(position)
        order = {str(self.space.label(name, v)): i for i, v in enumerate(self.values_of(name))}
        return [(label, np.array(found[label])) for label in sorted(found, key=lambda k: order.get(k, len(order)))]

    def values_of(self, name: str) -> tuple[Any, ...]:
        """The values of a hyperparameter that were tried, numbers upwards, others in the order of the space."""
        seen = {
            str(self.space.label(name, one.configuration[name])): one.configuration[name]
            for one in self.trials
            if name in one.configuration
        }
        values = list(seen.values())
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            return tuple(sorted(values))
        domain = self.space[name].domain
        known = [] if domain.size == math.inf else [str(self.space.label(name, v)) for v in domain.values()]
        return tuple(seen[label] for label in sorted(seen, key=lambda k: known.index(k) if k in known else len(known)))

    def best_of(self, positions: Iterable[int]) -> int | None:
        """The best of some trials; None if none of them is complete."""
        complete = [int(p) for p in positions if not math.isnan(self.mean[p])]
        if not complete:
            return None
        sign = sign_of(self.direction)
        return max(complete, key=lambda p: (sign * self.mean[p], -self.trials[p].n_parameters, -p))

    def _scores(self, metric: str, part: str) -> Array:
        return np.array(
            [
                getattr(one.scores[metric], part) if one.state == "complete" and metric in one.scores else math.nan
                for one in self.trials
            ],
            dtype=np.float64,
        )


def family(name: str) -> str:
    """What a hyperparameter is, whichever layer it belongs to.

    Example:
        >>> family("units_2"), family("batch_size")
        ('units', 'batch_size')
    """
    base, _, number = name.rpartition("_")
    return base if base and number.isdigit() else name


def _largest(values: Array) -> Array:
    """The largest finite number of each row; NaN where there is none."""
    filled = np.where(np.isfinite(values), values, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(filled), filled, np.nan)
