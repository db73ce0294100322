"""Networks and data built to show one kind of finding, trained for real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets

import unitune

QUIET = {"progress": False, "folds": 3}


def breast_cancer() -> tuple[Any, Any]:
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return (x - x.mean(axis=0)) / x.std(axis=0), y


def sick_models(seed: int = 0) -> dict[str, Any]:
    """Compiled models of which each has one fault, named by the kind; `healthy...` have none."""
    import keras

    layers = keras.layers

    def compiled(chain: list[Any], optimizer: Any) -> Any:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((30,)), *chain, layers.Dense(1, activation="sigmoid")])
        model.compile(optimizer, "binary_crossentropy")
        return model

    def normal(std: float) -> Any:
        return keras.initializers.RandomNormal(stddev=std, seed=seed)

    adam = keras.optimizers.Adam
    chains: dict[str, Callable[[], Any]] = {
        "healthy relu": lambda: compiled([layers.Dense(32, activation="relu")], adam(0.003)),
        "healthy tanh": lambda: compiled([layers.Dense(32, activation="tanh")], adam(0.003)),
        "healthy deep": lambda: compiled([layers.Dense(32, activation="relu") for _ in range(3)], adam(0.001)),
        "dead_units": lambda: compiled(
            [layers.Dense(32, activation="relu", bias_initializer=keras.initializers.Constant(-10.0))], adam(0.003)
        ),
        "saturation": lambda: compiled(
            [
                layers.Dense(
                    32, activation="tanh", kernel_initializer=keras.initializers.VarianceScaling(2500.0, seed=seed)
                )
            ],
            keras.optimizers.SGD(0.01),  # Adam makes whole steps of gradients that are but rounding
        ),
        "vanishing_gradients": lambda: compiled(
            [layers.Dense(16, activation="sigmoid", kernel_initializer=normal(0.1)) for _ in range(8)], adam(0.003)
        ),
        "exploding_gradients": lambda: compiled(
            [layers.Dense(32, activation="relu", kernel_initializer=normal(1.0)) for _ in range(5)], adam(1e-4)
        ),
        "learning_rate_high": lambda: compiled(
            [layers.Dense(32, activation="tanh") for _ in range(2)], keras.optimizers.SGD(30.0)
        ),
        "learning_rate_low": lambda: compiled([layers.Dense(32, activation="relu")], adam(1e-6)),
    }
    return {name: build() for name, build in chains.items()}


def sick(seed: int = 0) -> Any:
    """All of them on breast cancer data, in one run."""
    return unitune.compare(sick_models(seed), *breast_cancer(), epochs=30, seed=seed, **QUIET)


def memorised(seed: int = 0) -> Any:
    """Few rows, labels that are partly noise, many units."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(150, 20))
    y = ((x[:, 0] + rng.normal(0, 1.5, 150)) > 0).astype(int)
    return unitune.tune(x, y, units=256, activations="relu", learning_rates=0.005, epochs=60, seed=seed, **QUIET)


def too_small(seed: int = 0) -> Any:
    """Two units on a checkerboard."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, size=(1200, 2))
    y = ((np.floor(x[:, 0]) + np.floor(x[:, 1])) % 2).astype(int)
    return unitune.tune(x, y, units=2, activations="tanh", learning_rates=0.02, epochs=40, seed=seed, **QUIET)


def too_short(seed: int = 0) -> Any:
    """Four epochs of a slow start on breast cancer."""
    return unitune.tune(
        *breast_cancer(), units=16, activations="relu", learning_rates=0.001, epochs=4, seed=seed, **QUIET
    )


def imbalanced(seed: int = 0) -> Any:
    """3 % of the rows are of the second class, and little tells them apart."""
    rng = np.random.default_rng(seed)
    y = (np.arange(1500) % 33 == 0).astype(int)
    x = rng.normal(size=(1500, 5)) + 0.5 * y[:, None]
    return unitune.tune(x, y, units=8, activations="relu", learning_rates=0.005, epochs=15, seed=seed, **QUIET)


def leaking(seed: int = 0) -> Any:
    """The target is among the features."""
    x, y = datasets.load_wine(return_X_y=True)
    x = np.column_stack([x, y * 2.0 - 1])
    return unitune.tune(x, y, units=16, activations="relu", learning_rates=0.01, epochs=20, seed=seed, **QUIET)


def diverging(seed: int = 0) -> Any:
    """A regression at a rate that throws half of the trials to infinity."""
    x, y = datasets.load_diabetes(return_X_y=True)
    return unitune.tune(
        x, y, units=16, activations="relu", optimizers="sgd", learning_rates=[0.01, 1e4], epochs=10, seed=seed, **QUIET
    )


SICK: dict[str, Callable[[int], Any]] = {
    "overfit": memorised,
    "underfit": too_small,
    "too_few_epochs": too_short,
    "class_ignored": imbalanced,
    "suspiciously_easy": leaking,
    "diverged": diverging,
}
CONTROLS = ("breast_cancer", "digits", "wine", "iris", "diabetes")


def control(name: str, seed: int = 0, **options: Any) -> Any:
    """A search on real data with the defaults, except that it may train until it no longer improves."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    chosen = {"units": [16, 64], "activations": ["relu", "tanh"], "epochs": 150, "patience": 8, "learning_rates": 0.01}
    return unitune.tune(x, y, seed=seed, progress=False, **{**chosen, **options})
