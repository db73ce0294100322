"""Resampled rows, and what the trials score on them."""

from __future__ import annotations

import numpy as np
from scipy import special

from unitune.records import Array
from unitune.stats.out_of_fold import OutOfFold
from unitune.stats.weighted import scorer

ENOUGH_FOR_MEDIAN = 5
LARGE = 20_000_000  # Bags times rows: more rows than this allows get fewer bags.


def cell_scores(predictions: OutOfFold, metric: str, bags: Array) -> Array:
    """The metric under each bag, `(bag, trial, cell)`; NaN where a trial has no member."""
    result = np.full((len(bags), predictions.n_trials, len(predictions.cells)), np.nan)
    for position, cell in enumerate(predictions.cells):
        weights = bags[:, cell.rows]
        if predictions.weight is not None:
            weights = weights * predictions.weight[cell.rows]
        score = scorer(metric, predictions.task, predictions.y[cell.rows], cell.predictions)
        result[:, cell.trials, position] = score(np.ascontiguousarray(weights, dtype=np.float64))
    return result


def resamples(predictions: OutOfFold, n_bags: int, generator: np.random.Generator) -> Array:
    """Multiplicities of the rows in each resample, `(bag, row)`; rows of a group go together."""
    validated = np.unique(np.concatenate([cell.rows for cell in predictions.cells]))
    place = np.arange(len(validated))
    if predictions.groups is not None:
        _, place = np.unique(predictions.groups[validated], return_inverse=True)
    n = int(place.max()) + 1
    # One byte a row: a thousand bags of a hundred thousand rows are a lot already.
    bags = np.zeros((n_bags, len(predictions.y)), dtype=np.uint8)
    for bag in bags:
        bag[validated] = np.minimum(np.bincount(generator.integers(n, size=n), minlength=n), 255)[place]
    return bags


def rows_once(predictions: OutOfFold) -> Array:
    """The bag of every row once."""
    return np.ones((1, len(predictions.y)), dtype=np.uint8)


def nanmean(values: Array) -> Array:
    """The mean over the last axis of what is not NaN; NaN, without a warning, where all is."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def member_variance(scores: Array) -> float:
    """The variance of networks of one trial over cells, beyond what their rows explain.

    Of each trial the trial-by-cell interaction is compared with its variance under resampling; the median over trials
    counts, so that one trial whose networks vary wildly does not speak for all.

    Args:
        scores: `(1 + bag, trial, cell)`, the first under the rows as they are, the others under resampled rows.

    Returns:
        The excess, 0 or more; 0 with one trial.
    """
    known = np.isfinite(scores).all(axis=(0, 2))
    complete = scores[:, known]
    trials, cells = complete.shape[1:]
    if trials < 2 or cells < 2:
        return 0.0
    # What a cell does to all trials is its median where there are enough of them: a mean would hand on what is wild.
    robust = trials >= ENOUGH_FOR_MEDIAN
    centre = np.median(complete, axis=1, keepdims=True) if robust else complete.mean(axis=1, keepdims=True)
    rest = complete - centre
    rest = rest - rest.mean(axis=2, keepdims=True)
    # The centre is made of the trials too, which takes a part of their variance away.
    factor = cells / (cells - 1) / (1 - (0.5 if robust else 1.0) / trials)
    # The median of a variance of few degrees of freedom is less than its mean.
    spread = (rest[0] ** 2).mean(axis=1) * (cells - 1) / float(special.chdtri(cells - 1, 0.5))
    excess = factor * (spread - rest[1:].var(axis=0).mean(axis=1))
    return max(0.0, float(np.quantile(excess, 0.5, method="inverted_cdf")))
