"""What out-of-fold predictions tell of the luck of rows: variances by bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitune.records import Array
from unitune.stats.out_of_fold import OutOfFold
from unitune.stats.resampling import LARGE, cell_scores, nanmean, resamples

BAGS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class RowNoise:
    """The luck of the validated rows, in the metric's own units.

    Attributes:
        level: The variance of the mean score of all trials.
        trial: `(trial,)` variances of each trial's difference to that mean; NaN where unknown.
        n_rows: How many rows were validated.
    """

    level: float
    trial: Array
    n_rows: int


def row_noise(predictions: OutOfFold, metric: str, *, n_bags: int = BAGS, seed: int = 0) -> RowNoise:
    """The variances of scores under resampled rows.

    A row is validated once in a repeat, so rows are independent, and hundreds of them know their spread where five
    folds do not. Rows of a group are resampled together.

    Args:
        predictions: Of the trials, in the order of the scores.
        metric: A name of `unitune.models.metrics`.
        n_bags: How many resamples; fewer where there are many rows.
        seed: Of the resamples.
    """
    rng = np.random.default_rng(seed)
    n = max(20, min(n_bags, LARGE // max(1, len(predictions.y) * max(1, predictions.n_trials // 20))))
    scores = nanmean(cell_scores(predictions, metric, resamples(predictions, n, rng)))
    known = np.isfinite(scores).all(axis=0)
    trial = np.full(predictions.n_trials, np.nan)
    rows = len(np.unique(np.concatenate([cell.rows for cell in predictions.cells])))
    if not known.any():
        return RowNoise(level=float("nan"), trial=trial, n_rows=rows)
    level = scores[:, known].mean(axis=1)
    trial[known] = (scores[:, known] - level[:, None]).var(axis=0, ddof=1) if known.sum() > 1 else 0.0
    return RowNoise(level=float(level.var(ddof=1)), trial=trial, n_rows=rows)
