"""What the catalogue is made of: rows of data, small networks, and cases: one object of Keras in one of them.

Every network is built with the same weights each time that it is built, in every face, so that plain `fit` of a network
that was built again is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import keras
import numpy as np

N, N_VALIDATION, BATCH, EPOCHS = 12, 8, 8, 2
FACES = ("compare", "tune", "keras_tuner")


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """An object of Keras, or a user's own of the same name, in a network.

    Attributes:
        kind: The module it is listed in: `"losses"`.
        name: Its name there; for several in one network what they have in common.
        variant: `"given"`: Keras's own, with arguments; `"subclass"`, `"function"`: the user's own, of the same name.
        data: The key of its rows in `DATA`.
        build: Makes the compiled model.
        faces: Where it can be said.
        callbacks: Makes the callbacks of `fit`.
        epochs: How long it is trained.
        calls: What calls layers on tensors, of which `build` makes a network; workers put several such cases into one.
        draws: Whether it draws at random, from the seed of the search where a program or a function makes the network.
        must_fuse: Whether it must be fused: one that is left to Keras would hide the others.
    """

    kind: str
    name: str
    variant: str
    data: str
    build: Callable[[], Any]
    faces: tuple[str, ...] = FACES
    callbacks: Callable[[], list[Any]] = list
    epochs: int = EPOCHS
    calls: tuple[Callable[[Any], Any], ...] = ()
    draws: bool = False
    must_fuse: bool = False

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.name}-{self.variant}"


# Rows -------------------------------------------------------------------------------------------------------------


def _rows(seed: int, n: int) -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Any:
        return rng.normal(size=(n, *shape)).astype("float32")

    x, classes = normal(5), np.arange(n) % 3
    real = normal()
    words = np.array(["a", "b", "c", "unseen"])
    return {
        "binary": (x, (classes > 0).astype("int32")),
        "column": (x, (classes[:, None] > 0).astype("int32")),
        "real": (x, real),
        "real_column": (x, real[:, None]),
        "positive": (x, np.abs(real)[:, None] + 0.5),
        "two": (x, normal(2)),
        "onehot": (x, np.eye(3, dtype="float32")[classes]),
        "sparse": (x, classes.astype("int32")),
        "multilabel": (x, (normal(3) > 0).astype("float32")),
        "sequence": (normal(6, 3), real),
        "image": (rng.integers(0, 256, (n, 8, 8, 3)).astype("float32"), real),
        "volume": (normal(4, 4, 4, 2), real),
        "film": (normal(2, 3, 3, 3, 2), real),
        "whole": (rng.integers(0, 5, (n, 4)).astype("int32"), real),
        "text": (words[rng.integers(0, 4, (n, 1))].astype(object), real),
        "wave": (normal(32), real),
        "ctc": (normal(6, 3), rng.integers(1, 4, (n, 2)).astype("int32")),
    }


TRAIN, VALIDATION = _rows(0, N), _rows(1, N_VALIDATION)


# Networks ---------------------------------------------------------------------------------------------------------

# Targets -> units and activation of the output, and a loss.
HEADS: dict[str, tuple[int, str, str]] = {
    "binary": (1, "sigmoid", "binary_crossentropy"),
    "column": (1, "sigmoid", "binary_crossentropy"),
    "real": (1, "linear", "mean_squared_error"),
    "positive": (1, "softplus", "mean_squared_error"),
    "two": (2, "linear", "mean_squared_error"),
    "onehot": (3, "softmax", "categorical_crossentropy"),
    "sparse": (3, "softmax", "sparse_categorical_crossentropy"),
    "multilabel": (3, "sigmoid", "binary_crossentropy"),
}


def settle(model: Any, *, seed: int = 5) -> Any:
    """The model with weights that are its own: neither the global generator nor a seed of the search decides."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=tuple(weight.shape), scale=0.4).astype(weight.dtype))
    return model


def network(
    data: str,
    *hidden: Callable[[], Any],
    loss: Any = None,
    metrics: Callable[[], list[Any]] = list,
    optimizer: Callable[[], Any] | None = None,
    activation: str | None = None,
    dtype: str | None = None,
    settled: bool = True,
) -> Any:
    """A chain: the input, the hidden layers (one of four units if there are none), the output for these targets."""
    keras.utils.set_random_seed(7)
    units, of_head, usual = HEADS.get(data, HEADS["real"])
    shape = TRAIN[data][0].shape[1:]
    layers = hidden or (lambda: keras.layers.Dense(4, activation="tanh"),)
    drawn = "glorot_uniform" if settled else "ones"
    output = keras.layers.Dense(units, activation=activation or of_head, kernel_initializer=drawn)
    model = keras.Sequential([keras.Input(shape, dtype=dtype), *[layer() for layer in layers], output])
    model.compile(
        keras.optimizers.SGD(0.05) if optimizer is None else optimizer(),
        usual if loss is None else loss() if callable(loss) else loss,
        metrics=metrics(),
    )
    return settle(model) if settled else model


# A user's own -----------------------------------------------------------------------------------------------------


def own_class(kind: type, **methods: Callable[..., Any]) -> type:
    """A subclass of the same name; each method gets what Keras's own returns, or the bound original as its first
    argument where its name starts with `instead_`."""
    found = {name: _around(getattr(kind, name), method) for name, method in methods.items()}
    return type(kind.__name__, (kind,), found)


def _around(original: Any, change: Callable[..., Any]) -> Any:
    @wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return change(original(self, *args, **kwargs))

    return method


def named(name: str, function: Callable[..., Any]) -> Any:
    """A user's function that has the name of one of Keras's."""
    function.__name__ = function.__qualname__ = name
    return function


def late(make: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], Any]:
    """What is made when the model is built."""
    return partial(make, *args, **kwargs)
