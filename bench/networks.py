"""Searches over a `build_model(hp)`, with KerasTuner or with `unitune.keras_tuner`: dense, convolutional, recurrent."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bench.clock import Cost, model_products, timed, training_gflop

HELD_OUT = 0.2


def mlp(hp: Any) -> Any:
    """One hidden layer; its learning rate varies, too."""
    import keras

    model = keras.Sequential(
        [
            keras.layers.Dense(hp.Int("units", 16, 256, step=16), activation=hp.Choice("activation", ["relu", "tanh"])),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    rate = hp.Float("lr", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def cnn(hp: Any) -> Any:
    """Two convolutions and a dense layer, over their widths and the activation."""
    import keras

    activation = hp.Choice("activation", ["relu", "tanh", "elu", "gelu"])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(hp.Int("filters_1", 8, 32, step=8), 3, padding="same", activation=activation),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(hp.Int("filters_2", 8, 32, step=8), 3, padding="same", activation=activation),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 16, 128, step=16), activation=activation),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def lstm(hp: Any) -> Any:
    """Over its units and the activation behind it."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((12, 4)),
            keras.layers.LSTM(hp.Int("units", 8, 64, step=8)),
            keras.layers.Dense(16, activation=hp.Choice("activation", ["relu", "tanh"])),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


SIDE = 96


@lru_cache(maxsize=1)
def _pretrained() -> list[Any]:
    """Weights of a MobileNetV2 that are the same each time, as those that one loads; theirs are random."""
    import keras

    return list(
        keras.applications.MobileNetV2(input_shape=(SIDE, SIDE, 3), include_top=False, weights=None).get_weights()
    )


def frozen(hp: Any) -> Any:
    """A head on a frozen MobileNetV2: over its units, activation and dropout."""
    import keras
    from keras import layers

    base = keras.applications.MobileNetV2(input_shape=(SIDE, SIDE, 3), include_top=False, weights=None)
    base.set_weights(_pretrained())
    base.trainable = False
    entry = keras.Input((SIDE, SIDE, 3))
    x = layers.GlobalAveragePooling2D()(base(entry, training=False))
    x = layers.Dense(hp.Int("units", 32, 256, step=32), activation=hp.Choice("activation", ["relu", "tanh"]))(x)
    x = layers.Dropout(hp.Choice("dropout", [0.0, 0.2, 0.5]))(x)
    model = keras.Model(entry, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


NETWORKS = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "frozen": frozen}


def rows(network: str) -> tuple[Any, Any]:
    """What a network is trained on: breast cancer, digits as images, 1,600 random walks of 12 steps, 1,000 images."""
    from sklearn.datasets import load_breast_cancer, load_digits

    if network == "frozen":
        rng = np.random.default_rng(0)
        return rng.random((1000, SIDE, SIDE, 3), dtype="float32") * 2 - 1, rng.integers(0, 3, 1000)
    if network == "lstm":
        x = np.random.default_rng(0).normal(size=(1600, 12, 4)).astype("float32")
        return x, (x.sum((1, 2)) > 0).astype("float32")
    if network == "cnn":
        digits = load_digits()
        return (digits.images[..., None] / 16).astype("float32"), digits.target
    x, y = load_breast_cancer(return_X_y=True)
    return ((x - x.mean(0)) / x.std(0)).astype("float32"), y


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search took, and how its trials were trained; nothing of the latter for KerasTuner."""

    cost: Cost
    engines: tuple[str, ...] = ()


def search(network: str, side: str, trials: int, epochs: int, n_rows: int | None = None) -> Searched:
    """RandomSearch over a network, by one of two sides.

    Args:
        network: Which of `NETWORKS`.
        side: `"peer"` for KerasTuner, `"ours"`.
        trials, epochs: How many.
        n_rows: So many rows; all if None.
    """
    import keras

    if side == "peer":
        import keras_tuner
    else:
        import unitune.keras_tuner as keras_tuner
        from unitune.models.backend import ensure

        ensure()  # the cache of programs is to begin before the first operation, as it does in a user's process
    keras.ops.zeros(1)
    if network == "frozen":
        _pretrained()  # which one would have downloaded
    x, y = (one[:n_rows] for one in rows(network))
    with tempfile.TemporaryDirectory() as folder:

        def run() -> Any:
            tuner = keras_tuner.RandomSearch(
                NETWORKS[network], "val_accuracy", max_trials=trials, seed=1, directory=folder
            )
            tuner.search(x, y, epochs=epochs, validation_split=HELD_OUT, verbose=0)
            return tuner

        tuner, cost = timed(run)
        if side == "peer":
            return Searched(cost=cost)
        # What a frozen base computes once and what is trained behind it are of different kinds.
        counted = [] if network == "frozen" else tuner.oracle.trials.values()
        gflop = sum(_gflop(tuner, trial, x, epochs) for trial in counted)
        engines = tuple(sorted(set(tuner.results()["engine"])))
        return Searched(cost=Cost(core_s=cost.core_s, wall_s=cost.wall_s, gflop=gflop), engines=engines)


def _gflop(tuner: Any, trial: Any, x: Any, epochs: int) -> float:
    model = tuner.hypermodel.build(trial.hyperparameters)
    if not model.built:
        model.build((None, *x.shape[1:]))
    held_out = int(len(x) * HELD_OUT)
    return training_gflop(model_products(model), epochs=epochs, train_rows=len(x) - held_out, validation_rows=held_out)
