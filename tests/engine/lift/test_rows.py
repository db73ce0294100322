"""Only functions that treat each row by itself are folded; of the others the reason tells what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unitune.engine.lift.base import Unfusable
from unitune.engine.lift.rows import try_rows
from unitune.models.backend import ensure

BATCH = 16


@pytest.fixture(scope="module")
def keras() -> Any:
    return ensure()


def why_not(function: Callable[..., Any], *types: str, shape: tuple[int, ...] = (4,)) -> str:
    """The reason why a function is refused; empty where it is taken."""
    kinds = types or ("float32",)
    try:
        try_rows(lambda given, training: function(*given), "it", [shape] * len(kinds), kinds, BATCH)
    except Unfusable as reason:
        return str(reason)
    return ""


def layer_reason(layer: Any, shape: tuple[int, ...] = (4,)) -> str:
    try:
        try_rows(lambda given, training: layer(*given, training=training), "it", [shape], ["float32"], BATCH)
    except Unfusable as reason:
        return str(reason)
    return ""


def test_functions_of_a_row_are_taken(keras: Any) -> None:
    ops = keras.ops
    assert why_not(lambda x: ops.sin(x) + 0.3) == ""
    assert why_not(lambda x: x - ops.mean(x, axis=1, keepdims=True)) == ""
    assert why_not(lambda x: ops.log(x)) == ""
    assert why_not(lambda x: ops.reshape(x, (ops.shape(x)[0], 2, 2))) == ""
    assert why_not(lambda a, b: ops.take(np.arange(3.0, dtype="float32"), a) * b, "int32", "float32") == ""
    assert why_not(lambda x: ops.sort(x, axis=-1)) == ""


def test_what_comes_out_is_known(keras: Any) -> None:
    tried = try_rows(lambda given, training: keras.ops.cast(given[0] > 1, "int32"), "it", [(4, 2)], ["uint8"], BATCH)
    assert tried == ((4, 2), "int32")


def test_functions_of_other_rows_are_refused(keras: Any) -> None:
    ops = keras.ops
    mixing: dict[str, Callable[[Any], Any]] = {
        "first row": lambda x: x - x[:1],
        "last row": lambda x: x - x[-1:],
        "sums": lambda x: ops.cumsum(x, axis=0),
        "mean": lambda x: x - ops.mean(x, axis=0),
        "hardly a mean": lambda x: x + 1e-9 * ops.mean(x, axis=0),
        "largest": lambda x: x / (1.0 + ops.max(x)),
        "neighbour": lambda x: x + ops.roll(x, 1, axis=0),
        "order": lambda x: ops.sort(x, axis=0),
        "softmax over rows": lambda x: ops.softmax(x, axis=0),
        "number": lambda x: x + ops.cast(ops.arange(ops.shape(x)[0]), "float32")[:, None],
        "how many": lambda x: x / ops.cast(ops.shape(x)[0], "float32"),
        "full batches": lambda x: x * ops.cast(ops.equal(ops.shape(x)[0], BATCH), "float32"),
        "sign of the first": lambda x: x * ops.cast(x[:1] > 0, "float32"),
        "fewer rows": lambda x: x[1:],
        "no rows": lambda x: ops.sum(x),
    }
    for name, function in mixing.items():
        assert "rows" in why_not(function), name
    assert "rows" in why_not(lambda x: x * ops.max(x), "int32")


def test_draws_are_refused_whatever_their_seed(keras: Any) -> None:
    ops, random = keras.ops, keras.random
    generator = random.SeedGenerator(3)
    for seed in (3, generator):
        assert "random" in why_not(lambda x, seed=seed: x + random.normal(ops.shape(x), seed=seed))
        assert "random" in why_not(lambda x, seed=seed: x + random.uniform((4,), seed=seed))
    assert "random" in why_not(lambda x: random.dropout(x, 0.5, seed=1))
    assert "random" in why_not(lambda x: random.shuffle(x, axis=1, seed=1))
    assert "random" in why_not(lambda x: x + random.normal(ops.shape(x)))
    assert "random" in layer_reason(keras.layers.GaussianNoise(0.1, seed=2))
    assert "random" in layer_reason(keras.Sequential([keras.layers.Dropout(0.5)]))
    assert "random" in layer_reason(keras.layers.RandomFlip("horizontal", seed=1), (6, 6, 3))
    noise = np.random.default_rng(0)
    assert "each time" in why_not(lambda x: x + noise.normal(size=4).astype("float32"))


def test_what_adds_keeps_or_differs_is_refused(keras: Any) -> None:
    ops, layers = keras.ops, keras.layers

    class Penalty(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any, training: bool | None = None) -> Any:
            if training:
                self.add_loss(ops.mean(ops.square(x)))
            return x

    class Trains(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any, training: bool | None = None) -> Any:
            return x * 2 if training else x

    counter = [0]

    def counts(x: Any) -> Any:
        counter[0] += 1
        return x * counter[0]

    factor = keras.Variable([1.0, 2.0, 3.0, 4.0])
    assert "adds to the loss" in layer_reason(Penalty())
    assert "adds to the loss" in layer_reason(layers.Activation("tanh", activity_regularizer="l2"))
    assert "in training" in layer_reason(Trains())
    assert "in training" in layer_reason(keras.Sequential([Trains()]))
    assert "each time" in why_not(counts)
    assert "variables" in why_not(lambda x: x * factor)
    assert "mask" in layer_reason(layers.Masking())
    assert "not one tensor" in why_not(lambda x: (x, x))
    assert "could not be tried" in why_not(lambda x: x @ np.zeros((7, 7), "float32"))
