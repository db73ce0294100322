"""What out-of-fold predictions tell of the luck of rows: variances by bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitune.records import Array
from unitune.stats.out_of_fold import OutOfFold
from unitune.stats.resampling import LARGE, cell_scores, nanmean, resamples

BAGS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class RowNoise:
    """The luck of the validated rows.

    Attributes:
        scores: `(bag, trial)` mean scores under resampled rows; NaN where a trial has no predictions.
        n_rows: How many rows were validated.
    """

    scores: Array
    n_rows: int

    def beside(self, weight: Array) -> Array:
        """`(trial,)` variances of each trial's difference to a weighted mean of all; NaN where unknown.

        Args:
            weight: `(trial,)`, 0 or more.
        """
        return np.asarray((self.scores - self._mean(weight)[:, None]).var(axis=0, ddof=1))

    def level(self, weight: Array) -> float:
        """The variance of a weighted mean of all trials."""
        return float(self._mean(weight).var(ddof=1))

    def _mean(self, weight: Array) -> Array:
        known = np.isfinite(self.scores).all(axis=0)
        w = weight * known if (weight * known).any() else known.astype(np.float64)
        return np.asarray(np.where(known, self.scores, 0.0) @ w / max(w.sum(), 1e-300))


def row_noise(predictions: OutOfFold, metric: str, *, n_bags: int = BAGS, seed: int = 0) -> RowNoise:
    """How scores vary under resampled rows.

    A row is validated once in a repeat, so rows are independent, and hundreds of them know their spread where five
    folds do not. Rows of a group are resampled together.

    Args:
        predictions: Of the trials, in the order of the scores.
        metric: A name of `unitune.models.metrics`.
        n_bags: How many resamples; fewer where there are many rows.
        seed: Of the resamples.
    """
    rng = np.random.default_rng(seed)
    n = max(30, min(n_bags, LARGE // max(1, len(predictions.y) * max(1, predictions.n_trials // 20))))
    return RowNoise(
        scores=nanmean(cell_scores(predictions, metric, resamples(predictions, n, rng))),
        n_rows=len(np.unique(np.concatenate([cell.rows for cell in predictions.cells]))),
    )
