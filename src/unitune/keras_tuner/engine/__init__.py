"""What a search consists of, by KerasTuner's import paths."""

from unitune.keras_tuner.engine import (
    base_tuner,
    conditions,
    hypermodel,
    hyperparameters,
    metrics_tracking,
    objective,
    oracle,
    trial,
    tuner,
    tuner_utils,
)

__all__ = [
    "base_tuner",
    "conditions",
    "hypermodel",
    "hyperparameters",
    "metrics_tracking",
    "objective",
    "oracle",
    "trial",
    "tuner",
    "tuner_utils",
]
