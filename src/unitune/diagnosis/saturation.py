"""Saturation: sigmoid or tanh units that sit at the ends of their range, where the gradient is nearly zero."""

from __future__ import annotations

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.probes import began, worst_layer
from unitune.diagnosis.rule import Rule, Signs, Words, percent


def signs(evidence: Evidence) -> Signs:
    """The share of outputs beyond 95 % of the range in the worst hidden layer after training."""
    share, layer, start = worst_layer(evidence, "saturated")
    return Signs(
        found=(share >= t.SATURATED_GROWN) | ((share >= t.SATURATED_SHARE) & (start >= t.SATURATED_SHARE)),
        numbers={"saturated_share": share, "layer": layer, "saturated_share_first_epoch": start},
    )


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """Where and since when, and what brings units back into their range."""
    numbers = signs.numbers
    share, layer = float(numbers["saturated_share"][position]), int(numbers["layer"][position])
    epoch = began(evidence, "saturated", position, layer, t.SATURATED_SHARE)
    early = float(numbers["saturated_share_first_epoch"][position]) >= t.SATURATED_SHARE
    advice = [
        "From the first epoch on: the inputs or initial weights are too large; use `normalize=True` or smaller weights."
        if early
        else "It grew in training: try `weight_decays=[0.001, 0.01]` or a lower learning rate."
    ]
    advice.append("Or try `activations=['relu', 'gelu']`, `batch_normalization=True`.")
    return Words(
        severity="warning" if share >= t.SATURATED_SEVERE else "advice",
        title=f"{percent(share)} of the outputs of hidden layer {layer} are saturated, from epoch {epoch} on",
        advice=" ".join(advice),
        evidence={"began_epoch": epoch},
    )


RULE = Rule(
    kind="saturation",
    signs=signs,
    words=words,
    summary="are saturated",
    remedy="Normalise the inputs, use batch normalization, or use relu or gelu.",
    because=("diverged", "learning_rate_high"),
)
