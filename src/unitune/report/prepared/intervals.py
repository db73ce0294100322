"""The top trials: what to expect of each on new rows, with its interval."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

TOP = 15


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One line: the score to expect of a trial with its 95 % interval, its mean over the folds, its training score.

    `expected` is the mean over the folds, and `low` and `high` are NaN, where nothing is known beyond it.
    """

    trial: int
    label: str
    expected: float
    mean: float
    low: float
    high: float
    train: float
    credible: bool
    recommended: bool


def intervals(
    table: pd.DataFrame,
    labels: Mapping[int, str],
    *,
    credible: Collection[int] = (),
    recommended: int | None = None,
    top: int = TOP,
) -> tuple[Interval, ...]:
    """The best trials of a ranked table, best first; the recommended one is among them.

    Args:
        table: A row for each trial, from best to worst: `trial`, `mean`, `train`, and `expected`, `low`, `high`.
        labels: From a trial's number to its name.
        credible: Numbers of the trials that may be the best.
        recommended: The number of the recommended trial.
        top: How many.
    """
    complete = table[np.isfinite(table["mean"])]
    shown = complete.head(top)
    if recommended is not None and recommended not in set(shown["trial"]):
        shown = pd.concat([shown.head(top - 1), complete[complete["trial"] == recommended]])
    return tuple(
        Interval(
            trial=int(row.trial),
            label=labels[int(row.trial)],
            expected=float(row.mean if np.isnan(row.expected) else row.expected),
            mean=float(row.mean),
            low=float(row.low),
            high=float(row.high),
            train=float(row.train),
            credible=int(row.trial) in credible,
            recommended=int(row.trial) == recommended,
        )
        for row in shown.reindex(columns=["trial", "mean", "expected", "low", "high", "train"]).itertuples(index=False)
    )
