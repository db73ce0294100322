"""Exploding gradients: they grow on their way back through the layers, or are huge everywhere."""

from __future__ import annotations

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.probes import flow
from unitune.diagnosis.rule import Rule, Signs, Words, show


def signs(evidence: Evidence) -> Signs:
    """The gradient norm of the first over that of the last dense layer, and the largest norm in baseline losses."""
    share, largest = flow(evidence)
    return Signs(
        found=(share > t.EXPLODING_RATIO) | (largest > t.EXPLODING_NORM),
        numbers={"first_over_last": share, "largest_norm": largest},
    )


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """How large they are, and what tames them."""
    share, largest = (float(signs.numbers[name][position]) for name in ("first_over_last", "largest_norm"))
    seen = (
        f"the largest gradient norm is {show(largest)} times the loss of a constant prediction"
        if largest > t.EXPLODING_NORM
        else f"the first layer's gradient is {show(share)} times the last layer's"
    )
    return Words(
        severity="warning",
        title=f"Exploding gradients: {seen}",
        advice="Clip them (`clipnorm=1.0` on the optimizer), use smaller initial weights or "
        "`batch_normalization=True`; check that the features are normalised.",
    )


RULE = Rule(
    kind="exploding_gradients",
    signs=signs,
    words=words,
    summary="have exploding gradients",
    remedy="Clip gradients, use smaller initial weights or batch normalization.",
    because=("diverged", "learning_rate_high"),
)
