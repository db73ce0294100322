"""Divergence: members whose loss stopped being a finite number."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import Rule, Signs, Words, show


def signs(evidence: Evidence) -> Signs:
    """Which trials failed because a loss or a prediction was not finite, and from which epoch on."""
    epochs = np.arange(evidence.train.shape[1])[None, :]
    trained = epochs < np.asarray(evidence.n_epochs)[:, None]
    broken = trained & ~np.isfinite(evidence.train)
    first = np.where(broken.any(axis=1), broken.argmax(axis=1) + 1.0, np.nan)
    said = np.array(["diverged" in trial.failure for trial in evidence.trials], dtype=bool)
    began = evidence.per_trial(first)
    return Signs(
        found=said | np.isfinite(began),
        numbers={"first_epoch": began, "learning_rate": evidence.rate},
    )


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """At what rate, and lower ones to try."""
    rate = float(signs.numbers["learning_rate"][position])
    return Words(
        severity="warning",
        title=f"Trial {evidence.trials[position].number} diverged: its loss was no finite number",
        advice=f"Try `learning_rates=[{show(rate / 10)}, {show(rate / 100)}]`, or `clipnorm` on the optimizer.",
    )


RULE = Rule(
    kind="diverged",
    signs=signs,
    words=words,
    summary="diverged",
    remedy="Lower the learning rate there by 10, or clip gradients (`clipnorm`); check that features are normalised.",
    groups=("learning_rate", "optimizer"),
    smallest_group=1,
)
