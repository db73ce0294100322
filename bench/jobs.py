"""The jobs of the speed table: what Unitune runs, and what its peer runs, on the same rows.

Each function does one whole call and returns what it took, every compilation included. Imports are made before the
clock starts, for both sides. A peer that would take hours is timed on a part and scaled; the table says so.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from bench.clock import Cost, dense_products, timed, training_gflop
from bench.networks import search

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
    ours: Callable[[], Cost]
    peer: Callable[[], Cost]
    share: float = 1.0


def breast_cancer() -> tuple[Any, Any]:
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(x).astype("float32"), y


def digits() -> tuple[Any, Any]:
    x, y = datasets.load_digits(return_X_y=True)
    return (x / 16.0).astype("float32"), y


def tune(x: Any, y: Any, *, epochs: int, **options: Any) -> Cost:
    """A search over dense networks, by cross-validation or on a fifth of the rows that are held out."""
    import unitune
    from unitune.models.backend import ensure

    ensure()
    result, cost = timed(
        lambda: unitune.tune(x, y, progress=False, normalize=False, engine="fused", epochs=epochs, **options)
    )
    if any(trial.state != "complete" for trial in result.trials):
        raise RuntimeError("some trials failed: the figure would not be that of the whole job")
    outputs, folds = (1 if len(set(y.tolist())) == 2 else len(set(y.tolist()))), options.get("folds", 1)
    held_out = len(x) // options.get("folds", 5)
    gflop = sum(
        folds
        * training_gflop(
            dense_products(x.shape[1], *_widths(trial.configuration), outputs),
            epochs=epochs,
            train_rows=len(x) - held_out,
            validation_rows=held_out,
        )
        for trial in result.trials
    )
    return replace(cost, gflop=gflop)


def _widths(configuration: Any) -> list[int]:
    """Of the hidden layers."""
    each = [value for name, value in sorted(configuration.items()) if name.startswith("units_")]
    return each or [configuration["units"]] * configuration.get("layers", 1)


@dataclass(frozen=True, kw_only=True)
class Network:
    """What plain Keras is to train: a dense network, and how."""

    units: tuple[int, ...]
    activation: str
    rate: float = 1e-3
    optimizer: str = "Adam"
    dropout: float = 0.0
    weight_decay: float | None = None
    batch_size: int = 32

    def build(self, features: int, outputs: int) -> Any:
        """The compiled model."""
        import keras

        layers: list[Any] = []
        for width in self.units:
            layers.append(keras.layers.Dense(width, activation=self.activation))
            if self.dropout:
                layers.append(keras.layers.Dropout(self.dropout))
        head = keras.layers.Dense(1, activation="sigmoid") if outputs == 1 else keras.layers.Dense(outputs, "softmax")
        model = keras.Sequential([keras.Input((features,)), *layers, head])
        optimizer = getattr(keras.optimizers, self.optimizer)(self.rate, weight_decay=self.weight_decay)
        loss = "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy"
        model.compile(optimizer, loss, metrics=["accuracy"])
        return model


def fit_loop(x: Any, y: Any, networks: Iterable[Network], *, epochs: int) -> Cost:
    """A loop of plain `fit`: building, training with validation in each epoch, predicting on the validation rows."""
    import keras

    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y))
    outputs = 1 if len(set(y.tolist())) == 2 else len(set(y.tolist()))
    keras.ops.zeros(1)

    def run() -> None:
        for place, network in enumerate(networks):
            train, validation = splits[place % 5]
            model = network.build(x.shape[1], outputs)
            model.fit(
                x[train],
                y[train],
                validation_data=(x[validation], y[validation]),
                epochs=epochs,
                batch_size=network.batch_size,
                verbose=0,
            )
            model.predict(x[validation], verbose=0)

    return timed(run)[1]


def keras_tuner(tuner_class: str, units: Any, activations: list[str], trials: int, x: Any, y: Any) -> Cost:
    """A search with KerasTuner over units and activation."""
    import keras
    import keras_tuner

    def build(hp: Any) -> Any:
        width = hp.Choice("units", units) if isinstance(units, list) else hp.Int("units", *units)
        return Network(units=(width,), activation=hp.Choice("activation", activations)).build(x.shape[1], 1)

    keras.ops.zeros(1)
    with tempfile.TemporaryDirectory() as folder:
        tuner = getattr(keras_tuner, tuner_class)(
            build, objective="val_accuracy", max_trials=trials, directory=folder, project_name="bench"
        )
        _, cost = timed(lambda: tuner.search(x, y, epochs=10, batch_size=32, validation_split=0.2, verbose=0))
        more = trials / len(tuner.oracle.trials)
    return Cost(core_s=cost.core_s * more, wall_s=cost.wall_s * more)


def grid_20() -> Cost:
    return tune(*breast_cancer(), units=UNITS, activations=ACTIVATIONS, epochs=10, validation_split=0.2)


def grid_20_peer() -> Cost:
    return keras_tuner("GridSearch", UNITS, ACTIVATIONS, 20, *breast_cancer())


def folds_1000() -> Cost:
    return tune(*breast_cancer(), units=UNITS, activations=ACTIVATIONS, learning_rates=RATES, epochs=20, folds=5)


def folds_1000_peer() -> Cost:
    networks = [Network(units=(units,), activation=one) for units in UNITS for one in ACTIVATIONS]
    return fit_loop(*breast_cancer(), networks, epochs=20)


def random_1000() -> Cost:
    return tune(
        *breast_cancer(),
        units="8:256",
        activations=MORE_ACTIVATIONS,
        epochs=10,
        validation_split=0.2,
        strategy="random",
        trials=1000,
    )


def random_1000_peer() -> Cost:
    return keras_tuner("RandomSearch", (8, 256), MORE_ACTIVATIONS, 20, *breast_cancer())


def digits_500() -> Cost:
    return tune(
        *digits(),
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


def digits_500_peer() -> Cost:
    widths = np.random.default_rng(0).choice([64, 128, 256, 512], size=(10, 2)).tolist()
    networks = [Network(units=tuple(w), activation=("relu", "tanh")[i % 2]) for i, w in enumerate(widths)]
    return fit_loop(*digits(), networks, epochs=10)


def mixed(strategy: str, trials: int, epochs: int = 20) -> Cost:
    """Over eight hyperparameters at once, by five folds."""
    return tune(
        *breast_cancer(),
        units="16:256:16",
        activations=ACTIVATIONS,
        layers=[1, 2, 3],
        learning_rates="1e-4:1e-2:log",
        optimizers=list(OPTIMIZERS),
        dropouts=[0.0, 0.2, 0.5],
        weight_decays=[0.0, 1e-4, 1e-3],
        batch_sizes=[16, 32, 64],
        epochs=epochs,
        folds=5,
        strategy=strategy,
        trials=trials,
    )


def mixed_networks(n: int) -> list[Network]:
    """Some networks of that space at random."""
    rng = np.random.default_rng(0)
    return [
        Network(
            units=(int(rng.choice(range(16, 257, 16))),) * int(rng.integers(1, 4)),
            activation=str(rng.choice(ACTIVATIONS)),
            rate=float(10 ** rng.uniform(-4, -2)),
            optimizer=OPTIMIZERS[str(rng.choice(list(OPTIMIZERS)))],
            dropout=float(rng.choice([0.0, 0.2, 0.5])),
            weight_decay=float(rng.choice([0.0, 1e-4, 1e-3])),
            batch_size=int(rng.choice([16, 32, 64])),
        )
        for _ in range(n)
    ]


def mixed_peer() -> Cost:
    return fit_loop(*breast_cancer(), mixed_networks(MIXED_PEERS), epochs=20)


OPTIMIZERS = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD"}
MIXED_PEERS = 12


def _searched(
    name: str, network: str, trials: int, epochs: int, at_least: int, aim: int, *, peers: int = 10
) -> BenchJob:
    """A row for a search over a `build_model(hp)`; some trials of KerasTuner's are scaled."""
    return BenchJob(
        name=name,
        peer_name=f"KerasTuner RandomSearch, {peers} trials, scaled",
        at_least=at_least,
        aim=aim,
        ours=lambda: search(network, "ours", trials, epochs).cost,
        peer=lambda: search(network, "peer", peers, epochs).cost,
        share=peers / trials,
    )


JOBS = {
    "grid-20": BenchJob(
        name="20 trials (5 widths x 4 activations), 10 epochs, hold-out",
        peer_name="KerasTuner GridSearch",
        at_least=22,
        aim=40,
        ours=grid_20,
        peer=grid_20_peer,
    ),
    "mixed-100": BenchJob(
        name="8 hyperparameters (depth, optimizer, dropout, batch size, ...), random 100 x 5 folds, 20 epochs",
        peer_name=f"plain fit, {MIXED_PEERS} members, scaled",
        at_least=60,
        aim=150,
        ours=partial(mixed, "random", 100),
        peer=mixed_peer,
        share=MIXED_PEERS / 500,
    ),
    "mixed-tpe": BenchJob(
        name="the same space, tpe 1,000 x 5 folds",
        peer_name=f"plain fit, {MIXED_PEERS} members, scaled",
        at_least=80,
        aim=200,
        ours=partial(mixed, "tpe", 1000),
        peer=mixed_peer,
        share=MIXED_PEERS / 5000,
    ),
    "folds-1000": BenchJob(
        name="200 trials x 5 folds = 1,000 members, 20 epochs",
        peer_name="plain fit, 20 members, scaled",
        at_least=350,
        aim=500,
        ours=folds_1000,
        peer=folds_1000_peer,
        share=20 / 1000,
    ),
    "random-1000": BenchJob(
        name="1,000 trials, widths 8 to 256, 8 activations, 10 epochs",
        peer_name="KerasTuner RandomSearch, 20 trials, scaled",
        at_least=340,
        aim=1000,
        ours=random_1000,
        peer=random_1000_peer,
        share=20 / 1000,
    ),
    "digits-500": BenchJob(
        name="digits, 2 hidden layers of up to 512, 100 trials x 5 folds, 10 epochs",
        peer_name="plain fit, 10 members, scaled",
        at_least=24,
        aim=35,
        ours=digits_500,
        peer=digits_500_peer,
        share=10 / 500,
    ),
    "build-200": _searched(
        "a `build_model(hp)` with one hidden layer, 200 trials, 10 epochs", "mlp", 200, 10, 115, 250
    ),
    "cnn-60": _searched("a CNN on digits over 4 hyperparameters, 60 trials, 5 epochs", "cnn", 60, 5, 15, 25),
    "frozen-20": _searched(
        "a head on a frozen MobileNetV2, 1,000 images of 96 pixels, 20 trials, 5 epochs",
        "frozen",
        20,
        5,
        10,
        20,
        peers=3,
    ),
    "lstm-60": _searched("an LSTM over units and activation, 60 trials, 5 epochs", "lstm", 60, 5, 12, 25),
}

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
