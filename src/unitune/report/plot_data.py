"""Tables to what a figure shows, apart from drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unitune.records import Array

MAX_CELLS_PER_AXIS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A metric over the epochs, on one split.

    Attributes:
        split: `"train"` or `"validation"`.
        epoch: `(epoch,)`, from 1.
        mean: `(epoch,)` over the members that were still training.
        low, high: `(epoch,)`, the lowest and the highest of them.
        n_members: How many there were in the first epoch.
    """

    split: str
    epoch: Array
    mean: Array
    low: Array
    high: Array
    n_members: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Scores by two hyperparameters. `values` is `(row, column)`, NaN where there is no trial."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Array
    row_name: str
    column_name: str


def curves(history: pd.DataFrame, metric: str) -> tuple[Curve, ...]:
    """The curves of one metric for the members in a history table, train first."""
    chosen = history[history["metric"] == metric]
    found = []
    for split in ("train", "validation"):
        part = chosen[(chosen["split"] == split) & np.isfinite(chosen["value"])]
        if part.empty:
            continue
        groups = part.groupby("epoch")["value"]
        found.append(
            Curve(
                split=split,
                epoch=np.array(sorted(part["epoch"].unique())),
                mean=groups.mean().to_numpy(),
                low=groups.min().to_numpy(),
                high=groups.max().to_numpy(),
                n_members=int(groups.size().iloc[0]),
            )
        )
    return tuple(found)


def shown_metrics(history: pd.DataFrame) -> tuple[str, ...]:
    """The metrics of a history that are worth a panel: the loss, and the first other one."""
    names = [str(name) for name in dict.fromkeys(history["metric"]) if name not in ("loss", "learning_rate")]
    return ("loss", *names[:1])


def units_by_activation(table: pd.DataFrame, direction: str) -> Grid | None:
    """The best mean score for each number of units and activation.

    Other hyperparameters are at their best in each cell. Many numbers of units are put into ranges of equal counts.
    Returns None where the table has neither units nor activations.
    """
    rows, columns = _name(table, "activation"), _name(table, "units")
    complete = table[np.isfinite(table["mean"])].sort_values("trial")
    if rows is None or columns is None or complete.empty:
        return None
    row_labels, row_of = _cells(complete[rows])
    column_labels, column_of = _cells(complete[columns])
    values = np.full((len(row_labels), len(column_labels)), np.nan)
    better = np.fmax if direction == "maximize" else np.fmin
    for row, column, mean in zip(row_of, column_of, complete["mean"], strict=True):
        values[row, column] = better(values[row, column], mean)
    return Grid(rows=row_labels, columns=column_labels, values=values, row_name=rows, column_name=columns)


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
