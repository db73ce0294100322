"""Models without a fused form, each as members that share a program, for `vmap_worker`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.models.adopt import adopt
from unitune.models.blueprint import EarlyStopping, MetricSpec, Plateau, Schedule, Training
from unitune.records import Member

ops = keras.ops
Change = Callable[[Training, int], Training]


@keras.saving.register_keras_serializable("tests")
class Scale(keras.layers.Layer):
    """A layer of a user's own, with a weight that is trained and one that is not."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.seen.assign(self.seen + ops.mean(ops.abs(x)))
        return x * self.scale


class OnTheHost(keras.layers.Layer):
    """A layer that leaves JAX, which `vmap` cannot follow."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        import jax

        there = jax.pure_callback(lambda a: a, jax.ShapeDtypeStruct(x.shape, x.dtype), jax.lax.stop_gradient(x))
        return self.scale * there


def own_loss(y: Any, prediction: Any) -> Any:
    """A loss function of a user's own."""
    return ops.mean(ops.square(ops.log1p(ops.abs(y - prediction))), axis=-1)


def _of_layers(*layers: Any, shape: tuple[int, ...] = (5,)) -> Any:
    return keras.Sequential(
        [keras.Input(shape), *layers, keras.layers.Dense(4), keras.layers.Dense(1, activation="sigmoid")]
    )


def own_layer() -> Any:
    """With dropout, momentum, early stopping."""
    model = _of_layers(Scale(), keras.layers.Dropout(0.3))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "binary_crossentropy", metrics=["accuracy"])
    return model


def bidirectional() -> Any:
    """A wrapper around a recurrent layer, and a penalty on what comes out of it."""
    model = _of_layers(
        keras.layers.Bidirectional(keras.layers.LSTM(3), activity_regularizer=keras.regularizers.L2(0.01)), shape=(4, 3)
    )
    model.compile(keras.optimizers.ScheduleFreeAdamW(0.05), "binary_crossentropy")
    return model


def recurrent_dropout() -> Any:
    """Dropout of inputs and of states, under a schedule."""
    cell = keras.layers.GRUCell(3, dropout=0.2, recurrent_dropout=0.2)  # a `GRU` has a fused form
    model = _of_layers(keras.layers.RNN(cell), shape=(4, 3))
    model.compile(keras.optimizers.Adam(0.05), own_loss)
    return model


def metrics() -> Any:
    """Metrics that are no means, and an optimizer whose update is not elementwise."""
    model = _of_layers(keras.layers.BatchNormalization())
    model.compile(keras.optimizers.Lamb(0.05, use_ema=True, ema_momentum=0.8), "binary_crossentropy")
    return model


def outputs() -> Any:
    """Two inputs and two outputs, through a layer with two outputs that has no fused form."""
    one, other = keras.Input((4, 3)), keras.Input((3,))
    sequence, state = keras.layers.RNN(keras.layers.GRUCell(3), return_state=True, name="both")(one)
    joined = keras.layers.Concatenate()([keras.layers.Dense(2)(sequence + state), other])
    ends = [
        keras.layers.Dense(1, activation="sigmoid", name="a")(joined),
        keras.layers.Dense(1, name="b")(joined),
    ]
    model = keras.Model([one, other], ends)
    model.compile(keras.optimizers.Nadam(0.05), ["binary_crossentropy", "mse"], loss_weights=[1.0, 0.5])
    return model


def diverging() -> Any:
    """Networks of which one gets too high a rate."""
    model = _of_layers(Scale())
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def on_the_host() -> Any:
    """What can be compiled but not vmapped."""
    model = _of_layers(OnTheHost())
    model.compile("sgd", "mse")
    return model


def _stopping(training: Training, place: int) -> Training:
    if place == 2:
        return replace(training, epochs=2)  # ends before the others
    return replace(training, early_stopping=EarlyStopping(patience=1, restore_best_weights=place == 0))


def _plateau(training: Training, place: int) -> Training:
    return replace(training, plateau=Plateau(patience=1, min_delta=0.5, factor=0.5 - place * 0.1))


def _schedule(training: Training, place: int) -> Training:
    return replace(training, schedule=Schedule(name="cosine" if place else "step"))


def _metrics(training: Training, place: int) -> Training:
    return replace(training, metrics=("auc", MetricSpec(class_name="TruePositives", name="hits")))


def _rates(training: Training, place: int) -> Training:
    rate = 1e30 if place == 1 else 0.1
    return replace(training, optimizer=replace(training.optimizer, learning_rate=rate))


def _same(training: Training, place: int) -> Training:
    return training


CASES: dict[str, tuple[Callable[[], Any], str, Change, int]] = {
    "own_layer": (own_layer, "weighted", _stopping, 3),
    "bidirectional": (bidirectional, "sequences", _plateau, 2),
    "recurrent_dropout": (recurrent_dropout, "sequences", _schedule, 2),
    "metrics": (metrics, "rows", _metrics, 2),
    "outputs": (outputs, "several", _same, 2),
    "diverging": (diverging, "rows", _rates, 3),
    "on_the_host": (on_the_host, "rows", _same, 2),
}
"""From a name to the model, the rows, what its members change, and how many they are."""

COMPARED = (
    *(("float64", name) for name in ("own_layer", "bidirectional", "recurrent_dropout", "metrics", "outputs")),
    ("float32", "own_layer"),
)
EXHAUSTIVE = ("bidirectional", "recurrent_dropout")
"""Left to `make test-all`: other layers, vmapped as the user's own is, with a schedule and a plateau."""


def make_splits(kind: str, dtype: str) -> list[Split]:
    """Two folds of 23 rows; 15 of them are trained on, in batches of 4."""
    rng = np.random.default_rng(3)
    flat, sequences = rng.normal(size=(23, 5)).astype(dtype), rng.normal(size=(23, 4, 3)).astype(dtype)
    y = (flat[:, :1] + sequences[:, 0, :1] > 0).astype(dtype)
    x: Any = sequences if kind in ("sequences", "several") else flat
    splits = []
    for fold in range(2):
        train, held_out = np.split(np.roll(np.arange(23), 7 * fold), [15])

        def part(chosen: Any) -> tuple[Any, Any]:
            if kind == "several":
                return (x[chosen], flat[chosen, :3]), (y[chosen], flat[chosen, :1])
            return x[chosen], y[chosen]

        (x_train, y_train), (x_val, y_val) = part(train), part(held_out)
        weights = (1 + rng.random(15)).astype(dtype) if kind == "weighted" else None
        splits.append(
            Split(fold=fold, repeat=0, x_train=x_train, y_train=y_train, x_val=x_val, y_val=y_val, w_train=weights)
        )
    return splits


def make_jobs(name: str, *, only: tuple[int, ...] = ()) -> list[Job]:
    """The members of a case, in turns on both folds; with `only`, those places keep their rates and the rest do not."""
    build, _, change, n = CASES[name]
    blueprint, given, weights = adopt(build(), n_outputs=None)
    jobs = []
    for place in range(n):
        training = change(replace(given, batch_size=4, epochs=4), place)
        if only and place not in only:
            training = replace(training, optimizer=replace(training.optimizer, learning_rate=0.2))
        fold = place % 2
        jobs.append(
            Job(
                member=Member(trial=place, fold=fold, repeat=0, seed=10 + place),
                split=fold,
                blueprint=blueprint,
                training=training,
                # A layer of a user's own takes its first weights where the model has them.
                initial_weights=weights if name == "outputs" else None,
            )
        )
    return jobs
