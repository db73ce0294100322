"""Scores as trial plus member: what each trial has beside the luck that all share on a fold, and how it varies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from unitune.records import Array

PASSES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Additive:
    """The fit of ``score = trial + member + rest``.

    Attributes:
        trial: `(trial,)` effects: mean scores, as if all had been on the same members; NaN without any.
        member: `(member,)` effects; their mean is 0.
        n: `(trial,)` how many members each trial has.
        variance: `(trial,)` moderated variances of the rest; NaN where nothing tells.
        df: How many degrees of freedom there are for the usual variance.
        shared: `(trial, member)`: the errors of trial effects that come from those of the member effects are
            ``shared @ standard normals``; near 0 where all trials have the same members.
    """

    trial: Array
    member: Array
    n: Array
    variance: Array
    df: float
    shared: Array


def additive(values: Array, *, greater_is_better: bool) -> Additive:
    """Fits trials and members by weighted least squares; each trial's weight is by its moderated variance.

    Args:
        values: `(trial, member)`, the same folds and repeats in each column; NaN where a trial has no member.
        greater_is_better: The better half of the trials tells the usual variance.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    n = known.sum(axis=1)
    y = np.where(known, values, 0.0)
    variance = np.ones(len(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(PASSES):
            weight = known / variance[:, None]
            member, precision = _members(y, known, weight)
            trial = np.where(known, y - member, 0.0).sum(axis=1) / n
            rest = np.where(known, y - member - trial[:, None], 0.0)
            leverage = np.minimum(weight.sum(axis=1) / max(weight.sum(), 1e-300), 0.5) if len(values) > 1 else 0.0
            own = (rest**2).sum(axis=1) / (n - 1) / (1 - leverage)
            found, df = moderated(own, n - 1, trial if greater_is_better else -trial)
            variance = np.where(np.isfinite(found), found, 1.0)
            floor = 1e-12 * max(float(np.square(y).max(initial=0.0)), 1e-100)  # scores may all be 0
            variance = np.maximum(variance, floor)
        share = np.where(n[:, None] > 0, known / np.maximum(n, 1)[:, None], 0.0)
        shared = share - share.mean(axis=0) if len(values) > 1 else np.zeros_like(share)
        shared = shared @ _root(precision)
    return Additive(trial=trial, member=member, n=n, variance=np.maximum(found, floor), df=df, shared=shared)


def _members(y: Array, known: Array, weight: Array) -> tuple[Array, Array]:
    """Member effects with mean 0, and their covariance; 0 where one trial cannot tell them from its own."""
    if len(y) < 2:
        return np.zeros(y.shape[1]), np.zeros((y.shape[1], y.shape[1]))
    total = weight.sum(axis=1)
    share = np.divide(weight, total[:, None], out=np.zeros_like(weight), where=total[:, None] > 0)
    mean = (share * y).sum(axis=1)
    normal = np.diag(weight.sum(axis=0)) - weight.T @ share
    right = (weight * np.where(known, y - mean[:, None], 0.0)).sum(axis=0)
    covariance = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
    member = covariance @ right
    return member - member.mean(), covariance


def _root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def moderated(variances: Array, df: Array, score: Array) -> tuple[Array, float]:
    """Variances drawn towards what is usual: ``(f0 v0 + f s²) / (f0 + f)``.

    Five folds know a variance badly; all trials together know well what is usual. ``v0`` and ``f0`` are those of the
    better half of the trials: where their variances differ no more than by chance, f0 is large.

    Args:
        variances: `(trial,)` sample variances; NaN where there are none.
        df: `(trial,)` their degrees of freedom.
        score: `(trial,)`, greater is better.

    Returns:
        The moderated variances, and the degrees of freedom of the usual one. A trial without a variance has the usual
        one; NaN where no trial has one.

    Source: Smyth, "Linear models and empirical Bayes methods for assessing differential expression", Statistical
        Applications in Genetics and Molecular Biology 3 (2004), section 3.
    """
    usable = np.isfinite(variances) & (df > 0)
    if not usable.any():
        return np.full(len(variances), np.nan), 0.0
    places = np.flatnonzero(usable)
    top = places[np.argsort(-score[places], kind="stable")][: max(4, -(-len(places) // 2))]
    usual, prior_df = _usual(variances[top], df[top])
    own = np.where(usable, variances, 0.0)
    f = np.where(usable, df, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(prior_df + f > 0, (prior_df * usual + f * own) / (prior_df + f), usual)
    return found, float(df[top].sum())


def _usual(variances: Array, df: Array) -> tuple[float, float]:
    positive = variances > 1e-12 * variances.max(initial=0.0)
    pooled = float((variances * df).sum() / df.sum())
    v, f = variances[positive], df[positive].astype(np.float64)
    if len(v) < 3:
        # Too few to tell whether they differ: half a trial's own say.
        return pooled, float(df.mean())
    logs = np.log(v) - special.digamma(f / 2) + np.log(f / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, f / 2).mean())
    most = float(f.sum() - f.mean())
    prior_df = most if excess <= 0 else min(most, 2 * inverse_trigamma(excess))
    shift = float(special.digamma(prior_df / 2) - np.log(prior_df / 2))
    # As many variances are 0 where trials predict the same rows rightly as there are: they count in the mean.
    return float(np.exp(logs.mean() + (shift if excess > 0 else 0.0)) * positive.mean()), prior_df


def inverse_trigamma(value: float) -> float:
    """The x at which the trigamma function is `value`, by Newton's steps on its reciprocal (Smyth, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x
