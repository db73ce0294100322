"""Learning rate too low: gradients are there, and the weights hardly move."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.curves import at, medians, movement, ratio
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.probes import over_layers
from unitune.diagnosis.rule import Rule, Signs, Words, percent, show


def signs(evidence: Evidence) -> Signs:
    """The relative size of the steps and of the gradients, and what was learnt; without probes the curve alone."""
    n = np.asarray(evidence.n_epochs)
    first, end = at(evidence.train, np.ones_like(n)), at(evidence.train, n)
    up, down = movement(evidence.train)
    middle = at(evidence.train, (n + 1) // 2)
    numbers = {
        "update_ratio": evidence.per_trial(medians(over_layers(evidence, "update_ratio"))),
        "gradient_norm": evidence.per_trial(ratio(medians(over_layers(evidence, "gradient_norm")), evidence.scale)),
        "train_fall": evidence.per_trial(ratio(first - end, first)),
        "upwards": evidence.per_trial(ratio(up, up + down)),
        "late_share": evidence.per_trial(ratio(middle - end, first - end)),
        "n_epochs": evidence.per_trial(n),
        "learning_rate": evidence.rate,
    }
    probed = np.isfinite(numbers["update_ratio"])
    still = (numbers["update_ratio"] <= t.UPDATE_RATIO_LOW) & (numbers["gradient_norm"] >= t.GRADIENT_GONE)
    creeping = (
        (numbers["train_fall"] > 0)
        & (numbers["train_fall"] < t.RATE_LOW_FALL_UNPROBED)
        & (numbers["upwards"] < t.RATE_LOW_UPWARDS)
        & (numbers["late_share"] > 0.4)
        & (numbers["n_epochs"] >= 4)
    )
    found = np.where(probed, still & (numbers["train_fall"] < t.RATE_LOW_FALL), creeping)
    return Signs(found=found, numbers=numbers)


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """How little the weights move, and higher rates to try."""
    here = {name: float(values[position]) for name, values in signs.numbers.items()}
    rate, fall = here["learning_rate"], percent(max(0.0, here["train_fall"]))
    step = here["update_ratio"]
    seen = f"a step changes the weights by {show(step)} of their norm" if np.isfinite(step) else "the loss creeps"
    values = ", ".join(show(rate * factor) for factor in (10.0, 100.0 if step < t.UPDATE_RATIO_LOW / 10 else 30.0))
    return Words(
        severity="warning",
        title=f"Learning rate {show(rate)} is too low: {seen}, and training took {fall} off the loss",
        advice=f"Try `learning_rates=[{values}]`.",
    )


RULE = Rule(
    kind="learning_rate_low",
    signs=signs,
    words=words,
    summary="hardly move: the learning rate is too low",
    remedy="Raise the learning rate there by 10.",
    because=("diverged", "dead_units", "vanishing_gradients"),
    groups=("learning_rate", "optimizer"),
)
