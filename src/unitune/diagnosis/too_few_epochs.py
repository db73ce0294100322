"""Too few epochs: the validation loss was still falling when training ended."""

from __future__ import annotations

import math

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.curves import at, lowest, ratio, smooth
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import Rule, Signs, Words, percent


def signs(evidence: Evidence) -> Signs:
    """The fall of the validation loss over the last quarter of training, and over the quarter before."""
    n = np.asarray(evidence.n_epochs)
    validation = smooth(evidence.validation, n)
    quarter = np.maximum(1, n // 4)
    end, before = at(validation, n), at(validation, n - quarter)
    earlier = at(validation, n - 2 * quarter)
    limits = np.array([_limit(trial.configuration.get("epochs")) for trial in evidence.trials])
    stopped = n < limits[np.asarray(evidence.trial, dtype=int)]
    at_end = lowest(validation) >= n - 1
    # Whole epochs may be less than a quarter: of 10 they are 2.
    fall = np.where(at_end & ~stopped, ratio(before - end, before) * n / (4 * quarter), 0.0)
    numbers = {
        "fall_last_quarter": evidence.per_trial(fall),
        "fall_over_baseline": evidence.per_trial(ratio(before - end, evidence.scale)),
        "val_loss_end": evidence.per_trial(end),
        "fall_before": evidence.per_trial(ratio(earlier - before, earlier)),
        "n_epochs": evidence.per_trial(n),
    }
    found = (numbers["fall_last_quarter"] >= t.EPOCHS_FALL) & (numbers["fall_over_baseline"] >= t.EPOCHS_MATERIAL)
    return Signs(found=found, numbers=numbers)


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """How fast it still fell, and how many epochs would be enough at that pace."""
    fall = float(signs.numbers["fall_last_quarter"][position])
    epochs = enough(evidence, signs, position)
    return Words(
        severity="advice",
        title=f"Too few epochs: the validation loss still fell by {percent(fall)} in the last quarter of training",
        advice=(
            f"Try `epochs={epochs}, patience={max(3, round(epochs / 10))}`; a higher learning rate gets there sooner."
        ),
        evidence={"epochs_to_try": epochs},
    )


def enough(evidence: Evidence, signs: Signs, position: int) -> int:
    """How many epochs until another quarter would bring less than 1 %, if the falls go on shrinking as they did."""
    n = int(signs.numbers["n_epochs"][position])
    fall, before = (float(signs.numbers[name][position]) for name in ("fall_last_quarter", "fall_before"))
    shrinking = min(0.9, max(0.3, fall / before)) if before > 0 else 0.9
    quarters = math.log(t.EPOCHS_ENOUGH / max(fall, 1e-9)) / math.log(shrinking)
    return nice(min(t.EPOCHS_MOST * n, max(2.0 * n, n + quarters * max(1, n // 4))))


def nice(value: float) -> int:
    """Rounded up to one of 10, 15, 20, 30, 40, 50, 60, 80 times a power of ten.

    Example:
        >>> nice(23), nice(101), nice(7)
        (30, 150, 8)
    """
    power: int = 10 ** max(0, math.floor(math.log10(value)) - 1)
    steps = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100)
    return next(step * power for step in steps if step * power >= value - 1e-9)


def _limit(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


RULE = Rule(
    kind="too_few_epochs",
    signs=signs,
    words=words,
    summary="were still improving when training ended",
    remedy="Give them more epochs, with `patience`, before they are judged.",
    because=("diverged", "learning_rate_high", "learning_rate_low", "exploding_gradients", "vanishing_gradients"),
)
