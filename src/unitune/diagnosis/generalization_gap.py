"""A gap between training and validation rows: the network knows the rows it learnt from, and others far less.

The curve need not show it. With early stopping the validation loss does not rise, and yet what is learnt may be the
rows themselves, as it is with more columns than rows.
"""

from __future__ import annotations

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.overfit import CLOSERS
from unitune.diagnosis.rule import Rule, Signs, Words, show


def signs(evidence: Evidence) -> Signs:
    """The share of the loss that is explained on training rows, and how much less it is on validation rows."""
    train, validation = evidence.explained
    gap = train - np.maximum(validation, 0.0)  # what is below 0 is not known at all
    return Signs(
        found=(gap >= t.GAP) & (train >= t.GAP_EXPLAINED),
        numbers={"explained_train": train, "explained_validation": validation, "gap": gap},
    )


def fits_well(evidence: Evidence) -> np.ndarray:
    """`(trial,)`: much is explained on the validation rows, and nearly as much as on the training rows."""
    train, validation = evidence.explained
    return np.asarray((validation >= t.FITS_EXPLAINED) & (train - validation <= t.FITS_GAP))


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """The two scores, and which values close the gap without a loss of score."""
    score = evidence.trials[position].scores[evidence.objective]
    closed = _closers(evidence, signs, position)
    configuration, varied = evidence.trials[position].configuration, evidence.varying()
    advice = ["What is learnt of these rows is largely not true of others: more rows or fewer features help most."]
    if closed:
        advice.append("A smaller gap at no worse a score here: " + "; ".join(closed) + ".")
    for name, argument in (("dropout", "dropouts=[0.0, 0.2, 0.5]"), ("weight_decay", "weight_decays=[0.1, 1.0, 3.0]")):
        if evidence.has(name) and name not in varied and not configuration.get(name):
            advice.append(f"Try `{argument}`.")
    return Words(
        severity="advice",
        title=(
            f"Far better on the rows it was trained on than on others: {evidence.objective} {show(score.train)} there, "
            f"{show(score.mean)} on the validation rows"
        ),
        advice=" ".join(advice),
    )


def _closers(evidence: Evidence, signs: Signs, position: int) -> list[str]:
    """Values whose trials have at most half the gap, and of which one scores no worse."""
    phrases = []
    gap, own = signs.numbers["gap"], float(evidence.mean[position])
    for name in evidence.varying(*CLOSERS):
        for value, members in evidence.groups(name):
            known = gap[members][np.isfinite(gap[members])]
            best = evidence.best_of(members)
            if position in members or best is None or not len(known) or np.median(known) > gap[position] / 2:
                continue
            if evidence.better(evidence.mean[best], own) >= 0:
                phrases.append(f"{name} {value} ({evidence.objective} {evidence.mean[best]:.4g})")
    return phrases


RULE = Rule(
    kind="generalization_gap",
    signs=signs,
    words=words,
    summary="are far better on the rows they were trained on than on others",
    remedy="More rows, fewer features, dropout or weight decay close the gap.",
    because=("diverged", "learning_rate_high", "exploding_gradients"),
)
