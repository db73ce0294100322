"""Hyperparameters, by KerasTuner's import path."""

from unitune.keras_tuner.engine.hyperparameters import hp_types
from unitune.keras_tuner.engine.hyperparameters.hp_types import deserialize, serialize
from unitune.space.hyperparameters import Boolean, Choice, Fixed, Float, HyperParameter, HyperParameters, Int

__all__ = [
    "Boolean",
    "Choice",
    "Fixed",
    "Float",
    "HyperParameter",
    "HyperParameters",
    "Int",
    "deserialize",
    "hp_types",
    "serialize",
]
