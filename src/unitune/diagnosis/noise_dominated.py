"""Noise: the differences between the trials are no larger than those between folds and seeds."""

from __future__ import annotations

import math

import numpy as np

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


def find(evidence: Evidence) -> list[Finding]:
    """One finding, if the ranking is more noise than signal or most trials may be the best."""
    complete = np.flatnonzero(np.isfinite(evidence.mean))
    best = evidence.winner
    if best is None or len(complete) < 3 or evidence.values.shape[1] < 2:
        return []
    share = reliability(evidence.complete_values)
    credible = evidence.credible
    noisy = share < t.NOISE_RELIABILITY
    if not noisy and len(credible) < max(2, t.NOISE_CREDIBLE * len(complete)):
        return []
    numbers: dict[str, float | str] = {
        "reliability": share,
        "credible": len(credible),
        "complete": len(complete),
        "members_per_trial": evidence.values.shape[1],
    }
    if evidence.is_settled:
        advice = "It matters little: take the recommended trial."
    elif evidence.to_settle is not None:
        trials, repeats = evidence.to_settle
        numbers |= {"trials_to_repeat": trials, "repeats_needed": repeats}
        more = "one more repeat" if repeats == 1 else f"{repeats} more repeats"
        advice = (
            f'Use {more} of the {trials} likeliest to settle it (`spend="repeats"`), or take the recommended trial.'
        )
    else:
        advice = "More repeats on these rows would not settle it; take the recommended trial."
    many = f"{len(credible):,} of {len(complete):,} trials may be the best" if credible else ""
    noise = f"{percent(1 - share)} of the differences between trials is noise" if noisy else ""
    return [
        Finding(
            kind="noise_dominated",
            severity="info" if evidence.is_settled else "advice",
            title=", and ".join(part for part in (many, noise) if part),
            trials=tuple(credible) or (evidence.trials[best].number,),
            evidence=numbers,
            advice=advice,
        )
    ]
