import os

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def rows():
    """Two classes that a small network tells apart: training and validation rows."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(96, 4)).astype("float32")
    y = (x[:, 0] + x[:, 1] > 0).astype("int32")
    return x[:64], y[:64], (x[64:], y[64:])


@pytest.fixture(scope="session")
def build_model():
    """Small networks; nothing in them is built before it sees rows."""

    def build(hp):
        import keras

        model = keras.Sequential()
        for number in range(hp.Int("layers", 1, 2)):
            units = hp.Int(f"units_{number}", 2, 4, step=2)
            model.add(keras.layers.Dense(units, activation=hp.Choice("activation", ["relu", "tanh"])))
        model.add(keras.layers.Dense(2, activation="softmax"))
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    return build
