"""Oracles, by KerasTuner's import path."""

from unitune.keras_tuner.tuners.bayesian import BayesianOptimizationOracle
from unitune.keras_tuner.tuners.gridsearch import GridSearchOracle
from unitune.keras_tuner.tuners.hyperband import HyperbandOracle
from unitune.keras_tuner.tuners.randomsearch import RandomSearchOracle

BayesianOptimization = BayesianOptimizationOracle
GridSearch = GridSearchOracle
Hyperband = HyperbandOracle
RandomSearch = RandomSearchOracle

__all__ = [
    "BayesianOptimization",
    "BayesianOptimizationOracle",
    "GridSearch",
    "GridSearchOracle",
    "Hyperband",
    "HyperbandOracle",
    "RandomSearch",
    "RandomSearchOracle",
]
