"""Noise: the differences between the trials are no larger than those between folds and seeds."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import percent
from unitune.records import Array, Finding


def reliability(values: Array) -> float:
    """The share of the variance of trial means that is due to the trials, ``1 - 1 / F``, in [0, 1]; NaN if unknown.

    ``F`` is that of a two-way analysis of variance of `values` `(trial, member)` without replication: the mean square
    of the trials over that of the residuals, once the members' own effects (folds, seeds) are taken out.

    Source: Shrout and Fleiss, "Intraclass correlations" (1979), ICC(3, k).

    Example:
        >>> round(reliability(np.array([[0.9, 0.8], [0.7, 0.6], [0.5, 0.45]])), 3)
        0.994
    """
    n_trials, n_members = values.shape
    if n_trials < 2 or n_members < 2:
        return math.nan
    residual = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean()
    within = float((residual**2).sum() / ((n_trials - 1) * (n_members - 1)))
    between = float(n_members * values.mean(axis=1).var(ddof=1))
    if between <= 0:
        return 0.0
    return max(0.0, 1 - within / between)


def tied_with_best(evidence: Evidence) -> tuple[int, ...]:
    """Numbers of the trials that may be as good as the best: as given, or not significantly behind it."""
    if evidence.tied:
        return evidence.tied
    best = evidence.winner
    if best is None or evidence.values.shape[1] < 2:
        return ()
    behind = evidence.better(evidence.mean[best], evidence.mean)
    close = np.flatnonzero(behind <= evidence.critical * evidence.standard_errors(best))
    order = sorted(close.tolist(), key=lambda p: (behind[p], p))
    return tuple(evidence.trials[p].number for p in order)


def repeats_needed(evidence: Evidence) -> float:
    """Members per trial that would tell the best from the middle of the others; infinity if no number would.

    ``n >= 1 / ((d / (z s))² - n_validation / n_train)``, the corrected t statistic solved for the normal quantile
    ``z`` of many members, with ``d`` the difference to the median trial and ``s`` the standard deviation of paired
    differences.
    """
    best = evidence.winner
    if best is None:
        return math.nan
    others = [p for p in np.flatnonzero(np.isfinite(evidence.mean)).tolist() if p != best]
    if not others or evidence.values.shape[1] < 2:
        return math.nan
    behind = np.array([float(evidence.better(evidence.mean[best], evidence.mean[p])) for p in others])
    spread = (evidence.values[best][None, :] - evidence.values[others]).std(axis=1, ddof=1)
    d, s = float(np.median(behind)), float(np.median(spread))
    if s == 0:
        return math.nan
    left = (d / (float(special.ndtri(t.DIFFERENCE_QUANTILE)) * s)) ** 2 - evidence.validation_ratio
    return 1 / left if left > 0 else math.inf


def find(evidence: Evidence) -> list[Finding]:
    """One finding, if the ranking is more noise than signal or most trials are tied."""
    complete = np.flatnonzero(np.isfinite(evidence.mean))
    best = evidence.winner
    if best is None or len(complete) < 3 or evidence.values.shape[1] < 2:
        return []
    share = reliability(evidence.complete_values)
    tied = tied_with_best(evidence)
    noisy = share < t.NOISE_RELIABILITY
    if not noisy and len(tied) < max(2, t.NOISE_TIED * len(complete)):
        return []
    needed = repeats_needed(evidence)
    now = evidence.values.shape[1]
    if math.isfinite(needed) and needed <= 20 * now:
        advice = f"Use {math.ceil(max(needed, now + 1) / now)} times as many repeats (`repeats=`) to settle it, or take"
    else:
        advice = "More repeats on these rows would not settle it; take"
    return [
        Finding(
            kind="noise_dominated",
            severity="advice",
            title=(
                f"{len(tied):,} of {len(complete):,} trials are tied with the best"
                + (f", and {percent(1 - share)} of the differences between trials is noise" if noisy else "")
            ),
            trials=tuple(tied) or (evidence.trials[best].number,),
            evidence={
                "reliability": share,
                "tied": len(tied),
                "complete": len(complete),
                "members_per_trial": now,
                "members_needed": needed,
            },
            advice=f"{advice} the recommended trial.",
        )
    ]
