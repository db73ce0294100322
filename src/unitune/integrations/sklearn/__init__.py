"""scikit-learn's interface: estimators that build Keras networks, and searches that train all candidates together."""

from unitune.integrations.sklearn.function import KerasEstimator
from unitune.integrations.sklearn.mlp import KerasMLPClassifier, KerasMLPRegressor
from unitune.integrations.sklearn.search import FusedGridSearchCV, FusedRandomizedSearchCV, UnfusedWarning

__all__ = [
    "FusedGridSearchCV",
    "FusedRandomizedSearchCV",
    "KerasEstimator",
    "KerasMLPClassifier",
    "KerasMLPRegressor",
    "UnfusedWarning",
]
