"""scikit-learn's own checks of estimators."""

from contextlib import nullcontext

import keras
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from unitune.sklearn import (
    FusedGridSearchCV,
    FusedRandomizedSearchCV,
    KerasEstimator,
    KerasMLPClassifier,
    KerasMLPRegressor,
    UnituneClassifier,
    UnituneRegressor,
)
from unitune.testing import FakeEngine

pytestmark = pytest.mark.slow

MINI_BATCHES = "rows of weight 0 are still part of the mini-batches, whose loss is a mean over their rows"

EQUIVALENT_WEIGHTS = [f"check_sample_weight_equivalence_on_{form}_data" for form in ("dense", "sparse")]

FOLDS = "a row of weight 0 still counts where rows are dealt out to folds"


class Build:
    """A function with a name that is the same in every process: tests are named after it, and run in several."""

    def __repr__(self):
        return "build"

    def __call__(self, n_outputs, units=8, task="classification"):
        if task == "regression":
            head, loss = keras.layers.Dense(n_outputs), "mse"
        elif n_outputs == 2:
            head, loss = keras.layers.Dense(1, "sigmoid"), "binary_crossentropy"
        else:
            head, loss = keras.layers.Dense(n_outputs, "softmax"), "sparse_categorical_crossentropy"
        model = keras.Sequential([keras.layers.Dense(units, "relu"), head])
        model.compile(keras.optimizers.Adam(0.05), loss)
        return model


build = Build()
SHORT = {"epochs": 20, "random_state": 0, "engine": "fused"}
CLASSIFIER = KerasMLPClassifier(units=8, learning_rate=0.05, **SHORT)
REGRESSOR = KerasMLPRegressor(units=8, learning_rate=0.05, **SHORT)
ESTIMATORS = [
    CLASSIFIER,
    REGRESSOR,
    KerasEstimator(build, **SHORT),
    FusedGridSearchCV(CLASSIFIER, {"units": [4, 8]}, cv=2, error_score="raise"),
]
ALIKE = [
    KerasEstimator(build, task="regression", **SHORT),
    FusedRandomizedSearchCV(REGRESSOR, {"units": [4, 8]}, n_iter=2, cv=2, random_state=0, error_score="raise"),
]


# The warning is raised inside scikit-learn, where it looks for the kind of a target that holds infinity.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(
    ESTIMATORS,
    expected_failed_checks=lambda _: dict.fromkeys(EQUIVALENT_WEIGHTS, MINI_BATCHES),
)
def test_check_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(
    ALIKE,
    expected_failed_checks=lambda _: dict.fromkeys(EQUIVALENT_WEIGHTS, MINI_BATCHES),
)
def test_check_of_scikit_learn_of_what_shares_a_class_with_these(estimator, check):
    check(estimator)


SMALL = {"units": [8, 16], "activations": "tanh", "folds": 2, "random_state": 0}


@pytest.fixture
def _quick(monkeypatch):
    """What these estimators add to `tune` is under test, and not training."""
    monkeypatch.setattr("unitune.tuner.dense.engine_on", lambda *_: nullcontext(FakeEngine()))


@pytest.mark.usefixtures("_quick")
@parametrize_with_checks(
    [UnituneClassifier(**SMALL), UnituneRegressor(**SMALL)],
    expected_failed_checks=lambda _: dict.fromkeys(EQUIVALENT_WEIGHTS, FOLDS),
)
def test_check_of_scikit_learn_with_a_search_inside(estimator, check):
    check(estimator)
