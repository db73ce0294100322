"""Trains networks by `unitune.compare` and by the `fit` of models built alike: `own_fit_worker.py BACKEND FILE`.

Each family is one search, so that its members share programs wherever the engine lets them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

ROWS, HELD_OUT, BATCH, EPOCHS = 44, 21, 16, 2
Build = Callable[[], Any]


def main(backend: str, file: str, wanted: str = "") -> None:
    os.environ["KERAS_BACKEND"] = backend
    from unitune.engine import plan
    from unitune.models.backend import ensure

    plan.price = lambda *_: 0.0  # this is about programs, however few networks they train
    keras = ensure()
    found: dict[str, Any] = {}
    for family, builds, x, y in families(keras):
        if family in (wanted or family).split(","):
            found |= {f"{family}: {name}": one for name, one in both(keras, builds, x, y).items()}
            with open(file, "w") as out:
                json.dump(found, out)


def both(keras: Any, builds: dict[str, Build], x: Any, y: Any) -> dict[str, Any]:
    """For each model the losses of `compare` and of its own `fit`, and how it was trained."""
    import unitune

    def rows(part: slice) -> tuple[Any, Any]:
        return ([one[part] for one in x] if isinstance(x, list) else x[part]), y[part]

    def made(build: Build) -> Any:
        keras.utils.set_random_seed(7)
        return build()

    train, held_out = rows(slice(ROWS)), rows(slice(ROWS, None))
    result = unitune.compare(
        {name: made(build) for name, build in builds.items()},
        *train,
        validation_data=held_out,
        epochs=EPOCHS,
        batch_size=BATCH,
        shuffle=False,
        progress=False,
        normalize=False,
    )
    found = {}
    for trial in result.trials:
        name = trial.configuration["model"]
        history = result.history(trial)
        history = history[history.metric == "loss"].sort_values("epoch")
        own = made(builds[name]).fit(
            *train, epochs=EPOCHS, batch_size=BATCH, shuffle=False, validation_data=held_out, verbose=0
        )
        found[name] = {
            "engine": trial.engine,
            "unitune": [history[history.split == part].value.tolist() for part in ("train", "validation")],
            "keras": [own.history["loss"], own.history["val_loss"]],
        }
    return found


def families(keras: Any) -> Iterator[tuple[str, dict[str, Build], Any, Any]]:
    """Name, models, rows and targets of each family."""
    rng = np.random.default_rng(0)
    n = ROWS + HELD_OUT
    target = rng.normal(size=(n, 1)).astype("float32")
    whole = rng.integers(0, 9, size=(n, 4))
    yield "types of uint8", dict(typed(keras, "uint8")), whole.astype("uint8"), target
    flags = {"flags": lambda: network(keras, lambda e: keras.ops.where(e, 2.0, -1.0), "bool")}
    yield "types of bool", flags, whole > 4, target
    both_types = [whole.astype("int32"), rng.normal(size=(n, 3)).astype("float32")]
    yield "mixed types", dict(mixed(keras)), both_types, target
    # Far out, so that probabilities are 0 and 1 in float32, and only the logits tell how wrong they are.
    far = (rng.normal(size=(n, 5)) * 60).astype("float32")
    binary = rng.integers(0, 2, size=(n, 1)).astype("float32")
    classes = rng.integers(0, 3, size=n)
    if keras.backend.backend() == "tensorflow":
        yield "logits of two classes", dict(binary_models(keras)), far, binary
        yield "logits of class numbers", dict(class_models(keras)), far, classes
    near = rng.normal(size=(n, 5)).astype("float32")
    yield "penalties", dict(penalised(keras)), near, target
    yield "sums of losses", dict(summed(keras)), near, target


def network(keras: Any, middle: Callable[[Any], Any], dtype: str | None, loss: Any = "mse", width: int = 4) -> Any:
    """A model whose one dense layer comes after `middle`."""
    entry = keras.Input((width,), dtype=dtype)
    model = keras.Model(entry, keras.layers.Dense(1)(middle(entry)))
    model.compile(keras.optimizers.SGD(0.003), loss)
    return model


def typed(keras: Any, dtype: str) -> Iterator[tuple[str, Build]]:
    ops, layers = keras.ops, keras.layers

    def embedded(entry: Any) -> Any:
        return layers.Flatten()(layers.Embedding(9, 2)(entry))

    middles: dict[str, Callable[[Any], Any]] = {
        "rescaled": layers.Rescaling(1 / 7),
        "cast": lambda e: ops.cast(e, "float32") / 3,
        "divided": lambda e: e / 4,
        "whole division": lambda e: e // 2,
        "compared": lambda e: ops.cast(e > 4, "float32"),
        "added, then cast": lambda e: ops.cast(e + e * 40, "float32") / 100,  # uint8 goes round at 256
        "embedded": embedded,
        "flattened": layers.Flatten(),
        "as it is": lambda e: e,
        "one-hot": lambda e: layers.Flatten()(ops.one_hot(e, 9)),
        "Lambda": layers.Lambda(lambda e: ops.cast(e * e, "float32") / 9),
        "as half": lambda e: ops.cast(ops.cast(e, "float16") / 3, "float32"),
    }
    for name, middle in middles.items():
        yield name, lambda middle=middle: network(keras, middle, dtype)  # type: ignore[misc]


def mixed(keras: Any) -> Iterator[tuple[str, Build]]:
    layers = keras.layers

    def model(join: Callable[[Any, Any], Any], optimizer: Any = None) -> Any:
        numbers, floats = keras.Input((4,), dtype="int32", name="whole"), keras.Input((3,), name="floats")
        made = keras.Model([numbers, floats], layers.Dense(1)(join(numbers, floats)))
        made.compile(optimizer or keras.optimizers.SGD(0.003), "mse")
        return made

    yield "joined", lambda: model(lambda a, b: layers.Concatenate()([a, b]))
    yield "summed", lambda: model(lambda a, b: layers.Add()([a[:, :3], layers.Dense(3, "tanh")(b)]))

    def looked_up(a: Any, b: Any) -> Any:
        return layers.Concatenate()([layers.Flatten()(layers.Embedding(9, 2)(a)), b])

    yield "looked up, by Adam", lambda: model(looked_up, keras.optimizers.Adam(0.01))
    yield "looked up", lambda: model(looked_up)


def ended(keras: Any, last: list[Build], loss: Any) -> Build:
    def build() -> Any:
        ends = [one() for one in last]
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "relu"), *ends])
        model.compile(keras.optimizers.SGD(0.0001), loss)
        return model

    return build


def binary_models(keras: Any) -> Iterator[tuple[str, Build]]:
    import tensorflow as tf

    layers, losses, sigmoid = keras.layers, keras.losses, keras.activations.sigmoid
    ends: dict[str, Any] = {
        "sigmoid": lambda: layers.Dense(1, "sigmoid"),
        "hard sigmoid": lambda: layers.Dense(1, "hard_sigmoid"),
        "twice": lambda: layers.Dense(1, lambda x: sigmoid(2 * x)),
        "half": lambda: layers.Dense(1, lambda x: 0.5 * sigmoid(x)),
    }
    for name, end in ends.items():
        yield name, ended(keras, [end], "binary_crossentropy")
        yield f"{name}, focal", ended(keras, [end], losses.BinaryFocalCrossentropy(gamma=1.5))
    dense = lambda: layers.Dense(1)  # noqa: E731
    yield "layer", ended(keras, [dense, lambda: layers.Activation("sigmoid")], losses.BinaryCrossentropy())
    yield "Lambda", ended(keras, [dense, lambda: layers.Lambda(sigmoid)], "binary_crossentropy")
    same = [ends["sigmoid"], lambda: layers.Lambda(lambda x: x)]
    yield "handed on", ended(keras, same, "binary_crossentropy")
    raw = lambda: layers.Dense(1, tf.nn.sigmoid)  # noqa: E731
    yield "TensorFlow's", ended(keras, [raw], "binary_crossentropy")
    inside = layers.Lambda(lambda x: tf.nn.sigmoid(x))
    yield "TensorFlow's in a Lambda", ended(keras, [dense, lambda: inside], "binary_crossentropy")


def class_models(keras: Any) -> Iterator[tuple[str, Build]]:
    import tensorflow as tf

    loss = "sparse_categorical_crossentropy"
    layers, softmax = keras.layers, keras.activations.softmax
    dense = lambda: layers.Dense(3)  # noqa: E731
    yield "softmax", ended(keras, [lambda: layers.Dense(3, "softmax")], loss)
    yield "sigmoid", ended(keras, [lambda: layers.Dense(3, "sigmoid")], loss)
    yield "softplus", ended(keras, [lambda: layers.Dense(3, "softplus")], loss)
    yield "function", ended(keras, [lambda: layers.Dense(3, lambda x: softmax(x / 2))], loss)
    yield "Softmax()", ended(keras, [dense, lambda: layers.Softmax()], loss)
    yield "Activation", ended(keras, [dense, lambda: layers.Activation("softmax")], loss)
    yield "operation", lambda: operation(keras, loss)
    yield "TensorFlow's", ended(keras, [lambda: layers.Dense(3, tf.nn.softmax)], loss)
    yield "TensorFlow's sigmoid", ended(keras, [lambda: layers.Dense(3, tf.nn.sigmoid)], loss)


def operation(keras: Any, loss: Any) -> Any:
    entry = keras.Input((5,))
    model = keras.Model(entry, keras.ops.softmax(keras.layers.Dense(3)(entry)))
    model.compile(keras.optimizers.SGD(0.0001), loss)
    return model


def penalised(keras: Any) -> Iterator[tuple[str, Build]]:
    layers, l2, l1 = keras.layers, keras.regularizers.L2(0.3), keras.regularizers.L1(0.2)

    def around(n: int, layer: Any) -> Build:
        def build() -> Any:
            model = keras.Sequential([keras.Input((5,)), layers.Dense(n, "relu"), layer(), layers.Dense(1)])
            model.compile(keras.optimizers.SGD(0.05), "mse")
            return model

        return build

    for n in (4, 6):
        yield (
            f"BatchNormalization {n}",
            around(n, lambda: layers.BatchNormalization(gamma_regularizer=l2, beta_regularizer=l1)),
        )
        yield (
            f"LayerNormalization {n}",
            around(n, lambda: layers.LayerNormalization(gamma_regularizer=l1, beta_constraint="non_neg")),
        )
    yield "GroupNormalization", around(6, lambda: layers.GroupNormalization(2, beta_regularizer=l2))
    yield "without a scale", around(4, lambda: layers.BatchNormalization(scale=False, beta_regularizer=l2))
    yield "activity", around(4, lambda: layers.Activation("tanh", activity_regularizer=l2))
    yield "activity of a Lambda", around(4, lambda: layers.Lambda(lambda x: x * 2, activity_regularizer=l2))


def summed(keras: Any) -> Iterator[tuple[str, Build]]:
    for reduction in ("sum", "mean"):
        loss = keras.losses.MeanSquaredError(reduction=reduction)
        yield reduction, lambda loss=loss: network(keras, keras.layers.Dense(3, "tanh"), None, loss, 5)  # type: ignore[misc]
    loss = keras.losses.Huber(reduction="sum")
    yield "huber", lambda: network(keras, keras.layers.Dense(3, kernel_regularizer="l2"), None, loss, 5)


if __name__ == "__main__":
    main(*sys.argv[1:])
