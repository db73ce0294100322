"""Dead units: zero on every validation row, so that they neither say nor learn anything."""

from __future__ import annotations

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.probes import began, worst_layer
from unitune.diagnosis.rule import Rule, Signs, Words, percent, show


def signs(evidence: Evidence) -> Signs:
    """The share of dead units in the worst hidden layer after training."""
    share, layer, start = worst_layer(evidence, "dead_units")
    return Signs(
        found=share >= t.DEAD_SHARE,
        numbers={"dead_share": share, "layer": layer, "dead_share_first_epoch": start},
    )


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """Where and since when, and how to keep units alive."""
    share, layer, start = (float(signs.numbers[n][position]) for n in ("dead_share", "layer", "dead_share_first_epoch"))
    epoch = began(evidence, "dead_units", position, int(layer), t.DEAD_SHARE)
    rate = float(evidence.rate[position])
    advice = ["Try `activations=['leaky_relu', 'elu', 'gelu']`, which always let some gradient through."]
    if start < t.DEAD_SHARE:
        advice.append(f"They died in training: try `learning_rates=[{show(rate / 3)}, {show(rate / 10)}]`.")
    else:
        advice.append(
            "They were dead from the first epoch on: look at the initial weights and biases (`initializers`)."
        )
    return Words(
        severity="warning" if share >= t.DEAD_SEVERE else "advice",
        title=f"{percent(share)} of the units in hidden layer {int(layer)} are dead, from epoch {epoch} on",
        advice=" ".join(advice),
        evidence={"began_epoch": epoch},
    )


RULE = Rule(
    kind="dead_units",
    signs=signs,
    words=words,
    summary="have dead units",
    remedy="Use leaky_relu, elu or gelu in place of what can die, or a lower learning rate.",
    because=("diverged", "learning_rate_high"),
)
