"""Which trials cannot be told apart from the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from unitune.records import Array, Direction
from unitune.stats.out_of_fold import OutOfFold
from unitune.stats.weighted import scorer

LEVEL = 0.05
BAGS = 500

T_TEST = "corrected resampled t-test against the best, variances moderated over trials, Holm"
BOOTSTRAP = "paired bootstrap of the rows of one hold-out set against the best, Holm"
NOTHING = "nothing can be said: one score a trial, and no predictions to compare"


@dataclass(frozen=True, kw_only=True, eq=False)
class Ties:
    """Which trials are tied with the best.

    Attributes:
        tied: `(trial,)`, whether the trial is the best or not shown to be worse. All, where nothing can be said.
        p: `(trial,)`, Holm-adjusted p values of the difference to the best; NaN of the best, and of trials that
            cannot be compared.
        method: How it was decided, in words.
    """

    tied: Array
    p: Array
    method: str


def tied_with_best(
    values: Array,
    direction: Direction,
    *,
    best: int,
    validation_ratio: float,
    level: float = LEVEL,
) -> Ties:
    """The trials that a corrected resampled t-test does not show to be worse than the best.

    Each trial is compared with the best on the folds and repeats that both have, by
    ``t = mean(d) / sqrt(v * (1 / n + validation_ratio))``. The variance is moderated,
    ``v = (f0 * v0 + (n - 1) * s²) / (f0 + n - 1)``, with ``f0 + n - 1`` degrees of freedom: five folds leave four, with
    which hardly anything passes a correction for many comparisons, while all trials together know well how much
    differences vary. ``v0`` and ``f0`` are fitted to the trials' own variances (the better half of the trials); where
    those differ widely, or with fewer than three trials, ``f0`` is near 0, and this is the plain test. It is two-sided,
    as the same scores chose the best, and Holm's correction bounds the chance that any trial as good as the best is
    called worse.

    Args:
        values: `(trial, member)` scores, the same folds and repeats in each column; NaN where a trial has no member.
        direction: Of the score.
        best: The index of the best trial.
        validation_ratio: As in `unitune.stats.summarise`.
        level: The chance of calling any equal trial worse.

    Returns:
        The tied trials. A trial that shares fewer than two members with the best counts as tied.

    Example:
        >>> first, second = [0.90, 0.91, 0.92, 0.90, 0.91], [0.89, 0.92, 0.91, 0.90, 0.91]
        >>> values = np.array([first, second, [0.50, 0.52, 0.51, 0.50, 0.53]])
        >>> tied_with_best(values, "maximize", best=0, validation_ratio=0.25).tied
        array([ True,  True, False])

    Source: Nadeau and Bengio (2003); Smyth, "Linear models and empirical Bayes methods for assessing differential
        expression", Statistical Applications in Genetics and Molecular Biology 3 (2004), section 3, for the moderated
        variance; Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
        (1979); Hsu, "Multiple Comparisons" (1996), chapter 4, for sets that hold the best.
    """
    values = np.asarray(values, dtype=np.float64)
    sign = 1.0 if direction == "maximize" else -1.0
    d = sign * (values[best] - values)
    known = np.isfinite(d)
    n = known.sum(axis=1)
    enough = n >= 2
    prior, prior_df = _prior(sign * values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, d, 0.0).sum(axis=1) / n
        spread = np.where(known, d - mean[:, None], 0.0)
        variance = (prior_df * 2 * prior + (spread**2).sum(axis=1)) / (prior_df + n - 1)
        # A spread that is rounding alone tests nothing.
        scale = np.abs(np.where(known, d, 0.0)).max(axis=1)
        variance = np.where(variance <= (1e-12 * scale) ** 2, 0.0, variance)
        statistic = np.where(mean == 0, 0.0, mean / np.sqrt(variance * (1 / n + validation_ratio)))
        p = 2 * special.stdtr(np.maximum(prior_df + n - 1, 1), -np.abs(statistic))
    p[~enough] = np.nan
    p[best] = np.nan
    others = np.delete(enough, best)
    return _decide(p, best, level, T_TEST if others.any() or not len(others) else NOTHING)


def _prior(values: Array) -> tuple[float, float]:
    """The usual variance of a trial's score over folds, beside the folds' own effect, and its degrees of freedom.

    Args:
        values: `(trial, member)`, greater is better.
    """
    means = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else -np.inf for row in values])
    top = values[np.argsort(-means, kind="stable")[: max(10, len(values) // 2)]]
    top = top[:, np.isfinite(top).all(axis=0)]
    trials, members = top.shape
    if trials < 3 or members < 2:
        return 0.0, 0.0
    rest = top - top.mean(axis=0) - top.mean(axis=1, keepdims=True) + top.mean()
    df = members - 1
    variances = (rest**2).sum(axis=1) / df * trials / (trials - 1)
    variances = variances[variances > 1e-12 * variances.max()]  # equal predictions have no variance to learn from
    if len(variances) < 3:
        return 0.0, 0.0
    logs = np.log(variances) - special.digamma(df / 2) + np.log(df / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, df / 2))
    most = (len(variances) - 1) * df
    prior_df = most if excess <= 0 else min(most, 2 * _inverse_trigamma(excess))
    shift = float(special.digamma(prior_df / 2) - np.log(prior_df / 2)) if excess > 0 else 0.0
    return float(np.exp(logs.mean() + shift)), float(prior_df)


def _inverse_trigamma(value: float) -> float:
    """The x at which the trigamma function is `value`, by Newton's steps on its reciprocal (Smyth, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def tied_on_hold_out(
    predictions: OutOfFold,
    metric: str,
    direction: Direction,
    *,
    best: int,
    level: float = LEVEL,
    n_bags: int = BAGS,
    seed: int = 0,
) -> Ties:
    """The trials that a paired bootstrap over the rows of one hold-out set does not show to be worse than the best.

    ``z = d / std_b(d_b)`` with ``d`` the difference of the scores and ``d_b`` that on resampled rows; two-sided, as the
    same rows chose the best, with Holm's correction. It knows the noise of the rows and not that of the seeds: another
    seed may rank otherwise.

    Args:
        predictions: Of the trials, all on the same rows.
        metric, direction: The metric that ranks.
        best: The index of the best trial.
        level, n_bags, seed: As above, and how often rows are resampled.

    Returns:
        The tied trials.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 16.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    cell = predictions.cells[0]
    n = len(cell.rows)
    generator = np.random.default_rng(seed)
    place = np.arange(n)
    if predictions.groups is not None:
        _, place = np.unique(predictions.groups[cell.rows], return_inverse=True)
    units = int(place.max()) + 1
    bags = generator.multinomial(units, np.full(units, 1 / units), size=n_bags)[:, place].astype(np.float64)
    bags = np.concatenate([np.ones((1, n)), bags])
    if predictions.weight is not None:
        bags = bags * predictions.weight[cell.rows]
    scores = np.zeros((len(bags), predictions.n_trials))
    for one in predictions.cells:
        part = scorer(metric, predictions.task, predictions.y[one.rows], one.predictions)(bags)
        scores[:, one.trials] += part / len(predictions.cells)
    d = sign * (scores[:, [best]] - scores)
    spread = np.nanstd(d[1:], axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(d[0] == 0, 0.0, d[0] / spread)
    p = 2 * special.ndtr(-np.abs(z))
    p[best] = np.nan
    return _decide(p, best, level, BOOTSTRAP)


def nothing_known(n_trials: int) -> Ties:
    """All trials tied, because nothing tells them apart."""
    return Ties(tied=np.ones(n_trials, dtype=bool), p=np.full(n_trials, np.nan), method=NOTHING)


def _decide(p: Array, best: int, level: float, method: str) -> Ties:
    adjusted = holm(p)
    tied = ~(adjusted < level)
    tied[best] = True
    return Ties(tied=tied, p=adjusted, method=method)


def holm(p: Array) -> Array:
    """Holm's step-down adjusted p values; NaN stays and does not count.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03, np.nan]))
        array([0.03, 0.06, 0.06,  nan])
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    m = len(order)
    if m:
        adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(m, 0, -1)))
    return adjusted
