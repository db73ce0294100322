"""Units x activation: the score to expect in each cell, its interval, and the outline of what may be the best."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unitune.records import Array, sign_of

MAX_CELLS_PER_AXIS = 12
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Scores by two hyperparameters. All arrays are `(row, column)`.

    Attributes:
        rows, columns: Labels of the cells.
        row_name, column_name: The two hyperparameters.
        values: The score to expect of each cell's best trial, NaN where there is none; its mean over the folds where
            nothing is known beyond it.
        low, high: The 95 % interval of that trial.
        trial: Its number, 0 where there is none.
        n_trials: How many trials are in the cell.
        credible: Whether that trial may be the best of all.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_name: str
    column_name: str
    values: Array
    low: Array
    high: Array
    trial: Array
    n_trials: Array
    credible: Array


def units_by_activation(table: pd.DataFrame, direction: str, credible: Collection[int] = ()) -> Grid | None:
    """The score to expect for each number of units and activation.

    Other hyperparameters are at their best in each cell. Many numbers of units are put into ranges of equal counts.

    Args:
        table: A row for each trial: `trial`, `mean`, `units` and `activation` (or `units_1`, `activation_1`), and
            `expected`, `low` and `high` where they are known.
        direction: `"maximize"` or `"minimize"`.
        credible: Numbers of the trials that may be the best.

    Returns:
        The grid; None where the table has neither units nor activations.
    """
    rows, columns = _name(table, "activation"), _name(table, "units")
    complete = table[np.isfinite(table["mean"])].sort_values("trial")
    if rows is None or columns is None or complete.empty:
        return None
    row_labels, row_of = _cells(complete[rows])
    column_labels, column_of = _cells(complete[columns])
    shape = len(row_labels), len(column_labels)
    values, low, high = (np.full(shape, np.nan) for _ in range(3))
    trial, n_trials, is_credible = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, bool)
    known = complete.reindex(columns=["trial", "mean", "expected", "low", "high"])
    records = known.assign(expected=known["expected"].fillna(known["mean"])).itertuples(index=False)
    sign = sign_of(direction)
    for row, column, record in zip(row_of, column_of, records, strict=True):
        cell = row, column
        n_trials[cell] += 1
        if np.isnan(values[cell]) or sign * record.expected > sign * values[cell]:
            values[cell], low[cell], high[cell] = record.expected, record.low, record.high
            trial[cell], is_credible[cell] = record.trial, record.trial in credible
    return Grid(
        rows=row_labels,
        columns=column_labels,
        row_name=rows,
        column_name=columns,
        values=values,
        low=low,
        high=high,
        trial=trial,
        n_trials=n_trials,
        credible=is_credible,
    )


def outline(inside: Array) -> tuple[tuple[Point, Point], ...]:
    """The border of a set of cells as lines from `(x, y)` to `(x, y)`; the centre of cell `(row, column)` is at
    `(column, row)`.

    Example:
        >>> len(outline(np.array([[True, True]])))  # two cells side by side: six sides, none between them
        6
    """
    framed = np.pad(np.asarray(inside, bool), 1)
    lines: list[tuple[Point, Point]] = []
    for r, c in np.argwhere(framed):
        x, y = c - 1.0, r - 1.0
        corners = {
            (r - 1, c): ((x - 0.5, y - 0.5), (x + 0.5, y - 0.5)),
            (r + 1, c): ((x - 0.5, y + 0.5), (x + 0.5, y + 0.5)),
            (r, c - 1): ((x - 0.5, y - 0.5), (x - 0.5, y + 0.5)),
            (r, c + 1): ((x + 0.5, y - 0.5), (x + 0.5, y + 0.5)),
        }
        lines += [line for neighbour, line in corners.items() if not framed[neighbour]]
    return tuple(lines)


def _name(table: pd.DataFrame, wanted: str) -> str | None:
    """`units`, or `units_1` where each layer has its own."""
    return next((name for name in (wanted, f"{wanted}_1") if name in table.columns), None)


def _cells(values: pd.Series) -> tuple[tuple[str, ...], Sequence[int]]:
    """Labels of the cells on an axis, and for each value the number of its cell."""
    distinct: list[Any] = list(dict.fromkeys(values))
    if not all(isinstance(value, int | float | np.integer | np.floating) for value in distinct):
        return tuple(str(value) for value in distinct), [distinct.index(value) for value in values]
    distinct.sort()
    if len(distinct) <= MAX_CELLS_PER_AXIS:
        return tuple(f"{value:g}" for value in distinct), [distinct.index(value) for value in values]
    groups = np.array_split(np.array(distinct), MAX_CELLS_PER_AXIS - 4)
    labels = tuple(f"{group[0]:g}–{group[-1]:g}" if len(group) > 1 else f"{group[0]:g}" for group in groups)
    ends = np.array([group[-1] for group in groups])
    return labels, np.searchsorted(ends, values.to_numpy()).tolist()
