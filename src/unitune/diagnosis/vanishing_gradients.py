"""Vanishing gradients: the first layers hardly learn, as little of the gradient reaches them."""

from __future__ import annotations

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.probes import flow
from unitune.diagnosis.rule import Rule, Signs, Words, show


def signs(evidence: Evidence) -> Signs:
    """The gradient norm of the first over that of the last dense layer."""
    share, _ = flow(evidence)
    return Signs(found=share < t.VANISHING_RATIO, numbers={"first_over_last": share})


def words(evidence: Evidence, signs: Signs, position: int) -> Words:
    """How much is lost, and what lets it through."""
    share = float(signs.numbers["first_over_last"][position])
    learnt = float(evidence.explained[0][position])
    layers = evidence.trials[position].configuration.get("layers")
    advice = ["Try `activations=['relu', 'gelu', 'selu']` and `batch_normalization=True`."]
    if isinstance(layers, int) and layers > 2:
        advice.append(f"Or fewer layers: `layers=[{', '.join(map(str, sorted({1, 2, layers // 2})))}]`.")
    return Words(
        severity="warning" if not learnt >= t.VANISHING_LEARNT else "info",
        title=f"Vanishing gradients: the first layer's gradient is {show(share)} of the last layer's",
        advice=" ".join(advice),
        evidence={"explained_train": learnt},
    )


RULE = Rule(
    kind="vanishing_gradients",
    signs=signs,
    words=words,
    summary="have vanishing gradients",
    remedy="Use relu, gelu or selu, batch normalization, or fewer layers.",
    because=("diverged", "learning_rate_high", "dead_units"),
)
