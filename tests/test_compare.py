"""`unitune.compare` with models that the user built."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

import unitune
from unitune.errors import DataError, OptionError

Dense, Sequential = keras.layers.Dense, keras.Sequential


@pytest.fixture(scope="module")
def data():
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return x[:400], y[:400], x[400:], y[400:]


def compiled(*layers, loss="binary_crossentropy", **settings):
    for number, layer in enumerate(layers):
        if isinstance(layer, Dense):
            layer.kernel_initializer = keras.initializers.GlorotUniform(seed=number)
    model = Sequential(list(layers))
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"], **settings)
    return model


def test_the_three_models_of_the_documentation(data):
    x, y, x_val, y_val = data
    models = {
        "relu-64": compiled(Dense(64, "relu"), Dense(1, "sigmoid")),
        "relu-256": compiled(Dense(256, "relu"), Dense(1, "sigmoid")),
        "tanh-64": compiled(Dense(64, "tanh"), Dense(1, "sigmoid")),
    }
    result = unitune.compare(models, x, y, validation_data=(x_val, y_val), epochs=10, progress=False)
    table = result.table()
    assert set(table["model"]) == set(models)
    assert (table["mean"] > 0.9).all()
    assert result.summary()["n_members"] == 3
    assert len(result.history()) == 10 * 5
    assert set(result.predict(x_val[:5])["prediction"]) <= {0, 1}


def test_each_starts_from_its_own_weights_and_is_left_alone(data):
    x, y, x_val, y_val = data
    model = compiled(keras.Input((30,)), Dense(4, "tanh"), Dense(1, "sigmoid"))
    before = [weight.copy() for weight in model.get_weights()]
    result = unitune.compare(
        {"mine": model}, x, y, validation_data=(x_val, y_val), epochs=2, shuffle=False, engine="solo", progress=False
    )
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    logs = model.fit(
        x.astype("float32"), y.astype("float32")[:, None], epochs=2, shuffle=False, verbose=0,
        validation_data=(x_val.astype("float32"), y_val.astype("float32")[:, None]),
    ).history  # fmt: skip
    ours = result.history().query("metric == 'loss'")
    np.testing.assert_allclose(ours.query("split == 'train'")["value"], logs["loss"], rtol=1e-5)
    np.testing.assert_allclose(ours.query("split == 'validation'")["value"], logs["val_loss"], rtol=1e-5)


def test_logits_two_outputs_and_one_output_are_scored_alike(data):
    x, y, *_ = data
    models = {
        "logits": compiled(Dense(4), Dense(1), loss=keras.losses.BinaryCrossentropy(from_logits=True)),
        "two": compiled(Dense(4), Dense(2, "softmax"), loss="sparse_categorical_crossentropy"),
        "one": compiled(Dense(4), Dense(1, "sigmoid")),
    }
    result = unitune.compare(models, x, y, folds=3, epochs=20, progress=False, task="binary")
    assert (result.table()["mean"] > 0.8).all()
    assert result.predict(x[:4])["probability_1"].between(0, 1).all()


def test_one_hot_targets_of_a_categorical_loss(data):
    x, y, x_val, y_val = data
    model = compiled(Dense(4, "relu"), Dense(2, "softmax"), loss="categorical_crossentropy")
    one_hot = np.eye(2)
    result = unitune.compare(
        {"m": model}, x, one_hot[y], validation_data=(x_val, one_hot[y_val]), epochs=5, progress=False
    )
    assert result.best.scores["accuracy"].mean > 0.6
    with pytest.raises(DataError, match="one-hot"):
        unitune.compare({"m": model}, x, 0.5 * one_hot[y], progress=False)


def test_regression_keeps_its_scale(data):
    x, *_ = data
    target = 50 + 10 * x[:, 0]
    model = compiled(Dense(1), loss="mse")
    result = unitune.compare({"linear": model}, x, target, folds=2, epochs=1, progress=False)
    first = result.history().query("metric == 'loss' and epoch == 1")["value"]
    assert (first > 1_000).all()  # the loss of targets around 50 that were not standardised


def test_convolutions_get_images_as_they_are():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 6, 6, 1)).astype("float32")
    y = (x.mean(axis=(1, 2, 3)) > 0).astype(int)
    model = compiled(keras.layers.Conv2D(2, 3), keras.layers.Flatten(), Dense(1, "sigmoid"))
    result = unitune.compare({"conv": model}, x, y, folds=2, epochs=1, progress=False)
    assert result.best.state == "complete"
    assert len(result.predict(x)) == 24


@pytest.mark.parametrize(
    ("models", "message"),
    [({}, "empty"), ([1], "list"), ({"a": 3}, "keras.Model"), ({"a": Sequential([Dense(1)])}, "compile")],
)
def test_what_is_no_compiled_model_is_refused(data, models, message):
    x, y, *_ = data
    with pytest.raises(OptionError, match=message):
        unitune.compare(models, x, y, progress=False)


def test_a_model_of_another_width_is_refused(data):
    x, y, *_ = data
    model = compiled(keras.Input((7,)), Dense(1, "sigmoid"))
    with pytest.raises(OptionError, match="shape"):
        unitune.compare({"narrow": model}, x, y, progress=False)
