"""The estimators beside scikit-learn's checks: what they train, how they are cloned and pickled, what they refuse."""

import pickle
import threading
from io import BytesIO

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import make_classification
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import unitune
from unitune.models.blueprint import Blueprint, LayerSpec
from unitune.models.build import bare_model
from unitune.models.forward import forward, is_simple
from unitune.sklearn import KerasEstimator, KerasMLPClassifier, KerasMLPRegressor, UnituneClassifier

pytestmark = pytest.mark.slow

X, Y = make_classification(90, 4, n_informative=3, n_redundant=0, random_state=0)
LABELS = np.array(["no", "yes"])[Y]
NUMBERS = np.stack([X[:, 0] * 40 + 7, X[:, 1]], axis=1)


def through_a_file(value):
    file = BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


def rows():
    return X[:10].astype("float32")


@pytest.fixture(scope="module")
def classifier():
    network = KerasMLPClassifier(
        units=(4, 3),
        activation=["relu", "leaky_relu(negative_slope=0.1)"],
        batch_normalization=True,
        dropout=0.1,
        epochs=3,
        random_state=0,
    )
    return network.fit(X, LABELS)


def test_predictions_are_those_of_the_keras_model(classifier):
    own = classifier.model_.predict(rows(), verbose=0)[:, 0]
    assert classifier.predict_proba(X[:10])[:, 1] == pytest.approx(own, abs=1e-6)
    assert set(classifier.predict(X)) <= {"no", "yes"}
    assert [layer.units for layer in classifier.model_.layers[-1].layers if hasattr(layer, "units")] == [4, 3, 1]


def test_a_pickle_predicts_the_same_without_a_live_model(classifier):
    again = through_a_file(classifier)
    assert again.predict_proba(X).tolist() == classifier.predict_proba(X).tolist()
    assert again.model_.count_params() == classifier.model_.count_params()
    assert len(pickle.dumps(classifier)) < 20_000


def test_a_regression_keeps_its_units_and_its_columns():
    network = KerasMLPRegressor(units=4, epochs=3, learning_rate=0.05, random_state=0).fit(X, NUMBERS)
    assert network.predict(X).shape == NUMBERS.shape
    assert network.predict(X[:10]) == pytest.approx(network.model_.predict(rows(), verbose=0), rel=1e-4, abs=1e-4)
    assert list(network.history_) == ["loss", "mae"]


def test_patience_stops_on_rows_that_are_held_out():
    network = KerasMLPClassifier(units=4, epochs=60, patience=1, learning_rate=0.3, random_state=0).fit(X, Y)
    assert network.n_iter_ < 60
    assert len(network.history_["val_loss"]) == network.n_iter_


def test_cross_validation_of_a_pipeline():
    network = KerasMLPClassifier(units=4, epochs=3, random_state=0)
    assert cross_val_score(make_pipeline(StandardScaler(), network), X, Y, cv=2).shape == (2,)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"units": 0}, "`units` must be at least 1"),
        ({"units": (8, 4), "layers": 3}, "`layers` goes from 1 to 8"),
        ({"learning_rate": [0.1, 0.2]}, "`learning_rate` must be one value"),
        ({"activation": "rleu"}, "Did you mean `relu`"),
        ({"normalize": "yes"}, "`normalize` must be True, False"),
        ({"engine": "fast"}, "`engine` must be a known name"),
        ({"class_weight": {7: 2.0}}, "`class_weight` must name classes of y"),
    ],
)
def test_parameters_are_checked_in_fit(parameters, message):
    with pytest.raises(unitune.InputError, match=message):
        KerasMLPClassifier(**parameters).fit(X, Y)


def test_what_cannot_be_fused_is_an_error_where_it_was_asked_for():
    with pytest.raises(unitune.FusionError, match="1 of 1 trials have none"):
        KerasMLPClassifier(optimizer="muon", engine="fused").fit(X, Y)


# A function of one's own ------------------------------------------------------------------------------------------


def build(units=4, activation="relu", n_features=None):
    model = keras.Sequential(
        [keras.Input((n_features,)), keras.layers.Dense(units, activation), keras.layers.Dense(1, "sigmoid")]
    )
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    return model


class Doubled(keras.layers.Layer):
    """Of no class that Unitune knows."""

    def build(self, shape):
        self.shift = self.add_weight(shape=(shape[-1],))

    def call(self, x):
        return 2.0 * x + self.shift


def branches(units):
    rows = keras.Input((4,))
    left, right = keras.layers.Dense(units, "relu")(rows), keras.layers.Dense(units, "tanh")(rows)
    model = keras.Model(rows, keras.layers.Dense(2)(Doubled()(keras.layers.Concatenate()([left, right]))))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_parameters_of_the_function_are_those_of_the_estimator():
    network = KerasEstimator(build, units=3)
    assert {"units": 3, "activation": "relu"}.items() <= network.get_params().items()
    assert "n_features" not in network.get_params()
    copy = clone(network).set_params(activation="tanh", epochs=2)
    assert (copy.units, copy.get_params()["activation"], copy.epochs) == (3, "tanh", 2)
    assert network.get_params()["activation"] == "relu"
    with pytest.raises(ValueError, match="Invalid parameter 'width'"):
        network.set_params(width=3)
    with pytest.raises(AttributeError, match="width"):
        _ = network.width


def test_the_task_is_the_type():
    assert is_classifier(KerasEstimator(build))
    assert is_regressor(KerasEstimator(build, task="regression"))
    assert not hasattr(KerasEstimator(build, task="regression"), "predict_proba")


def test_a_model_without_a_fused_form_is_trained_by_itself_and_rebuilt_out_of_a_pickle():
    network = KerasEstimator(branches, units=3, epochs=1, random_state=0).fit(X, LABELS)
    again = through_a_file(network)
    assert network.engine_ == "solo"
    assert again.predict_proba(X) == pytest.approx(network.predict_proba(X), abs=1e-6)
    assert network.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(len(X)))


def test_a_function_may_build_a_network_for_images():
    def flat(n_outputs):
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(n_outputs, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    images = np.stack([X, -X], axis=2)
    network = KerasEstimator(flat, epochs=1, random_state=0).fit(images, np.arange(len(X)) % 3)
    own = network.model_.predict(images.astype("float32"), verbose=0)
    assert network.predict_proba(images) == pytest.approx(own, abs=1e-6)


def test_a_function_that_holds_on_to_something_live_cannot_be_pickled():
    lock = threading.Lock()

    def holds(units=3):
        with lock:
            return build(units)

    with pytest.raises(unitune.OptionError, match="it uses `lock`, a lock"):
        pickle.dumps(KerasEstimator(holds))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (KerasEstimator(), "`build_fn` must be a function"),
        (KerasEstimator(build, width=3), "parameters must be those of `build_fn`, but got `width`"),
        (KerasEstimator(branches), "`build_fn` needs `units`"),
        (KerasEstimator(lambda: 3), "a model must be a `keras.Model`"),
        (KerasEstimator(build, task="regresion"), "`task` must be a known name"),
    ],
)
def test_functions_are_checked_in_fit(network, message):
    with pytest.raises(unitune.OptionError, match=message):
        network.fit(X, Y)


def test_a_model_with_too_few_outputs_is_named():
    with pytest.raises(unitune.DataError, match="3 outputs, as many as y has classes, but it has 1"):
        KerasEstimator(build).fit(X, np.arange(len(X)) % 3)


# The forward pass -------------------------------------------------------------------------------------------------


def spec(class_name, **config):
    return LayerSpec(class_name=class_name, config=config)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "softmax", "gelu", "selu", "linear"])
def test_a_forward_pass_is_that_of_keras(activation):
    layers = (
        spec("Dense", units=5, activation=activation),
        spec("BatchNormalization"),
        spec("Dropout", rate=0.5),
        spec("PReLU", alpha_initializer="ones"),
        spec("LeakyReLU", negative_slope=0.3),
        spec("Dense", units=2, use_bias=False),
    )
    blueprint = Blueprint(layers=layers)
    model = bare_model(blueprint, (4,))
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.1, 1.0, np.shape(weight)).astype("float32") for weight in model.get_weights()]
    model.set_weights(weights)
    assert is_simple(blueprint)
    assert forward(blueprint, weights, rows()) == pytest.approx(np.asarray(model(rows())), abs=1e-5)


# A search inside --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned():
    network = UnituneClassifier(units=[2, 4], activations="relu", learning_rates=0.05, cv=2, random_state=0)
    return network.fit(X, LABELS)


def test_it_predicts_with_the_recommended_model(tuned):
    result = tuned.result_
    assert isinstance(result, unitune.Result)
    assert tuned.best_params_ == dict(result.recommended.configuration)
    own = result.model(result.recommended).predict(rows(), verbose=0)[:, 0]
    assert tuned.predict_proba(X[:10])[:, 1] == pytest.approx(own, abs=1e-6)
    assert set(tuned.predict(X)) <= {"no", "yes"}


def test_it_is_what_tune_finds(tuned):
    result = unitune.tune(
        X, LABELS, units=[2, 4], activations="relu", learning_rates=0.05, folds=2, seed=0, progress=False
    )
    assert result.best.scores["accuracy"].values == tuned.result_.best.scores["accuracy"].values


def test_its_pickle_holds_the_whole_answer(tuned):
    again = through_a_file(tuned)
    assert again.predict_proba(X).tolist() == tuned.predict_proba(X).tolist()
    assert again.result_.table().equals(tuned.result_.table())
    assert again.result_.history().equals(tuned.result_.history())
    assert again.result_.credible == tuned.result_.credible
    model = again.result_.model(again.result_.recommended)
    assert model.predict(rows(), verbose=0)[:, 0] == pytest.approx(again.predict_proba(X[:10])[:, 1], abs=1e-6)
    other = next(t for t in again.result_.trials if t.number != again.result_.recommended.number)
    with pytest.raises(unitune.RunFolderError, match="out of a pickle"):
        again.result_.model(other)
