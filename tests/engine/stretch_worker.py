"""Trains members of different depths and optimizers as one program and with plain `fit`: `BACKEND DTYPE FILE`."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

import numpy as np

from unitune.engine.contract import Job
from unitune.models.blueprint import Blueprint, EarlyStopping, LayerSpec, OptimizerSpec, Training
from unitune.records import Member

EPOCHS = 3


def network(units: int, activation: Any, depth: int, *, rate: float = 0.0, normalised: bool = False, l2: float = 0.0):
    layers = []
    penalty = {"kernel_regularizer": {"class_name": "L2", "config": {"l2": l2}}} if l2 else {}
    for _ in range(depth):
        inside = "linear" if normalised else activation
        layers.append(LayerSpec(class_name="Dense", config={"units": units, "activation": inside, **penalty}))
        if normalised:
            layers.append(LayerSpec(class_name="BatchNormalization"))
            layers.append(LayerSpec(class_name="Activation", config={"activation": activation}))
        if rate:
            layers.append(LayerSpec(class_name="Dropout", config={"rate": rate}))
    layers.append(LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"}))
    return Blueprint(layers=tuple(layers))


def job(trial: int, blueprint: Blueprint, optimizer: str, early: EarlyStopping | None = None, **config: Any) -> Job:
    training = Training(
        optimizer=OptimizerSpec(class_name=optimizer, learning_rate=0.01, config=config),
        loss="binary_crossentropy",
        metrics=(),
        epochs=EPOCHS,
        batch_size=16,
        early_stopping=early,
    )
    member = Member(trial=trial, fold=0, repeat=0, seed=5)
    return Job(member=member, split=0, blueprint=blueprint, training=training)


def jobs() -> list[Job]:
    """Narrow and deep, wide and shallow; functions that keep zero and that do not.

    Not Adam behind batch normalization: it makes steps of the rounding that is all the gradient of those biases.
    """
    return [
        job(0, network(9, "relu", 1), "Adam", beta_1=0.8),
        job(1, network(5, "relu", 3, rate=0.3), "SGD", momentum=0.9),
        job(2, network(4, "sigmoid", 2), "RMSprop"),
        job(3, network(6, "sigmoid", 1, l2=0.01), "AdamW", weight_decay=0.1),
        job(4, network(3, "softplus", 3, rate=0.2), "Lion", weight_decay=0.01),
        job(5, network(7, "relu", 2), "SGD", EarlyStopping(patience=1), weight_decay=0.02),
        job(6, network(4, "tanh", 2, normalised=True, rate=0.1), "SGD"),
        job(7, network(8, "tanh", 1, normalised=True), "Adadelta"),
    ]


def split(dtype: str) -> Any:
    from unitune.data.arrays import Split

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 12)).astype(dtype)  # more features than units
    y = (x[:, :1] + 0.5 * rng.normal(size=(60, 1)) > 0).astype(dtype)
    return Split(fold=0, repeat=0, x_train=x[:42], y_train=y[:42], x_val=x[42:], y_val=y[42:])


def by_trial(outcomes: Any) -> dict[int, dict[str, Any]]:
    found = {}
    for outcome in outcomes:
        for i, one in enumerate(outcome.jobs):
            n = int(outcome.n_epochs[i])
            found[one.member.trial] = {
                "curves": np.stack([outcome.train[i, :n], outcome.validation[i, :n]]),
                "weights": outcome.weights[i],
                "predictions": outcome.validation_predictions[i],
                "probes": {name: values[i].shape for name, values in outcome.probes.items()},
                "engine": outcome.engine,
            }
    return found


def main(backend: str, dtype: str, file: str) -> None:
    os.environ["KERAS_BACKEND"] = backend
    os.environ["JAX_ENABLE_X64"] = "1" if dtype == "float64" else "0"
    from cheap_fit import cheaply

    from unitune.engine.fused import FusedEngine
    from unitune.engine.solo import SoloEngine
    from unitune.models.backend import ensure

    ensure().config.set_floatx(dtype)
    cheaply(backend)
    engine = FusedEngine()
    found: dict[str, Any] = {"fused": by_trial(engine.train(jobs(), [split(dtype)]))}
    found["programs"] = engine.plans[0].n_programs
    found["fit"] = by_trial(SoloEngine().train(jobs(), [split(dtype)]))
    with open(file, "wb") as out:
        pickle.dump(found, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
