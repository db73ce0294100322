"""Learning rate too high: the training loss jumps up and down, or the first steps threw the weights away."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.curves import at, lowest, medians, movement, ratio
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.probes import over_layers, per_member
from unitune.diagnosis.rule import Rule, Signs, Words, percent, show


def signs(evidence: Evidence) -> Signs:
    """How much of the training loss's movement is upwards, how high it went, and how large the steps are."""
    up, down = movement(evidence.train)
    steps = np.maximum(np.asarray(evidence.n_epochs) - 1, 1)
    highest = np.where(np.isfinite(evidence.train), evidence.train, -np.inf).max(axis=1, initial=-np.inf)
    updates = over_layers(evidence, "update_ratio")
    # A network that was thrown into saturation takes no steps for a while: what it does later counts as well.
    update = np.fmax(per_member(updates, evidence, first=True), medians(updates))
    numbers = {
        "rise_per_epoch": evidence.per_trial(ratio(up / steps, evidence.scale)),
        "upwards": evidence.per_trial(ratio(up, up + down)),
        "highest": evidence.per_trial(ratio(np.where(highest > -np.inf, highest, np.nan), evidence.scale)),
        "loss_end": evidence.per_trial(ratio(at(evidence.train, np.asarray(evidence.n_epochs)), evidence.scale)),
        "update_ratio": evidence.per_trial(update),
        "lowest_epoch": evidence.per_trial(lowest(evidence.train)),
        "learning_rate": evidence.rate,
    }
    jumps = (numbers["rise_per_epoch"] >= t.RATE_HIGH_RISE) & (numbers["upwards"] >= t.RATE_HIGH_UPWARDS)
    blown = numbers["highest"] >= t.RATE_HIGH_BLOWN
    # Where steps were measured and are small, a large loss has another cause: initial weights, or unscaled inputs.
    steady = numbers["update_ratio"] < t.UPDATE_RATIO_HIGH
    return Signs(found=(jumps | blown) & ~steady, numbers=numbers)


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """What the loss did, and lower rates to try."""
    here = {name: float(values[position]) for name, values in signs.numbers.items()}
    rate = here["learning_rate"]
    if here["highest"] >= t.RATE_HIGH_BLOWN:
        seen = f"the training loss went up to {show(here['highest'])} times that of a constant prediction"
    else:
        seen = f"{percent(here['upwards'])} of the training loss's movement is upwards"
    values = ", ".join(show(rate / step) for step in t.RATE_STEPS)
    return Words(
        severity="warning",
        title=f"Learning rate {show(rate)} is too high: {seen}",
        advice=f"Try `learning_rates=[{values}]`.",
    )


RULE = Rule(
    kind="learning_rate_high",
    signs=signs,
    words=words,
    summary="train unsteadily: the learning rate is too high",
    remedy="Lower the learning rate there by 3 and by 10.",
    because=("diverged",),
    groups=("learning_rate", "optimizer"),
)
