"""scikit-learn's interface: estimators that build Keras networks, and searches that train all candidates together."""

from unitune.integrations.sklearn.function import KerasEstimator
from unitune.integrations.sklearn.mlp import KerasMLPClassifier, KerasMLPRegressor
from unitune.integrations.sklearn.search import FusedGridSearchCV, FusedRandomizedSearchCV, UnfusedWarning
from unitune.integrations.sklearn.tuned import UnituneClassifier, UnituneRegressor

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
