"""Rows and labels as users of scikit-learn have them: sparse, frames with text, labels of several types, callbacks."""

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import unitune
from unitune.sklearn import KerasEstimator, KerasMLPClassifier, UnituneClassifier, UnituneRegressor

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")
QUICK = {"units": [4], "activations": "relu", "cv": 2, "epochs": 2, "random_state": 0}


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.coo_matrix, sp.csc_array])
def test_sparse_rows_are_their_numbers(form):
    network = KerasMLPClassifier(units=4, epochs=2, random_state=0).fit(X, Y)
    sparse = KerasMLPClassifier(units=4, epochs=2, random_state=0).fit(form(X), Y)
    np.testing.assert_array_equal(sparse.predict_proba(form(X)), network.predict_proba(X))


def test_sparse_rows_that_would_not_fit_say_what_to_do():
    rows = sp.csr_matrix((40, 2**25))
    with pytest.raises(ValueError, match="TruncatedSVD"):
        KerasMLPClassifier(units=4, epochs=1).fit(rows, Y[:40])


def test_the_tuned_take_sparse_rows():
    model = UnituneClassifier(**QUICK).fit(sp.csr_matrix(X), Y)
    np.testing.assert_allclose(model.predict_proba(sp.csr_matrix(X)), model.predict_proba(X))


FRAME = pd.DataFrame(
    {
        "number": np.where(X[:, 1] > 1.5, np.nan, X[:, 0]),
        "city": np.where(X[:, 0] > 0, "Bern", np.where(X[:, 1] > 0, "Graz", None)),
        "day": pd.date_range("2024-01-01", periods=80),
    }
)


@pytest.mark.parametrize("kind", [UnituneClassifier, UnituneRegressor])
def test_frames_with_text_dates_and_gaps(kind):
    target = Y if kind is UnituneClassifier else X[:, 0]
    model = kind(**QUICK).fit(FRAME, target)
    own = model.result_.predict(FRAME, model.result_.recommended)
    shown = model.predict_proba(FRAME)[:, 1] if kind is UnituneClassifier else model.predict(FRAME)
    expected = own["probability_yes"] if kind is UnituneClassifier else own["prediction"]
    np.testing.assert_allclose(shown, expected, rtol=1e-4, atol=1e-5)
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == ["number", "city", "day"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(FRAME.rename(columns={"city": "town"}))
    with pytest.raises(ValueError, match="rows must be a table"), pytest.warns(UserWarning, match="feature names"):
        model.predict(X)


def test_labels_of_several_types_are_refused_with_a_remedy():
    mixed = np.array(["a", 1], dtype=object)[(X[:, 0] > 0).astype(int)]
    with pytest.raises(ValueError, match=r"labels of one type.*Make all of them text"):
        KerasMLPClassifier().fit(X, mixed)


def test_several_columns_of_labels_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"argmax.*MultiOutputClassifier"):
        KerasMLPClassifier().fit(X, (X > 0).astype(int))


def build(units=4):
    model = keras.Sequential([keras.layers.Dense(units, "relu"), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    return model


def test_callbacks_of_fit_stop_as_keras_does():
    stop = keras.callbacks.EarlyStopping("loss", min_delta=10.0, patience=1)
    model = KerasEstimator(build, epochs=9, random_state=0).fit(X, Y, callbacks=[stop])
    alone = build()
    history = alone.fit(X, (Y == "yes").astype("float32"), epochs=9, verbose=0, callbacks=[stop])
    assert model.n_iter_ == len(history.epoch) == 2


@pytest.mark.parametrize("given", [3, [keras.callbacks.CSVLogger("log.csv")]])
def test_other_callbacks_are_refused(given):
    with pytest.raises(unitune.OptionError, match=r"callbacks|CSVLogger"):
        KerasEstimator(build, epochs=2).fit(X, Y, callbacks=given)
    with pytest.raises(unitune.OptionError, match="Listener"):
        UnituneClassifier(units=[4], activations="relu").fit(X, Y, callbacks=given)
