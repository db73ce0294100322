"""How graphs are read: where narrow members lie, what may share a program, and what is refused."""

from __future__ import annotations

from typing import Any

import lift_cases
import numpy as np
import pytest

from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.engine.lift import Node, Weight, along_width, register_lift
from unitune.engine.lift.widths import places
from unitune.models.adopt import adopt
from unitune.models.backend import ensure
from unitune.records import Member


@pytest.fixture(scope="module")
def keras() -> Any:
    return ensure()


def job_of(keras: Any, outputs: Any, entry: Any, trial: int = 0) -> Job:
    model = keras.Model(entry, keras.layers.Dense(3, "softmax")(outputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    blueprint, training, _ = adopt(model, weights=False)
    return Job(member=Member(trial=trial, fold=0, repeat=0, seed=0), split=0, blueprint=blueprint, training=training)


def reason(keras: Any, layer: Any, kind: str = "sequence") -> str:
    shapes = {"sequence": (10, 3), "image": (8, 8, 1), "flat": (5,)}
    entry = keras.Input(shapes[kind])
    outputs = layer(entry)
    outputs = keras.layers.Flatten()(outputs)
    _, _, refused = read_jobs([job_of(keras, outputs, entry)], [lift_cases.make_split(kind, "float32")])
    return refused[0][1] if refused else ""


def test_flattened_and_joined_members_lie_among_zeros() -> None:
    own, padded = {0: 2, 1: 1}, {0: 3, 1: 2}
    assert places((0,), own, padded) == slice(0, 2)
    np.testing.assert_array_equal(places(((2, (0,)), 1), own, padded), [0, 1, 3, 4, 6])
    assert places(((2, (0,)), 1), padded, padded) == slice(0, 8)


def test_what_has_no_stacked_form_says_so(keras: Any) -> None:
    layers = keras.layers
    assert "drops everything" in reason(keras, layers.LSTM(2, dropout=1.0))
    assert "a seed" in reason(keras, layers.Bidirectional(layers.LSTM(2, dropout=0.1, seed=3)))
    assert "of this form" in reason(keras, lambda x: layers.Bidirectional(layers.LSTM(2), merge_mode=None)(x)[0])
    assert "with a mask" in reason(keras, lambda x: layers.LSTM(2)(layers.BatchNormalization()(layers.Masking()(x))))
    assert reason(keras, lambda x: layers.Bidirectional(layers.LSTM(2, dropout=0.1))(layers.Masking()(x))) == ""
    assert reason(keras, layers.Conv1D(3, 2, groups=3)) == ""
    assert "mixes rows" in reason(keras, layers.Lambda(lambda x: x - keras.ops.mean(x, axis=0)))
    assert reason(keras, layers.Lambda(lambda x: x - keras.ops.mean(x, axis=1, keepdims=True))) == ""
    assert reason(keras, layers.UpSampling1D(2)) == ""


def test_sums_of_unlike_widths_are_not_padded(keras: Any) -> None:
    layers = keras.layers

    def job(n: int) -> Job:
        entry = keras.Input((5,))
        joined = layers.Concatenate()([layers.Dense(n)(entry), layers.Dense(3)(entry)])
        return job_of(keras, layers.Add()([joined, layers.Dense(n + 3)(entry)]), entry, n)

    _, readings, _ = read_jobs([job(2), job(4), job(2)], [lift_cases.make_split("flat", "float32")])
    assert readings[0].group != readings[1].group
    assert readings[0].group == readings[2].group


def test_a_layer_of_ones_own_is_fused_once_it_has_a_lift(keras: Any) -> None:
    class Scaled(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.factor = self.add_weight(shape=(shape[-1],), initializer="random_normal")

        def call(self, x: Any) -> Any:
            return x * self.factor

    split = lift_cases.make_split("flat", "float32")

    def job(n: int) -> Job:
        entry = keras.Input((5,))
        return job_of(keras, Scaled()(keras.layers.Dense(n, "relu")(entry)), entry, n)

    _, _, refused = read_jobs([job(2)], [split])
    assert refused[0][1] == "the layer `Scaled` has no fused form"

    @register_lift("Scaled")
    class ScaledLift:
        def read(self, config: Any, shape: Any) -> list[Node]:
            return [Node(kind="Scaled", shape=shape, weights=(Weight(axes=("in",)),))]

        def apply(self, node: Any, weights: Any, x: Any, context: Any) -> Any:
            return x * along_width(weights[0], x), weights

    fusable, readings, _ = read_jobs([job(2), job(4)], [split])
    assert len(fusable) == 2
    assert readings[0].group == readings[1].group
    plan = FusedEngine().plan(fusable, readings, [split])
    assert plan.n_programs == 1
