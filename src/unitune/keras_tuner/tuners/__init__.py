"""Tuners, by KerasTuner's import paths."""

from unitune.keras_tuner.engine.tuner import Tuner
from unitune.keras_tuner.tuners import bayesian, gridsearch, hyperband, randomsearch, sklearn_tuner
from unitune.keras_tuner.tuners.bayesian import BayesianOptimization
from unitune.keras_tuner.tuners.gridsearch import GridSearch
from unitune.keras_tuner.tuners.hyperband import Hyperband
from unitune.keras_tuner.tuners.randomsearch import RandomSearch
from unitune.keras_tuner.tuners.sklearn_tuner import SklearnTuner

Sklearn = SklearnTuner

__all__ = [
    "BayesianOptimization",
    "GridSearch",
    "Hyperband",
    "RandomSearch",
    "Sklearn",
    "SklearnTuner",
    "Tuner",
    "bayesian",
    "gridsearch",
    "hyperband",
    "randomsearch",
    "sklearn_tuner",
]
