"""Predictions of rows that a network did not see, of many trials: what tells the luck of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unitune.records import Array, Task


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One fold of one repeat: its validation rows, and what the trials predict for them.

    Attributes:
        fold, repeat: Where it belongs.
        rows: `(row,)` indices of the validation rows.
        trials: `(trial,)` indices of the trials that have a member here, ascending.
        predictions: `(trial, row, output)` floats, finite; in the units of the target.
    """

    fold: int
    repeat: int
    rows: Array
    trials: Array
    predictions: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class OutOfFold:
    """The out-of-fold predictions of a search.

    Attributes:
        task: The task.
        y: Of all rows: `(row,)` class numbers, or `(row, output)` floats of a regression.
        numbers: `(trial,)`, the trials' numbers.
        cells: One for each fold and repeat.
        weight: `(row,)` sample weights, or None.
        groups: `(row,)` group numbers from 0 where rows of a group belong together, or None.
    """

    task: Task
    y: Array
    numbers: Array
    cells: tuple[Cell, ...]
    weight: Array | None = None
    groups: Array | None = None

    @property
    def n_trials(self) -> int:
        """How many trials there are."""
        return len(self.numbers)

    def only(self, numbers: Sequence[int]) -> OutOfFold:
        """The predictions of some trials, given by their numbers, in that order."""
        place = {int(number): index for index, number in enumerate(self.numbers)}
        old = np.array([place[number] for number in numbers], dtype=np.int64)
        cells = []
        for cell in self.cells:
            where = np.searchsorted(cell.trials, old)
            where = np.minimum(where, max(len(cell.trials) - 1, 0))
            present = cell.trials[where] == old if len(cell.trials) else np.zeros(len(old), dtype=bool)
            if present.any():
                kept = replace(cell, trials=np.flatnonzero(present), predictions=cell.predictions[where[present]])
                cells.append(kept)
        return replace(self, numbers=np.asarray(list(numbers), dtype=np.int64), cells=tuple(cells))

    @property
    def single_split(self) -> bool:
        """Whether every member was validated on the same rows."""
        first = self.cells[0].rows
        return all(np.array_equal(first, cell.rows) for cell in self.cells[1:])
