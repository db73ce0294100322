"""The jobs of the speed table: what Unitune runs, and what its peer runs, on the same rows.

Each function does one whole call and returns the seconds that it took, every compilation included. Imports are made
before the clock starts, for both sides. A peer that would take hours is timed on a part and scaled; the table says so.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

UNITS = [16, 32, 64, 128, 256]
ACTIVATIONS = ["relu", "tanh", "gelu", "sigmoid"]
MORE_ACTIVATIONS = [*ACTIVATIONS, "elu", "selu", "silu", "softplus"]
RATES = [1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 7e-3, 1e-2, 2e-2, 3e-2]


@dataclass(frozen=True, kw_only=True)
class BenchJob:
    """One row of the table. `share` of the peer's work is timed, and scaled to the whole."""

    name: str
    peer_name: str
    at_least: int
    aim: int
    ours: Callable[[], float]
    peer: Callable[[], float]
    share: float = 1.0


def breast_cancer() -> tuple[Any, Any]:
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(x).astype("float32"), y


def digits() -> tuple[Any, Any]:
    x, y = datasets.load_digits(return_X_y=True)
    return (x / 16.0).astype("float32"), y


def tune(x: Any, y: Any, **options: Any) -> float:
    import unitune
    from unitune.models.backend import ensure

    ensure()
    start = time.perf_counter()
    result = unitune.tune(x, y, progress=False, normalize=False, engine="fused", **options)
    elapsed = time.perf_counter() - start
    if any(trial.state != "complete" for trial in result.trials):
        raise RuntimeError("some trials failed: the figure would not be that of the whole job")
    return elapsed


def mlp(features: int, units: list[int], activation: str, outputs: int, rate: float = 1e-3) -> Any:
    import keras

    head = [keras.layers.Dense(1, activation="sigmoid") if outputs == 1 else keras.layers.Dense(outputs, "softmax")]
    hidden = [keras.layers.Dense(width, activation=activation) for width in units]
    model = keras.Sequential([keras.Input((features,)), *hidden, *head])
    loss = "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def fit_loop(x: Any, y: Any, models: Iterator[tuple[Any, int]], *, epochs: int) -> float:
    """A loop of plain `fit`: building, training with validation in each epoch, predicting on the validation rows."""
    import keras

    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y))
    keras.ops.zeros(1)
    start = time.perf_counter()
    for build, fold in models:
        train, validation = splits[fold]
        model = build()
        model.fit(
            x[train], y[train], validation_data=(x[validation], y[validation]), epochs=epochs, batch_size=32, verbose=0
        )
        model.predict(x[validation], verbose=0)
    return time.perf_counter() - start


def keras_tuner(tuner_class: str, units: Any, activations: list[str], trials: int, x: Any, y: Any) -> float:
    import keras
    import keras_tuner

    def build(hp: Any) -> Any:
        width = hp.Choice("units", units) if isinstance(units, list) else hp.Int("units", *units)
        return mlp(x.shape[1], [width], hp.Choice("activation", activations), 1)

    keras.ops.zeros(1)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        tuner = getattr(keras_tuner, tuner_class)(
            build, objective="val_accuracy", max_trials=trials, directory=folder, project_name="bench"
        )
        tuner.search(x, y, epochs=10, batch_size=32, validation_split=0.2, verbose=0)
        elapsed = time.perf_counter() - start
    done = len(tuner.oracle.trials)
    return elapsed * trials / done


def grid_20() -> float:
    x, y = breast_cancer()
    return tune(x, y, units=UNITS, activations=ACTIVATIONS, epochs=10, validation_split=0.2)


def grid_20_peer() -> float:
    x, y = breast_cancer()
    return keras_tuner("GridSearch", UNITS, ACTIVATIONS, 20, x, y)


def folds_1000() -> float:
    x, y = breast_cancer()
    return tune(x, y, units=UNITS, activations=ACTIVATIONS, learning_rates=RATES, epochs=20, folds=5)


def folds_1000_peer() -> float:
    x, y = breast_cancer()
    chosen = [(units, activation) for units in UNITS for activation in ACTIVATIONS]
    models = (
        (lambda u=units, a=activation: mlp(30, [u], a, 1), place % 5)
        for place, (units, activation) in enumerate(chosen)
    )
    return fit_loop(x, y, models, epochs=20)


def random_1000() -> float:
    x, y = breast_cancer()
    return tune(
        x,
        y,
        units="8:256",
        activations=MORE_ACTIVATIONS,
        epochs=10,
        validation_split=0.2,
        strategy="random",
        trials=1000,
    )


def random_1000_peer() -> float:
    x, y = breast_cancer()
    return keras_tuner("RandomSearch", (8, 256), MORE_ACTIVATIONS, 20, x, y)


def digits_500() -> float:
    x, y = digits()
    return tune(
        x,
        y,
        layers=2,
        per_layer=["units"],
        units=[64, 128, 256, 512],
        activations=["relu", "tanh"],
        learning_rates=[3e-4, 1e-3, 3e-3, 1e-2],
        epochs=10,
        folds=5,
        strategy="random",
        trials=100,
    )


def digits_500_peer() -> float:
    x, y = digits()
    rng = np.random.default_rng(0)
    widths = rng.choice([64, 128, 256, 512], size=(10, 2)).tolist()
    models = ((lambda w=w, a=("relu", "tanh")[i % 2]: mlp(64, w, a, 10), i % 5) for i, w in enumerate(widths))
    return fit_loop(x, y, models, epochs=10)


JOBS = {
    "grid-20": BenchJob(
        name="20 trials (5 widths x 4 activations), 10 epochs, hold-out",
        peer_name="KerasTuner GridSearch",
        at_least=20,
        aim=50,
        ours=grid_20,
        peer=grid_20_peer,
    ),
    "folds-1000": BenchJob(
        name="200 trials x 5 folds = 1,000 members, 20 epochs",
        peer_name="plain fit, 20 members, scaled",
        at_least=200,
        aim=500,
        ours=folds_1000,
        peer=folds_1000_peer,
        share=20 / 1000,
    ),
    "random-1000": BenchJob(
        name="1,000 trials, widths 8 to 256, 8 activations, 10 epochs",
        peer_name="KerasTuner RandomSearch, 20 trials, scaled",
        at_least=300,
        aim=1000,
        ours=random_1000,
        peer=random_1000_peer,
        share=20 / 1000,
    ),
    "digits-500": BenchJob(
        name="digits, 2 hidden layers of up to 512, 100 trials x 5 folds, 10 epochs",
        peer_name="plain fit, 10 members, scaled",
        at_least=15,
        aim=30,
        ours=digits_500,
        peer=digits_500_peer,
        share=10 / 500,
    ),
}

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
