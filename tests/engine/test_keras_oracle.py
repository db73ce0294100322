"""The fused engine against `model.fit` as a user would write it, which anchors the oracle of the parity suite."""

from __future__ import annotations

from typing import Any

import numpy as np
import parity_cases as cases
import pytest

from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine
from unitune.engine.lift.activation import function_of, is_elementwise
from unitune.models.activations import ACTIVATIONS
from unitune.models.backend import ensure
from unitune.models.blueprint import OptimizerSpec, Training
from unitune.records import Member

pytestmark = pytest.mark.slow

EPOCHS = 3


@pytest.fixture(scope="module")
def keras() -> Any:
    return ensure()


def trained(keras: Any, split: Any, layers: list[Any], optimizer: Any, loss: str, metrics: list[str]) -> Any:
    """The initial weights, the history and the model of a plain `fit` without shuffling."""
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.Input((cases.N_FEATURES,)), *layers])
    model.compile(optimizer, loss, metrics=metrics)
    start = model.get_weights()
    history = model.fit(
        split.x_train,
        split.y_train,
        sample_weight=split.w_train,
        batch_size=8,
        epochs=EPOCHS,
        shuffle=False,
        validation_data=(split.x_val, split.y_val) + (() if split.w_val is None else (split.w_val,)),
        verbose=0,
    ).history
    return start, history, model


def test_fit_as_written_by_hand(keras: Any) -> None:
    k = keras.layers
    table = [
        (
            cases.make_split(0, 0, 29, 11),
            [k.Dense(6, "gelu", kernel_regularizer=keras.regularizers.L2(0.01)), k.Dense(1, "sigmoid")],
            keras.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=0.5),
            OptimizerSpec(class_name="AdamW", learning_rate=0.01, config={"weight_decay": 0.1, "clipnorm": 0.5}),
            cases.chain(
                cases.dense(6, "gelu", kernel_regularizer=keras.regularizers.L2(0.01)), cases.dense(1, "sigmoid")
            ),
            ("binary_crossentropy", ["accuracy"]),
        ),
        (
            cases.make_split(1, 1, 27, 10, weighted=True),
            [k.Dense(4, "softplus"), k.BatchNormalization(), k.Dense(5), k.PReLU(), k.Dense(3, "softmax")],
            keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
            OptimizerSpec(class_name="SGD", learning_rate=0.05, config={"momentum": 0.9, "nesterov": True}),
            cases.chain(
                cases.dense(4, "softplus"),
                cases.layer("BatchNormalization"),
                cases.dense(5),
                cases.layer("PReLU"),
                cases.dense(3, "softmax"),
            ),
            ("sparse_categorical_crossentropy", ["accuracy"]),
        ),
    ]
    for split, layers, live, spec, blueprint, (loss, metrics) in table:
        rows = cases.as_floats(split, "float32")
        start, history, model = trained(keras, rows, layers, live, loss, metrics)
        job = Job(
            member=Member(trial=0, fold=0, repeat=0, seed=0),
            split=0,
            blueprint=blueprint,
            training=Training(
                optimizer=spec, loss=loss, metrics=tuple(metrics), batch_size=8, epochs=EPOCHS, shuffle=False
            ),
            initial_weights=start,
        )
        (outcome,) = FusedEngine(strict=True).train([job], [rows])
        for i, name in enumerate(outcome.metrics):
            np.testing.assert_allclose(outcome.train[0, :, i], history[name], rtol=1e-5)
            np.testing.assert_allclose(outcome.validation[0, :, i], history[f"val_{name}"], rtol=1e-5)
        expected = keras.ops.convert_to_numpy(model(rows.x_val))
        np.testing.assert_allclose(outcome.validation_predictions[0], expected, atol=1e-5)
        for one, other in zip(outcome.weights[0], model.get_weights(), strict=True):
            assert one.shape == other.shape


def test_slopes_at_kinks_are_those_of_plain_fit(keras: Any) -> None:
    """XLA and TensorFlow's own kernels may take different sides of a kink; an input of exactly zero is common."""
    tf = pytest.importorskip("tensorflow")
    x = tf.constant([-6.0, -3.0, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 6.0])
    keys = [name for name in sorted(ACTIVATIONS - {"threshold"}) if is_elementwise(name)]

    def slopes(functions: list[Any]) -> Any:
        found = []
        for function in functions:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            found.append(tape.gradient(y, x))
        return tf.stack(found)

    plain = slopes([keras.activations.get(name) for name in keys])
    fused = tf.function(lambda: slopes([function_of(name) for name in keys]), jit_compile=True)()
    assert len(keys) > 20
    for name, mine, theirs in zip(keys, fused.numpy(), plain.numpy(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6, err_msg=name)
