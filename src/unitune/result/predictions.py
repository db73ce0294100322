"""Numbers that come out of a network, as the user wants them."""

from __future__ import annotations

from scipy import special

from unitune.records import Array, Task


def probabilities(predictions: Array, task: Task, logits: Array) -> Array:
    """Predictions of classes as metrics take them: logits become probabilities, and two columns of a binary task one.

    Args:
        predictions: `(member, row, output)`.
        task: The task; those of a regression are left alone.
        logits: `(member,)`, whose predictions are logits.
    """
    if task == "regression":
        return predictions
    if logits.any():
        raw = predictions[logits]
        turned = special.expit(raw) if raw.shape[-1] == 1 else special.softmax(raw, axis=-1)
        predictions = predictions.copy()
        predictions[logits] = turned
    return predictions[..., 1:] if task == "binary" and predictions.shape[-1] == 2 else predictions
