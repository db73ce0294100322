"""Unstable across seeds: one configuration, and results that depend on the fold and the seed far more than others'."""

from __future__ import annotations

import math

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import Rule, Signs, Words, show


def signs(evidence: Evidence) -> Signs:
    """The standard deviation over members, and that of chance: of a binomial, or of the other trials."""
    values = evidence.values
    n = values.shape[1]
    nothing = np.full(len(evidence.trials), np.nan)
    if n < 3:
        return Signs(found=nothing > 0, numbers={"std": nothing, "std_by_chance": nothing, "ratio": nothing})
    # What a fold does to all trials alike is no instability of one.
    several = np.isfinite(values[:, 0]).sum() >= t.UNSTABLE_TRIALS
    around = values - values.mean(axis=1, keepdims=True)
    effect = np.nanmedian(around, axis=0) if several else np.zeros(n)
    std = (around - effect).std(axis=1, ddof=1)
    chance = nothing.copy()
    if several:
        chance[:] = np.nanmedian(std)
    if evidence.objective == "accuracy" and evidence.validation_ratio > 0:
        rows = evidence.n_rows * evidence.validation_ratio / (1 + evidence.validation_ratio)
        p = np.clip(evidence.mean, 1 / max(rows, 1), 1 - 1 / max(rows, 1))
        chance = np.sqrt(p * (1 - p) / max(rows, 1))
    share = np.divide(std, chance, out=nothing.copy(), where=chance > 0)
    return Signs(found=share >= t.UNSTABLE_RATIO, numbers={"std": std, "std_by_chance": chance, "ratio": share})


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """How far apart its members are, and how to settle them."""
    values = evidence.values[position]
    std, chance = (float(signs.numbers[name][position]) for name in ("std", "std_by_chance"))
    rate = float(evidence.rate[position])
    lower = f" Try `learning_rates=[{show(rate / 3)}]`," if math.isfinite(rate) else " Try a lower learning rate,"
    return Words(
        severity="warning",
        title=(
            f"Unstable across folds and seeds: {evidence.objective} from {show(float(values.min()))} to "
            f"{show(float(values.max()))}"
        ),
        advice=f"{lower.strip()} `schedules='cosine'`, or `batch_normalization=True`; judge it with `repeats=5`.",
        evidence={"spread_over_chance": std / chance if chance else math.nan},
    )


RULE = Rule(
    kind="unstable",
    signs=signs,
    words=words,
    summary="are unstable across folds and seeds",
    remedy="Lower the learning rate, use a schedule or batch normalization, and judge them with more repeats.",
    because=("diverged", "learning_rate_high", "learning_rate_low", "too_few_epochs"),
    groups=("learning_rate", "optimizer"),
)
