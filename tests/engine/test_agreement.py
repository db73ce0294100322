"""A program is held against the user's own model before it is trusted, and that model is what plain `fit` trains."""

import logging
from collections import OrderedDict

import keras
import numpy as np
import pytest

import unitune
from unitune import keras_tuner
from unitune.engine.lift import Node, Weight, along_width
from unitune.engine.program import Program
from unitune.models.source import LiveModel

pytestmark = pytest.mark.slow

L = keras.layers
N, N_VAL, EPOCHS = 44, 19, 2


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)

    def draw(n, *shape):
        return rng.normal(size=(n, *shape)).astype("float32")

    return draw(N, 5), draw(N, 1), draw(N_VAL, 5), draw(N_VAL, 1)


def network(*layers, loss="mse", optimizer="adam", **options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((5,)), *(layer() for layer in layers), L.Dense(1)])
    model.compile(optimizer, loss, **options)
    return model


def compared(models, rows, **options):
    x, y, x_val, y_val = rows
    given = {"epochs": EPOCHS, "batch_size": 16, "shuffle": False, "progress": False, "normalize": False}
    return unitune.compare(models, x, y, validation_data=(x_val, y_val), **{**given, **options})


def losses_of(result, trial, split):
    history = result.history(trial).query("metric == 'loss' and split == @split")
    return history.sort_values("epoch")["value"].to_numpy()


def fitted(model, rows):
    x, y, x_val, y_val = rows
    return model.fit(
        x, y, epochs=EPOCHS, batch_size=16, shuffle=False, validation_data=(x_val, y_val), verbose=0
    ).history


def assert_as_fit(result, models, rows):
    """Each trial's losses are those that `fit` of the model itself gives."""
    for trial in result.trials:
        own = fitted(models[trial.configuration["model"]], rows)
        np.testing.assert_allclose(losses_of(result, trial, "train"), own["loss"], rtol=1e-4)
        np.testing.assert_allclose(losses_of(result, trial, "validation"), own["val_loss"], rtol=1e-4)


# What rounds badly: gradients that are noise (a bias before batch normalization), slopes at zero, tiny and huge rates.
SOUND = {
    "noise in a bias": lambda: network(lambda: L.Dense(6), L.BatchNormalization, lambda: L.ReLU()),
    "dropped": lambda: network(lambda: L.Dense(8, "relu"), lambda: L.Dropout(0.5), lambda: L.Dense(4, "tanh")),
    "penalised": lambda: network(lambda: L.Dense(6, "selu", kernel_regularizer="l1l2"), optimizer="nadam"),
    "averaged": lambda: network(lambda: L.Dense(4, "gelu"), optimizer=keras.optimizers.SGD(0.05, use_ema=True)),
    "decayed": lambda: network(lambda: L.Dense(4, "silu"), optimizer=keras.optimizers.AdamW(0.01, weight_decay=0.1)),
    "scheduled": lambda: network(
        lambda: L.Dense(4, "tanh"),
        optimizer=keras.optimizers.RMSprop(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
    ),
    "logged": lambda: network(lambda: L.Dense(4, "tanh"), loss="mae", metrics=["mse", "mae"]),
}


def test_networks_that_are_read_rightly_are_not_suspected(rows, caplog):
    with caplog.at_level(logging.WARNING):
        result = compared({name: make() for name, make in SOUND.items()}, rows)
    assert {trial.engine for trial in result.trials} == {"fused"}, result.table()[["model", "engine_reason"]]
    assert not [record for record in caplog.records if "differs from Keras" in record.message]


@pytest.fixture
def forgetful(monkeypatch):
    """An engine that drops the penalties of weights, as a fault of ours would."""
    monkeypatch.setattr(Program, "_penalty", lambda *_: None)
    monkeypatch.setattr("unitune.engine.programs._ENTRIES", OrderedDict())


@pytest.mark.usefixtures("forgetful")
def test_a_program_that_differs_is_not_used_and_asks_for_a_report(rows, caplog):
    def make():
        return {
            "penalised": network(lambda: L.Dense(4, "tanh", kernel_regularizer=keras.regularizers.L2(0.3))),
            "plain": network(lambda: L.Dense(4, "tanh")),
        }

    result = compared(make(), rows)
    engines = {trial.configuration["model"]: trial for trial in result.trials}
    assert engines["plain"].engine == "fused"
    assert engines["penalised"].engine == "solo"
    assert "its program differs from Keras in `loss`" in engines["penalised"].engine_reason
    (record,) = (record for record in caplog.records if "please report it" in record.message)
    assert "differs from Keras in `loss`" in record.message
    assert_as_fit(result, make(), rows)


def test_a_lift_of_the_users_own_counts_for_its_layer_only_and_only_until_the_next(rows, caplog):
    class Dense(keras.layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=(shape[-1],), initializer="random_normal")

        def call(self, x):
            return x * self.factor

    def register(apply):
        class Lift:
            def read(self, config, shape):
                return [Node(kind="Dense", shape=shape, weights=(Weight(axes=("in",)),))]

        Lift.apply = apply
        unitune.register_lift("Dense")(Lift)

    def make():
        return {"own": network(lambda: L.Dense(4, "tanh"), Dense)}

    register(lambda self, node, weights, x, context: (x + along_width(weights[0], x), weights))
    result = compared(make(), rows)
    assert [trial.engine for trial in result.trials] == ["solo"]
    (record,) = (record for record in caplog.records if "A program of" in record.message)
    assert record.message.endswith("Please see whether the lift registered for `Dense` does what the layer does.")
    assert_as_fit(result, make(), rows)
    register(lambda self, node, weights, x, context: (x * along_width(weights[0], x), weights))
    result = compared(make(), rows)
    assert [trial.engine for trial in result.trials] == ["fused"]
    assert_as_fit(result, make(), rows)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.filterwarnings("ignore:.*trained with plain `fit`:UserWarning")
def test_in_every_face(rows, tmp_path):
    def build_model(hp):
        regularizer = keras.regularizers.L2(0.3)
        return network(lambda: L.Dense(hp.Choice("units", [3, 4]), "tanh", kernel_regularizer=regularizer))

    x, y, x_val, y_val = rows
    result = unitune.tune(build_model, x, y, validation_data=(x_val, y_val), epochs=1, progress=False)
    tuner = keras_tuner.GridSearch(build_model, objective="val_loss", directory=tmp_path, max_trials=2)
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=1, verbose=0)
    for trial in (*result.trials, *tuner.oracle.trials.values()):
        assert trial.engine == "solo"
        assert "differs from Keras" in trial.engine_reason


def test_a_lent_model_is_given_back_as_it_was(rows):
    model = network(lambda: L.Dense(4), L.BatchNormalization, lambda: L.Dropout(0.5), metrics=["mae"])
    fitted(model, rows)
    history, optimizer = model.history, [np.array(variable) for variable in model.optimizer.variables]
    before = [np.array(variable) for variable in model.variables]
    with LiveModel(model, (5,)).lent(0) as lent:
        assert lent is model
        fitted(lent, rows)
        assert not np.array_equal(np.array(model.layers[0].kernel), before[0])
    for variable, value in zip((*model.variables, *model.optimizer.variables), (*before, *optimizer), strict=True):
        np.testing.assert_array_equal(np.array(variable), value)
    assert model.history is history


def test_a_model_that_was_trained_before_goes_on_as_fit_would(rows):
    def make():
        models = {"adam": network(lambda: L.Dense(4, "tanh")), "sgd": network(optimizer="sgd")}
        for model in models.values():
            fitted(model, rows)
        return models

    assert_as_fit(compared(make(), rows), make(), rows)


def test_what_is_handed_over_is_whole(rows):
    """`Normalization` keeps what it learnt beside its configuration."""
    normal = L.Normalization()
    normal.adapt(rows[0] * 3 + 2)
    model = network(lambda: normal, lambda: L.Dense(4, "tanh"))
    result = compared({"adapted": model}, rows, epochs=1)
    handed = result.model()
    with LiveModel(model, (5,)).lent(0) as lent:
        lent.set_weights(handed.get_weights())
        np.testing.assert_allclose(handed.predict(rows[2], verbose=0), lent.predict(rows[2], verbose=0), rtol=1e-5)


class Fixed(L.Layer):
    """A layer that cannot be made again: its number is in no configuration."""

    number = 1.0

    def call(self, x):
        return x * self.number


def test_a_model_that_cannot_be_copied_is_handed_over_itself(rows, caplog):
    model = network(Fixed, lambda: L.Dense(4, "tanh"))
    model.layers[0].number = 3.0
    handed = compared({"fixed": model}, rows, epochs=1).model()
    assert "itself is handed over" in caplog.text
    np.testing.assert_allclose(handed.predict(rows[2], verbose=0), model.predict(rows[2], verbose=0), rtol=1e-5)
