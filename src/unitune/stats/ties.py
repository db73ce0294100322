"""Which trials cannot be told apart from the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from unitune.records import Array, Direction, sign_of
from unitune.stats.additive import inverse_trigamma
from unitune.stats.out_of_fold import OutOfFold
from unitune.stats.resampling import LARGE, cell_scores, member_variance, nanmean, resamples, rows_once

LEVEL = 0.05
BAGS = 300
AUC_BAGS = 150
# A trial's variance over folds counts up to this many times what is typical of the better half.
WILDEST = 3.0

BY_ROWS = "corrected resampled t-test against the best, the rows' variance by bootstrap, Holm over pairs"
ONE_SET = "paired bootstrap of the rows of one hold-out set against the best, Holm over pairs; seeds are not in it"
T_TEST = "corrected resampled t-test against the best, variances moderated over trials, Holm over pairs"
NOTHING = "nothing can be said: one score a trial, and no predictions to compare"


@dataclass(frozen=True, kw_only=True, eq=False)
class Ties:
    """Which trials are tied with the best.

    Attributes:
        tied: `(trial,)`, whether the trial is the best or not shown to be worse. All, where nothing can be said.
        p: `(trial,)`, adjusted p values of the difference to the best; NaN of the best, and of trials that
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
    as the same scores chose the best, and `holm_over_pairs` bounds the chance that any trial as good as the best is
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
    sign = sign_of(direction)
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
    top = values[_better_half(values)]
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
    prior_df = most if excess <= 0 else min(most, 2 * inverse_trigamma(excess))
    shift = float(special.digamma(prior_df / 2) - np.log(prior_df / 2)) if excess > 0 else 0.0
    return float(np.exp(logs.mean() + shift)), float(prior_df)


def _better_half(values: Array) -> Array:
    """The indices of the better half of the trials, four at least; `values` `(trial, member)`, greater is better."""
    means = nanmean(values)
    return np.argsort(np.where(np.isnan(means), np.inf, -means), kind="stable")[: max(4, -(-len(values) // 2))]


def tied_by_rows(
    predictions: OutOfFold,
    metric: str,
    direction: Direction,
    *,
    best: int,
    validation_ratio: float,
    level: float = LEVEL,
    n_bags: int = BAGS,
    seed: int = 0,
) -> Ties:
    """The trials that the out-of-fold predictions do not show to be worse than the best.

    The corrected resampled t-test with its variance in two parts,
    ``t = mean(d) / sqrt(v_rows + v_networks * (1 / n + validation_ratio))``. ``v_rows`` is that of ``mean(d)`` on
    resampled rows: each row is validated once in a repeat, so rows are independent, and hundreds of rows know their
    spread where five folds do not. ``v_networks`` is what the variance over folds (moderated, see `tied_with_best`) has
    beyond that, no less than what it usually has over the better half of the trials, and no more than three times
    what is typical there (a poor trial whose networks vary wildly is worse, and not tied): networks differ by their
    seeds and by their training rows, which folds share, and for these holds the correction of Nadeau and Bengio. The
    degrees of freedom are Satterthwaite's. On one hold-out set, not repeated, there is no second part: it knows nothing
    of seeds.

    Args:
        predictions: Of the trials, in the order that `best` counts in.
        metric, direction: The metric that ranks.
        best: The index of the best trial.
        validation_ratio: As in `unitune.stats.summarise`.
        level: The chance of calling any equal trial worse.
        n_bags, seed: How often rows are resampled, and the seed of it.

    Returns:
        The tied trials.

    Source: As `tied_with_best`; Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 16;
        Satterthwaite, Biometrics Bulletin 2 (1946).
    """
    sign = sign_of(direction)
    n_bags = min(n_bags, AUC_BAGS if metric == "auc" else n_bags, max(50, LARGE // len(predictions.y)))
    bags = np.concatenate([rows_once(predictions), resamples(predictions, n_bags, np.random.default_rng(seed))])
    scores = sign * cell_scores(predictions, metric, bags)
    d = scores[:, [best], :] - scores
    n = np.isfinite(d[0]).sum(axis=1)
    mean = nanmean(d)
    v_rows = np.nanvar(mean[1:], axis=0, ddof=1)
    v_networks, df = np.zeros(len(n)), np.full(len(n), np.inf)
    if d.shape[2] > 1:
        prior, prior_df = _prior(scores[0])
        off = np.where(np.isfinite(d[0]), d[0] - mean[0][:, None], 0.0)
        df = prior_df + np.maximum(n - 1, 1)
        each = (prior_df * 2 * prior + (off**2).sum(axis=1)) / df
        # Networks of a poor trial may vary wildly. Left to itself that would tie it: nobody could say that it is worse.
        top = _better_half(scores[0])
        rivals = top[top != best]
        typical = np.inf
        if len(rivals) > 2:  # of two, neither is typical
            own = (off[rivals] ** 2).sum(axis=1) / np.maximum(n[rivals] - 1, 1)
            typical = float(np.quantile(own, 0.5, method="lower"))
        each = np.minimum(each, WILDEST * typical)
        # Of one cell, whose rows alone would make its difference vary so much.
        by_rows = nanmean(_variance(d[1:]))
        # A trial's own excess is noisy, and 0 in half of all cases; it counts no less than the usual one.
        usual = min(2 * member_variance(scores[:, top]), typical)
        v_networks = np.maximum(usual, each - by_rows) * (1 / np.maximum(n, 1) + validation_ratio)
    variance = v_rows + v_networks
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = np.where(mean[0] == 0, 0.0, mean[0] / np.sqrt(variance))
        freedom = np.where(v_networks > 0, variance**2 / (v_networks**2 / df), np.inf)
    p = 2 * np.where(
        np.isfinite(freedom),
        special.stdtr(np.where(np.isfinite(freedom), freedom, 1.0), -np.abs(statistic)),
        special.ndtr(-np.abs(statistic)),
    )
    p[best] = np.nan
    single = predictions.single_split and len(predictions.cells) == 1
    return _decide(p, best, level, ONE_SET if single else BY_ROWS)


def _variance(bags: Array) -> Array:
    """Over the first axis; NaN where all is NaN."""
    mean = bags.mean(axis=0)
    return np.asarray(((bags - mean) ** 2).sum(axis=0) / (len(bags) - 1))


def _decide(p: Array, best: int, level: float, method: str) -> Ties:
    adjusted = holm_over_pairs(p)
    tied = ~(adjusted < level)
    tied[best] = True
    return Ties(tied=tied, p=adjusted, method=method)


def holm_over_pairs(p: Array) -> Array:
    """Step-down adjusted p values of comparisons with the best, where any of the trials might have been the best.

    The best is chosen by the same scores, so each comparison is the most extreme of all pairs of those that are left:
    with ``r`` trials left, the best among them, the smallest p counts ``r (r - 1) / 2`` times. Holm's own factor,
    ``r - 1``, is for a best that was named beforehand; with 20 equal trials it calls one of them worse in 16 % of
    searches.

    Args:
        p: `(comparison,)`; NaN stays and does not count.

    Example:
        >>> holm_over_pairs(np.array([0.01, 0.04, 0.03, np.nan]))
        array([0.06, 0.09, 0.09,  nan])
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    left = np.arange(len(order) + 1, 1, -1)
    if len(order):
        adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * left * (left - 1) / 2))
    return adjusted
