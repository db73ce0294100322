"""The question that all trials answer: rows, folds, seeds and the objective, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitune.data.arrays import Split, row_shape
from unitune.data.dataset import Dataset
from unitune.data.folds import Fold
from unitune.records import Direction
from unitune.tuner.collect import Collector, in_users_units


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Rows, folds, seeds and the objective: the same for all trials, which are thereby paired.

    Attributes:
        dataset: All rows that are trained or validated on.
        folds: In the order of repeat, then fold.
        splits: Their prepared rows.
        objective, direction: What ranks the trials.
        metrics: Every metric that fits the task, the objective first.
        seed: The seed of everything random.
        validation_ratio: Validation rows per training row, 0 where all folds share their rows.
        as_given: Whether rows keep their shape.
        make_repeat: Gives the folds of a further repeat, by its number, and their prepared rows.
    """

    dataset: Dataset
    folds: tuple[Fold, ...]
    splits: tuple[Split, ...]
    objective: str
    direction: Direction
    metrics: tuple[str, ...]
    seed: int
    validation_ratio: float
    as_given: bool = False
    make_repeat: Callable[[int], tuple[tuple[Fold, ...], tuple[Split, ...]]] | None = None

    @property
    def n_members(self) -> int:
        """Members of a trial."""
        return len(self.folds)

    @property
    def n_folds(self) -> int:
        """Folds of a repeat."""
        return max(fold.fold for fold in self.folds) + 1

    @property
    def repeats(self) -> int:
        """How often the folds are repeated."""
        return max(fold.repeat for fold in self.folds) + 1

    @property
    def input_shape(self) -> tuple[Any, ...]:
        """The shape of one prepared row; for several inputs a tuple of shapes."""
        return row_shape(self.splits[0].x_train)

    @property
    def places(self) -> list[tuple[int, int, int]]:
        """For each split `(fold, repeat, seed)`."""
        return [(fold.fold, fold.repeat, member_seed(self.seed, fold.fold, fold.repeat)) for fold in self.folds]

    @property
    def evaluation(self) -> str:
        """How trials are evaluated, in words."""
        times = f" × {self.repeats} repeats" if self.repeats > 1 else ""
        return f"{self.n_folds} folds{times}" if self.n_folds > 1 else f"one hold-out split{times}"

    def collector(self) -> Collector:
        """What scores the outcomes of this problem."""
        weight = self.dataset.sample_weight
        first = min(fold.repeat for fold in self.folds)
        data = self.dataset
        targets = None
        if data.given is not None:
            targets = [(data.y[fold.train], data.y[fold.validation]) for fold in self.folds]
        return Collector(
            splits=self.splits,
            targets=targets,
            n_classes=data.n_classes,
            train_weights=[None if weight is None else weight[fold.train] for fold in self.folds],
            task=self.dataset.task,
            metrics=self.metrics,
            n_folds=self.n_folds,
            repeats=self.repeats - first,
            validation_ratio=self.validation_ratio,
            first_repeat=first,
        )

    def repeat(self, number: int) -> Problem | None:
        """The same question on the folds of a further repeat; None where there is no way to make them."""
        if self.make_repeat is None:
            return None
        folds, splits = self.make_repeat(number)
        return replace(self, folds=folds, splits=splits)


def member_seed(seed: int, fold: int, repeat: int) -> int:
    """The seed of a trial's member in a fold and repeat: the same for all trials.

    Example:
        >>> member_seed(0, 1, 0) == member_seed(0, 1, 0) != member_seed(0, 2, 0)
        True
    """
    stream = np.random.SeedSequence((seed, 4, repeat, fold + 1))
    return int(stream.generate_state(1, np.uint32)[0] >> 1)  # 31 bits, which every backend takes


def unscaled(split: Split) -> Split:
    """A split whose regression targets are in the user's units."""
    if split.y_scale is None or split.y_offset is None:
        return split
    return replace(
        split,
        y_train=in_users_units(split, split.y_train).astype(split.y_train.dtype),
        y_val=in_users_units(split, split.y_val).astype(split.y_val.dtype),
        y_scale=None,
        y_offset=None,
        y_log=False,
    )
