"""Fused searches give what scikit-learn's own searches give, over the same estimators."""

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from unitune.sklearn import (
    FusedGridSearchCV,
    FusedRandomizedSearchCV,
    KerasEstimator,
    KerasMLPClassifier,
    KerasMLPRegressor,
    UnfusedWarning,
)

pytestmark = pytest.mark.slow

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
NETWORK = KerasMLPClassifier(units=4, epochs=3, learning_rate=0.02, random_state=0)
RATES = {"learning_rate": [0.01, 0.05]}
MULTIMETRIC = {
    "scoring": ["accuracy", "neg_log_loss", "roc_auc_ovr"],
    "refit": "neg_log_loss",
    "return_train_score": True,
    "cv": 3,
}


def same_results(ours, theirs, within=1e-5):
    a, b = ours.cv_results_, theirs.cv_results_
    assert list(a) == list(b)
    for key, values in b.items():
        if "time" in key:
            assert a[key].shape == values.shape
        elif key == "params":
            assert [repr(p) for p in a[key]] == [repr(p) for p in values]
        elif np.ma.isMaskedArray(values):
            assert a[key].mask.tolist() == values.mask.tolist()
            assert [repr(v) for v in a[key]] == [repr(v) for v in values]
        elif not key.startswith("rank"):
            assert a[key] == pytest.approx(values, abs=within, nan_ok=True), key
    assert ours.n_splits_ == theirs.n_splits_
    assert ours.multimetric_ == theirs.multimetric_
    if hasattr(theirs, "best_params_"):
        assert repr(ours.best_params_) == repr(theirs.best_params_)
        assert ours.best_score_ == pytest.approx(theirs.best_score_, abs=within)


@pytest.fixture(scope="module")
def searched():
    grid = [{"units": [3, 4], "activation": ["relu", "tanh"]}, {"dropout": [0.2]}]
    return [kind(NETWORK, grid, **MULTIMETRIC).fit(X, Y) for kind in (FusedGridSearchCV, GridSearchCV)]


def test_a_grid_gives_the_results_of_scikit_learn(searched):
    same_results(*searched)


def test_the_best_is_refitted_and_predicts(searched):
    ours, theirs = searched
    assert ours.predict_proba(X) == pytest.approx(theirs.predict_proba(X), abs=1e-5)
    assert ours.classes_.tolist() == theirs.classes_.tolist()
    assert ours.score(X, Y) == pytest.approx(theirs.score(X, Y), abs=1e-5)
    assert ours.estimator is NETWORK


def test_the_time_of_a_candidate_is_its_share_of_the_engine(searched):
    assert (searched[0].cv_results_["mean_fit_time"] > 0).all()


def test_plain_fit_gives_the_same_scores():
    network = sklearn.clone(NETWORK).set_params(engine="solo")
    fixed = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    searches = [kind(network, {"units": [3, 4]}, **fixed).fit(X, Y) for kind in (FusedGridSearchCV, GridSearchCV)]
    same_results(*searches)
    assert not hasattr(searches[0], "best_estimator_")


def test_a_random_search_draws_the_same_candidates():
    x, y = make_regression(90, 4, noise=1.0, random_state=0)
    network = KerasMLPRegressor(epochs=3, learning_rate=0.02, random_state=0)
    given = {
        "param_distributions": {"units": [3, 4], "learning_rate": [0.01, 0.02, 0.05]},
        "n_iter": 3,
        "cv": KFold(2, shuffle=True, random_state=0),
        "random_state": 1,
        "refit": lambda results: int(np.argmax(results["mean_test_score"])),
    }
    ours, theirs = (kind(network, **given).fit(x, y) for kind in (FusedRandomizedSearchCV, RandomizedSearchCV))
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert ours.cv_results_["mean_test_score"] == pytest.approx(theirs.cv_results_["mean_test_score"], abs=1e-5)
    assert ours.best_params_ == theirs.best_params_


def count_fits(monkeypatch):
    fits = []
    fit = StandardScaler.fit
    monkeypatch.setattr(StandardScaler, "fit", lambda self, *a, **k: fits.append(1) or fit(self, *a, **k))
    return fits


def test_earlier_steps_of_a_pipeline_are_fitted_once_for_each_fold_and_setting(monkeypatch):
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", NETWORK)])
    grid = {"scale__with_mean": [True, False], "mlp__units": [3, 4]}
    theirs = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss").fit(X, Y)
    fits = count_fits(monkeypatch)
    ours = FusedGridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss").fit(X, Y)
    assert len(fits) == 2 * 2 + 1  # folds times settings, and the refit
    same_results(ours, theirs)
    assert ours.best_estimator_.memory is None
    assert pipeline.memory is None


def test_columns_are_transformed_before_the_network():
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": np.where(X[:, 2] > 0, "up", "down")})
    columns = ColumnTransformer([("n", StandardScaler(), ["a", "b"]), ("k", OneHotEncoder(), ["kind"])])
    pipeline = Pipeline([("columns", columns), ("mlp", NETWORK)]).set_output(transform="pandas")
    pipeline.set_params(columns__k__sparse_output=False)
    search = FusedGridSearchCV(pipeline, {"mlp__units": [3, 4]}, cv=2).fit(frame, Y)
    assert search.best_estimator_[-1].feature_names_in_.tolist() == ["n__a", "n__b", "k__kind_down", "k__kind_up"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_network_inside_another_estimator_is_found():
    x, y = make_regression(90, 4, random_state=0)
    inner = KerasMLPRegressor(units=3, epochs=3, learning_rate=0.02, random_state=0)
    outer = TransformedTargetRegressor(inner, transformer=StandardScaler())
    grid = {"regressor__units": [3, 4]}
    searches = [kind(outer, grid, cv=2).fit(x, y) for kind in (FusedGridSearchCV, GridSearchCV)]
    same_results(*searches)


def test_sample_weight_and_groups_are_routed():
    weight, groups = np.where(Y == 0, 3.0, 1.0), np.arange(len(Y)) % 6
    with sklearn.config_context(enable_metadata_routing=True):
        network = sklearn.clone(NETWORK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        fits = [
            kind(network, RATES, cv=GroupKFold(3)).fit(X, Y, sample_weight=weight, groups=groups)
            for kind in (FusedGridSearchCV, GridSearchCV)
        ]
    same_results(*fits)
    unweighted = FusedGridSearchCV(NETWORK, RATES, cv=GroupKFold(3)).fit(X, Y, groups=groups)
    assert unweighted.cv_results_["mean_test_score"].tolist() != fits[0].cv_results_["mean_test_score"].tolist()


def test_a_candidate_that_fails_scores_error_score():
    grid = {"units": [3, 0]}
    with pytest.warns(FitFailedWarning, match="`units` must be at least 1"):
        search = FusedGridSearchCV(NETWORK, grid, cv=2, error_score=-1.0).fit(X, Y)
    assert search.cv_results_["mean_test_score"][1] == -1.0
    with pytest.raises(ValueError, match="`units` must be at least 1"):
        FusedGridSearchCV(NETWORK, grid, cv=2, error_score="raise").fit(X, Y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_candidate_that_diverges_scores_error_score():
    network = sklearn.clone(NETWORK).set_params(optimizer="sgd")
    with pytest.warns(FitFailedWarning, match="diverged"):
        search = FusedGridSearchCV(network, {"learning_rate": [0.01, 1e30]}, cv=2).fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"scoring": "acuracy"}, "acuracy"), ({"cv": 1}, "'cv' parameter"), ({"refit": "f1"}, "refit")],
)
def test_messages_are_those_of_scikit_learn(arguments, message):
    if "refit" in arguments:
        arguments = arguments | {"scoring": ["accuracy"]}
    errors = []
    for kind in (FusedGridSearchCV, GridSearchCV):
        with pytest.raises(ValueError, match=message) as caught:
            kind(NETWORK, {"units": [3]}, **arguments).fit(X, Y)
        errors.append(str(caught.value).replace("FusedGridSearchCV", "GridSearchCV"))
    assert errors[0] == errors[1]


def test_an_unknown_parameter_is_named_by_scikit_learn():
    with pytest.raises(ValueError, match="Invalid parameter 'unit' for estimator KerasMLPClassifier"):
        FusedGridSearchCV(NETWORK, {"unit": [3]}, cv=2).fit(X, Y)


def test_candidates_without_a_fused_form_are_named_with_the_reason():
    with pytest.warns(UnfusedWarning, match=r"1 of 2 candidates \(`optimizer`: 'muon'\)"):
        search = FusedGridSearchCV(NETWORK, {"optimizer": ["adam", "muon"]}, cv=2, refit=False).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_an_estimator_without_a_network_is_left_to_scikit_learn():
    with pytest.warns(UnfusedWarning, match="`LogisticRegression` holds no Keras network"):
        search = FusedGridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, Y)
    theirs = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, Y)
    same_results(search, theirs)


def build(units=4, activation="relu", rate=0.02):
    layers = [keras.layers.Dense(units, activation), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy")
    return model


def test_a_function_is_searched_by_the_names_of_its_parameters():
    network = KerasEstimator(build, epochs=3, random_state=0)
    grid = {"units": [4], "rate": [0.01, 0.05]}
    searches = [
        kind(network, grid, cv=2, scoring="neg_log_loss").fit(X, Y) for kind in (FusedGridSearchCV, GridSearchCV)
    ]
    same_results(*searches)
    assert searches[0].best_estimator_.get_params()["units"] == searches[0].best_params_["units"]
