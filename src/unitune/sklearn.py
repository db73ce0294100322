"""Unitune inside scikit-learn: estimators that build Keras networks, and searches that train them together."""

from unitune.integrations.sklearn import (
    FusedGridSearchCV,
    FusedRandomizedSearchCV,
    KerasEstimator,
    KerasMLPClassifier,
    KerasMLPRegressor,
    UnfusedWarning,
    UnituneClassifier,
    UnituneRegressor,
)

__all__ = [
    "FusedGridSearchCV",
    "FusedRandomizedSearchCV",
    "KerasEstimator",
    "KerasMLPClassifier",
    "KerasMLPRegressor",
    "UnfusedWarning",
    "UnituneClassifier",
    "UnituneRegressor",
]
