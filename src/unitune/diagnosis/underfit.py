"""Underfitting: the training rows themselves are not explained, and the validation rows nearly as well."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.curves import at, ratio, smooth
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import Rule, Signs, Words, percent
from unitune.diagnosis.simpler_model import lead
from unitune.records import Array


def signs(evidence: Evidence) -> Signs:
    """The share of the loss that is explained on training and validation rows, here and in the other trials."""
    train, validation = evidence.explained
    low = (train < t.UNDERFIT_EXPLAINED) & (train - validation < t.UNDERFIT_GAP)
    found = low.copy()
    nearest = np.full(len(train), np.nan)
    known = np.flatnonzero(np.isfinite(train) & np.isfinite(validation))
    if len(known):
        # Best validation among the trials that explain at least so much on their training rows: sorted once.
        order = known[np.argsort(-train[known])]
        best_so_far = np.maximum.accumulate(validation[order])
        for position in np.flatnonzero(low):
            enough = int(np.searchsorted(-train[order], -(train[position] + t.UNDERFIT_OTHER_TRAIN), side="right"))
            if enough:
                nearest[position] = best_so_far[enough - 1]
                # Others that fit better do not predict better: what is left is noise, and no sign of too small a model.
                found[position] = nearest[position] >= validation[position] + t.UNDERFIT_OTHER_VALIDATION
    # Where three times the capacity, or a third of it, predicts as well, capacity is not what is missing.
    found &= ~_capacity_is_no_matter(evidence, validation)
    return Signs(
        found=found,
        numbers={
            "train_fall_last_quarter": _still_falling(evidence),
            "explained_train": train,
            "explained_validation": validation,
            "better_trial_validation": nearest,
        },
    )


def _still_falling(evidence: Evidence) -> Array:
    """`(trial,)`: the fall of the training loss over the last quarter of the epochs."""
    n = np.asarray(evidence.n_epochs)
    train = smooth(evidence.train, n)
    before = at(train, n - np.maximum(1, n // 4))
    return evidence.per_trial(ratio(before - at(train, n), before))


def _capacity_is_no_matter(evidence: Evidence, validation: Array) -> Array:
    """`(trial,)`: much larger networks predict no better, or much smaller ones hardly worse."""
    size = np.array([trial.n_parameters for trial in evidence.trials], dtype=float)
    known = np.flatnonzero(np.isfinite(validation) & (size > 0))
    if not len(known):
        return np.zeros(len(size), dtype=bool)
    order = known[np.argsort(size[known], kind="stable")]
    sizes, scores = size[order], validation[order]
    padding = np.full(1, np.nan)
    larger = np.r_[np.maximum.accumulate(scores[::-1])[::-1], padding]
    smaller = np.r_[padding, np.maximum.accumulate(scores)]
    best_larger = larger[np.searchsorted(sizes, t.UNDERFIT_CAPACITY * size, side="left")]
    best_smaller = smaller[np.searchsorted(sizes, size / t.UNDERFIT_CAPACITY, side="right")]
    no_better = best_larger < validation + t.UNDERFIT_OTHER_VALIDATION
    no_worse = best_smaller > validation - t.UNDERFIT_OTHER_VALIDATION
    return np.asarray(no_better | no_worse)


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """How little is explained, and how to give it more capacity."""
    train = float(signs.numbers["explained_train"][position])
    validation = float(signs.numbers["explained_validation"][position])
    configuration = evidence.trials[position].configuration
    advice = []
    fall = float(signs.numbers["train_fall_last_quarter"][position])
    if fall >= t.UNDERFIT_STILL_FALLING:
        epochs = 4 * round(float(np.median(evidence.n_epochs[np.asarray(evidence.trial) == position])))
        advice.append(f"Training still took {percent(fall)} off the loss at its end: first try `epochs={epochs}`.")
    behind = {name: _behind(evidence, name, position) for name in ("linear", "boosting")}
    more: dict[str, float | str] = {}
    if behind["linear"] > 0:
        more["behind_linear"] = behind["linear"]
        advice.append(
            "A linear model is better, so what is missing is no capacity: train longer (without `epochs`, until it is "
            "learnt), or at a higher learning rate."
        )
    units = configuration.get("units") if not more else None
    if isinstance(units, int):
        advice.append(f"Try `units=[{2 * units}, {4 * units}]`.")
    layers = configuration.get("layers") if not more else None
    if isinstance(layers, int):
        advice.append(f"Try `layers={layers + 1}`.")
    lessened = [name for name in ("dropout", "weight_decay", "l1", "l2") if configuration.get(name)]
    if lessened:
        advice.append(f"Lower {', '.join(lessened)}.")
    if max(behind.values()) <= 0:
        advice.append("If that does not help, the features may not hold more.")
    return Words(
        severity="advice",
        title=(
            f"Underfitting: {percent(max(0.0, train))} of the loss is explained on the training rows, "
            f"{percent(max(0.0, validation))} on the validation rows"
        ),
        advice=" ".join(advice),
        evidence=more,
    )


def _behind(evidence: Evidence, reference: str, position: int) -> float:
    """By how much a reference is shown to be ahead of the trial that is handed over; 0 where it is not shown."""
    scores = evidence.references.get(reference, ())
    if position != evidence.winner or not scores:
        return 0.0
    ahead, margin = lead(evidence, scores)
    return -ahead if -ahead > margin else 0.0


RULE = Rule(
    kind="underfit",
    signs=signs,
    words=words,
    summary="underfit",
    remedy="More units or layers, longer training, or less dropout and decay.",
    because=(
        *("diverged", "learning_rate_high", "learning_rate_low", "too_few_epochs", "dead_units"),
        *("vanishing_gradients", "exploding_gradients", "class_ignored"),
    ),
)
