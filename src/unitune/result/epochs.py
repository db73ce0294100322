"""For how many of the folds' epochs a trial's final model is trained, which has no validation rows to end by."""

from __future__ import annotations

import numpy as np
import pandas as pd

from unitune.records import Array

SMOOTHED = 5
"""Epochs whose mean counts for the one in the middle: losses waver from one to the next."""


LONGER = 1.25
"""How many times the folds' steps the final model then trains: its averaged weights lag behind by an eighth, and more
rows bear more. Of 15 networks on five generated sets, each trained five times and scored on 4,000 rows, 12 were no
worse than with the median of the folds' own best, and 10 no worse than without this factor."""


def best_epoch(members: pd.DataFrame, history: pd.DataFrame, *, until_learnt: bool) -> int:
    """The epoch of the folds that is worth stopping after, counted from 1.

    Args:
        members: Of one trial, as `Result.members`.
        history: Of one trial, as `Result.history`.
        until_learnt: Whether how long to train followed from the rows. Then it is the epoch at which the mean of the
            folds' validation losses is smallest: a single fold has its smallest loss early by luck, their mean less
            so. Else it is the median of the epochs that were best in each fold.
    """
    median = max(1, round(float(members["best_epoch"].median())))
    if not until_learnt:
        return median
    losses = history[(history["metric"] == "loss") & (history["split"] == "validation")]
    curves = losses.pivot(index="epoch", columns=["repeat", "fold"], values="value").to_numpy(dtype=float)
    curves = curves[:, np.isfinite(curves).any(axis=0)] if curves.size else curves
    return least_of_mean(curves) if curves.size else median


def least_of_mean(curves: Array) -> int:
    """The row, counted from 1, at which the smoothed mean of some curves is smallest.

    Args:
        curves: `(epoch, member)`; NaN where a member had ended, whose last value counts on.

    Example:
        >>> epochs = np.arange(20)
        >>> least_of_mean(np.stack([abs(epochs - 8.0), abs(epochs - 12.0)], axis=1))
        11
    """
    mean = pd.DataFrame(curves).ffill().mean(axis=1)
    smooth = mean.rolling(SMOOTHED, center=True, min_periods=1).mean()
    return int(np.nanargmin(smooth.to_numpy())) + 1
