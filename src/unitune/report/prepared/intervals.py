"""The top trials with their intervals, and the estimate that is corrected for the choice among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

TOP = 15


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One line: a trial's mean score with its 95 % interval, and its training score."""

    trial: int
    label: str
    mean: float
    low: float
    high: float
    train: float
    tied: bool
    recommended: bool


def intervals(
    table: pd.DataFrame,
    labels: Mapping[int, str],
    *,
    tied: Collection[int] = (),
    recommended: int | None = None,
    top: int = TOP,
) -> tuple[Interval, ...]:
    """The best trials of a ranked table, best first; the recommended one is among them.

    Args:
        table: A row for each trial, from best to worst: `trial`, `mean`, `low`, `high`, `train`.
        labels: From a trial's number to its name.
        tied: Numbers of the trials that are tied with the best.
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
            mean=float(row.mean),
            low=float(row.low),
            high=float(row.high),
            train=float(row.train),
            tied=int(row.trial) in tied,
            recommended=int(row.trial) == recommended,
        )
        for row in shown[["trial", "mean", "low", "high", "train"]].itertuples(index=False)
    )
