"""KerasTuner's interface on the fused engine: `import unitune.keras_tuner as keras_tuner`.

Names, signatures and meaning are those of KerasTuner 1.4; trials that the fused engine can train are trained together.
"""

from unitune.adoption.hypermodel import HyperModel
from unitune.keras_tuner import applications, engine, errors, oracles, protos, tuners
from unitune.keras_tuner.engine.objective import Objective
from unitune.keras_tuner.engine.oracle import Oracle, synchronized
from unitune.keras_tuner.engine.tuner import Tuner
from unitune.keras_tuner.tuners import BayesianOptimization, GridSearch, Hyperband, RandomSearch, SklearnTuner
from unitune.space.hyperparameters import HyperParameter, HyperParameters

__version__ = "1.4.8"
"""The version of KerasTuner whose names these are."""

__all__ = [
    "BayesianOptimization",
    "GridSearch",
    "HyperModel",
    "HyperParameter",
    "HyperParameters",
    "Hyperband",
    "Objective",
    "Oracle",
    "RandomSearch",
    "SklearnTuner",
    "Tuner",
    "applications",
    "engine",
    "errors",
    "oracles",
    "protos",
    "synchronized",
    "tuners",
]
