"""A class that is never predicted: the majority's share looks like a score."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import Rule, Signs, Words, percent


def signs(evidence: Evidence) -> Signs:
    """The recall of the class that is found least, among classes with enough rows."""
    counts = np.asarray(evidence.class_counts, dtype=float)
    if evidence.recall is None or not len(counts):
        nothing = np.full(len(evidence.trials), np.nan)
        return Signs(found=np.zeros(len(evidence.trials), dtype=bool), numbers={"recall": nothing, "class": nothing})
    # The mean: in a fold a rare class has a few rows, of which a median member may find none by chance.
    recall = np.stack([evidence.mean_per_trial(column) for column in np.asarray(evidence.recall).T], axis=1)
    recall = np.where(counts[None, :] >= t.IGNORED_ROWS, recall, np.nan)
    filled = np.where(np.isfinite(recall), recall, np.inf)
    worst = filled.argmin(axis=1)
    lowest = filled[np.arange(len(filled)), worst]
    return Signs(
        found=lowest < t.IGNORED_RECALL,
        numbers={"recall": np.where(np.isfinite(lowest), lowest, np.nan), "class": worst.astype(float)},
    )


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """Which class, how many rows it has, and how to give it weight."""
    worst = int(signs.numbers["class"][position])
    recall = float(signs.numbers["recall"][position])
    count, total = evidence.class_counts[worst], sum(evidence.class_counts)
    label = evidence.class_labels[worst] if worst < len(evidence.class_labels) else str(worst)
    return Words(
        severity="warning",
        title=f"Class {label} is ignored: {percent(recall)} of its validation rows are found",
        advice="Try `class_weight='balanced'` and `objective='balanced_accuracy'` (or `'f1'`, `'auc'`).",
        evidence={"class": label, "rows": count, "share_of_rows": count / total},
    )


RULE = Rule(
    kind="class_ignored",
    signs=signs,
    words=words,
    summary="ignore a class",
    remedy="Use `class_weight='balanced'` and a metric that counts every class.",
    because=("diverged", "learning_rate_high", "learning_rate_low", "dead_units"),
)
