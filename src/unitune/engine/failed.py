"""The outcome of a member that could not be trained."""

from __future__ import annotations

import numpy as np

from unitune.data.arrays import Split, n_rows
from unitune.engine.contract import Job, Outcome


def failed_outcome(
    job: Job, split: Split, reason: str, *, engine: str, engine_reason: str = "", elapsed_s: float = 0.0
) -> Outcome:
    """No epochs, predictions of NaN, and the reason."""
    metrics = ("loss", *job.training.metric_names)
    return Outcome(
        jobs=(job,),
        metrics=metrics,
        train=np.empty((1, 0, len(metrics))),
        validation=np.empty((1, 0, len(metrics))),
        learning_rate=np.empty((1, 0)),
        n_epochs=np.array([0]),
        best_epoch=np.array([0]),
        train_predictions=np.full((1, n_rows(split.x_train), 1), np.nan),
        validation_predictions=np.full((1, n_rows(split.x_val), 1), np.nan),
        weights=((),),
        failures=(reason,),
        elapsed_s=np.array([elapsed_s]),
        engine=engine,
        engine_reason=engine_reason,
    )
