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


TOKENS = RNG.integers(0, 5, (48, 6))
SPARSE = STEPS * (RNG.random((48, 6, 1)) > 0.4)


def of_tokens(*layers, out=None, loss="mse", **settings):
    """Layers behind an `Embedding` with a mask, each made by a function of the units."""

    def build(hp):
        import keras

        units = hp.Choice("units", [2, 4])
        last = keras.layers.Dense(*(out or (1,)))
        behind = [make(keras.layers, units) for make in layers]
        model = keras.Sequential([keras.Input((6,)), keras.layers.Embedding(5, 3, mask_zero=True), *behind, last])
        model.compile(keras.optimizers.Adam(0.02), loss, **settings)
        return model

    return build


def masking(*layers, **settings):
    def build(hp):
        import keras

        units = hp.Choice("units", [2, 4])
        behind = [make(keras.layers, units) for make in layers]
        model = keras.Sequential([keras.Input((6, 3)), keras.layers.Masking(), *behind, keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.02), "mse", **settings)
        return model

    return build


def attending(hp):
    """A mask of what attention may look at, and of what is averaged then."""
    import keras
    from keras import layers

    entry = keras.Input((6,))
    x = layers.Embedding(5, 4, mask_zero=True)(entry)
    x = layers.Add()(
        [x, layers.MultiHeadAttention(2, hp.Choice("depth", [2, 3]), dropout=hp.Choice("rate", [0.1]))(x, x)]
    )
    model = keras.Model(entry, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return model


def to_sequence(hp):
    """An encoder whose states a decoder begins with."""
    import keras
    from keras import layers

    entry, units = keras.Input((6, 3)), hp.Choice("units", [2, 4])
    _, *states = layers.LSTM(units, return_state=True)(entry)
    _, last = layers.GRU(units, return_sequences=True, return_state=True)(entry)
    x = layers.LSTM(units, return_sequences=True)(entry, initial_state=states)
    model = keras.Model(entry, layers.Dense(1)(layers.Concatenate()([layers.Flatten()(x), last])))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return model


def of_own_class(hp):
    import keras

    class Network(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.blocks = [keras.layers.Dense(units, "tanh") for _ in range(2)]
            self.dropout, self.out = keras.layers.Dropout(0.2), keras.layers.Dense(1)

        def call(self, x, training=False):
            for block in self.blocks:
                x = block(x)
            return self.out(self.dropout(x, training=training))

    class Row(keras.Sequential):
        def __init__(self, units):
            super().__init__([keras.layers.Dense(units, "tanh"), keras.layers.Dense(1)])

    class Residual(keras.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.hidden, self.normed = keras.layers.Dense(units, "relu"), keras.layers.BatchNormalization()
            self.out = keras.layers.Dense(4)

        def call(self, x, training=None):
            return x + self.out(self.normed(self.hidden(x), training=training))

    kind, units = hp.Choice("kind", ["model", "row", "layer"]), hp.Choice("units", [3, 5])
    blocks = [keras.Input((4,)), Residual(units), Residual(3), keras.layers.Dense(1)]
    model = {"model": Network, "row": Row, "layer": lambda _: keras.Sequential(blocks)}[kind](units)
    model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
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
    "a mask through layers": (
        of_tokens(
            lambda layers, n: layers.Bidirectional(layers.LSTM(n, return_sequences=True)),
            lambda layers, n: layers.LayerNormalization(),
            lambda layers, n: layers.GRU(n),
        ), TOKENS, NUMBERS,
    ),
    "a mean of what a mask leaves": (of_tokens(lambda layers, n: layers.GlobalAveragePooling1D()), TOKENS, NUMBERS),
    "a mask of the loss": (
        of_tokens(
            lambda layers, n: layers.LSTM(n, return_sequences=True),
            out=(2, "softmax"), loss="sparse_categorical_crossentropy", metrics=["accuracy"],
        ), TOKENS, LABELS,
    ),
    "steps of zeros": (masking(lambda layers, n: layers.SimpleRNN(n)), SPARSE, NUMBERS),
    "dropout of inputs and states": (
        masking(
            lambda layers, n: layers.LSTM(n, dropout=0.3, return_sequences=True),
            lambda layers, n: layers.Bidirectional(layers.GRU(n, dropout=0.1, recurrent_dropout=0.2)),
        ), SPARSE, NUMBERS,
    ),
    "a mask of attention": (attending, TOKENS, NUMBERS),
    "states": (to_sequence, STEPS, NUMBERS),
    "models of a class of one's own": (of_own_class, X, NUMBERS),
    "R2": (dense(2, None, "mse", metrics=["r2_score"]), X, X[:, :2] + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_fused(name, tmp_path):
    build, x, y = CASES[name]
    made = searched(build, x, y, tmp_path, trials=4 if build is of_own_class else 2)
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
