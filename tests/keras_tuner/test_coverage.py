"""Forms of rows, targets and calls that people write: each is fused, and gives what plain `fit` gives.

Before a program trains a network it is held against the user's own model, so `fused` here means: equal to Keras.
"""

import numpy as np
import pytest

from unitune import keras_tuner

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype("float32")
STEPS = RNG.normal(size=(48, 6, 3)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
NUMBERS = X[:, :1] * 2 + 1


def dense(out=1, activation="sigmoid", loss="binary_crossentropy", shape=(4,), **settings):
    def build(hp):
        import keras

        hidden = keras.layers.Dense(hp.Choice("units", [3, 5]), "tanh")
        model = keras.Sequential([keras.Input(shape), hidden, keras.layers.Dense(out, activation, name="out")])
        model.compile(keras.optimizers.SGD(0.1), loss, **settings)
        return model

    return build


def searched(build, x, y, folder, tuner=keras_tuner.RandomSearch, trials=2, **fit):
    made = tuner(build, objective="val_loss", max_trials=trials, seed=0, directory=folder)
    made.search(x, y, **{"epochs": 2, "validation_split": 0.25, "verbose": 0, "batch_size": 16, **fit})
    assert set(made.results()["engine"]) == {"fused"}, made.results()[["engine_reason"]]
    return made


def joined(hp):
    import keras
    from keras import layers, ops

    entry = keras.Input((4,))
    one, other = layers.Dense(hp.Choice("units", [2, 3]))(entry), layers.Dense(3)(entry)
    pairs = layers.Flatten()(ops.stack([other, other], axis=1))
    model = keras.Model(
        entry, layers.Dense(1)(ops.concatenate([ops.concatenate([one, other], axis=-1), pairs], axis=1))
    )
    model.compile("sgd", "mse")
    return model


def steps(out, activation, loss, **settings):
    def build(hp):
        import keras

        hidden = keras.layers.Conv1D(hp.Choice("units", [2, 4]), 3, padding="same", activation="relu")
        model = keras.Sequential([keras.Input((6, 3)), hidden, keras.layers.Dense(out, activation)])
        model.compile(keras.optimizers.SGD(0.1), loss, **settings)
        return model

    return build


def timed(hp):
    import keras
    from keras import layers

    layer = layers.TimeDistributed(layers.Dense(3, activation="tanh"))
    model = keras.Sequential([keras.Input((6, 3)), layers.Conv1D(hp.Choice("units", [2, 4]), 1), layer])
    model.compile("sgd", "mse")
    return model


LABELS = (STEPS[..., 0] > 0).astype("int32")
CASES = {
    "a dictionary of one target": (dense(), X, {"out": Y}),
    "rows of one axis": (dense(shape=(1,)), X[:, 0], Y),
    "lists in operations": (joined, X, NUMBERS),
    "targets of several axes": (steps(3, None, "mse", metrics=["mae"]), STEPS, STEPS),
    "a label for each step": (
        steps(2, "softmax", "sparse_categorical_crossentropy", metrics=["accuracy"]), STEPS, LABELS,
    ),
    "a probability for each step": (
        steps(1, "sigmoid", "binary_crossentropy", metrics=["AUC", "accuracy"]), STEPS, LABELS[..., None],
    ),
    "a layer for each step": (timed, STEPS, STEPS),
    "R2": (dense(2, None, "mse", metrics=["r2_score"]), X, X[:, :2] + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_fused(name, tmp_path):
    build, x, y = CASES[name]
    made = searched(build, x, y, tmp_path)
    (score, *_) = made.results()["score"]
    split = len(X) - len(X) // 4
    target = next(iter(y.values())) if isinstance(y, dict) else y
    logs = made.get_best_models()[0].evaluate(x[split:], target[split:], verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(score, rel=1e-4)


def test_callbacks_in_lists(tmp_path):
    import keras

    stops = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=10.0)
    made = searched(dense(), X, Y, tmp_path, epochs=5, callbacks=[[stops], [[keras.callbacks.TerminateOnNaN()]]])
    assert set(made.results()["best_epoch"]) <= {1, 2, 3}


def test_a_window_that_is_tuned(tmp_path):
    class Window(keras_tuner.RandomSearch):
        def run_trial(self, trial, x, y, **fit):
            return super().run_trial(trial, x[:, -trial.hyperparameters.Choice("window", [2, 3]) :], y, **fit)

    def build(hp):
        import keras

        hp.Choice("window", [2, 3])
        model = keras.Sequential(
            [keras.layers.Flatten(), keras.layers.Dense(hp.Choice("units", [2, 3])), keras.layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        return model

    made = searched(build, STEPS, NUMBERS, tmp_path, Window, trials=4)
    assert set(made.results()["window"]) == {2, 3}


# Losses and metrics of the user's own ---------------------------------------------------------------------------------


def by_row(y, p):
    from keras import ops

    return ops.mean(ops.square(y - p) + 0.5 * ops.abs(y - p), axis=-1)


def one_number(y, p):
    from keras import ops

    return ops.mean(ops.log(1.0 + ops.square(y - p)))


def of_the_batch(y, p):
    from keras import ops

    return ops.sqrt(ops.mean(ops.square(y - p)))


def own_class():
    import keras

    class Asymmetric(keras.losses.Loss):
        def __init__(self, share):
            super().__init__()
            self.share = share

        def call(self, y, p):
            return keras.ops.mean(keras.ops.maximum(self.share * (y - p), (self.share - 1) * (y - p)), axis=-1)

    return Asymmetric(0.3)


@pytest.mark.parametrize("loss", [by_row, one_number, own_class])
def test_losses_and_metrics_of_ones_own_are_fused(loss, tmp_path):
    given = loss() if loss is own_class else loss
    build = dense(1, None, given, metrics=[by_row, one_number])
    # The last batches are smaller than the others: a single number for a batch counts as often as any other.
    made = searched(build, X, NUMBERS, tmp_path, validation_split=0.5, batch_size=10)
    (trial, *_) = made.oracle.get_best_trials()
    logs = made.get_best_models()[0].evaluate(X[24:], NUMBERS[24:], batch_size=10, verbose=0, return_dict=True)
    for name in ("loss", "by_row", "one_number"):
        assert logs[name] == pytest.approx(trial.metrics.get_best_value(f"val_{name}"), rel=1e-4), name


@pytest.mark.parametrize(
    ("loss", "metric", "y", "said"),
    [
        (of_the_batch, "mae", NUMBERS, "the loss `of_the_batch` gives one number for a batch, which is not the mean"),
        ("mse", of_the_batch, NUMBERS, "the metric `of_the_batch` gives one number for a batch, which is not the mean"),
        ("mse", by_row, NUMBERS[:, 0], "targets of one axis"),
    ],
)
def test_what_compares_rows_is_left_to_keras(loss, metric, y, said, tmp_path):
    made = keras_tuner.RandomSearch(dense(1, None, loss, metrics=[metric]), "val_loss", 1, directory=tmp_path)
    with pytest.warns(UserWarning, match=said):
        made.search(X, y, epochs=1, validation_split=0.25, verbose=0)
    assert list(made.results()["engine"]) == ["solo"]
