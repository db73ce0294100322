"""Which members share one traced step: those that differ in data of the step only."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.engine.vmap.alike import constant, program_key
from unitune.engine.vmap.engine import spread, why_solo
from unitune.models.blueprint import Blueprint, EarlyStopping, LayerSpec, OptimizerSpec, Plateau, Schedule, Training
from unitune.records import Member


def make_split(n_val: int = 3) -> Split:
    x = np.zeros((9, 2), "float32")
    return Split(fold=0, repeat=0, x_train=x, y_train=x[:, :1], x_val=x[:n_val], y_val=x[:n_val, :1])


def make_job(units: int = 3, *, rate: float = 0.1, seed: int = 0, name: str = "a", **training: object) -> Job:
    layers = (
        LayerSpec(class_name="Dense", config={"units": units, "kernel_initializer": f"{name}_uniform"}, name=name),
        LayerSpec(class_name="Dropout", config={"rate": 0.2}),
    )
    optimizer = OptimizerSpec(class_name="Adam", learning_rate=rate)
    return Job(
        member=Member(trial=seed, fold=0, repeat=0, seed=seed),
        split=0,
        blueprint=Blueprint(layers=layers),
        training=Training(**{"optimizer": optimizer, "loss": "mse", **training}),
    )


def own_loss(power: int):
    def loss(y, prediction):
        return keras.ops.mean(keras.ops.abs(y - prediction) ** power, axis=-1)

    return loss


class Weighted(keras.losses.Loss):
    """Tells its configuration to nobody."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def call(self, y, prediction):
        return self.weight * keras.ops.mean(keras.ops.abs(y - prediction), axis=-1)


SHARED = {
    "rate and seed": make_job(rate=0.3, seed=4),
    "names and first weights": make_job(name="b"),
    "epochs and stopping": make_job(epochs=3, early_stopping=EarlyStopping(patience=2)),
    "schedule": make_job(schedule=Schedule(name="cosine")),
}
APART = {
    "units": make_job(4),
    "loss": make_job(loss="mae"),
    "batch size": make_job(batch_size=8),
    "metrics": make_job(metrics=("auc",)),
    "optimizer": make_job(optimizer=OptimizerSpec(class_name="Adam", learning_rate=0.1, config={"beta_1": 0.8})),
    "plateau": make_job(plateau=Plateau()),
}


@pytest.mark.parametrize("what", SHARED)
def test_data_of_a_step_may_differ(what: str) -> None:
    assert program_key(SHARED[what], make_split()) == program_key(make_job(), make_split())


@pytest.mark.parametrize("what", APART)
def test_constants_of_a_step_may_not(what: str) -> None:
    assert program_key(APART[what], make_split()) != program_key(make_job(), make_split())


def test_rows_of_another_number_need_another_program() -> None:
    assert program_key(make_job(), make_split(3)) != program_key(make_job(), make_split(4))


def test_functions_are_equal_where_their_code_and_what_they_close_over_is() -> None:
    assert constant(own_loss(2)) == constant(own_loss(2))
    assert constant(own_loss(2)) != constant(own_loss(3))
    assert constant(Weighted(2.0)) == constant(Weighted(2.0))
    assert constant(Weighted(2.0)) != constant(Weighted(3.0))
    assert constant(keras.losses.Huber(0.5)) == constant(keras.losses.Huber(0.5))
    assert constant(keras.losses.Huber(0.5)) != constant(keras.losses.Huber(0.6))
    assert constant(np.arange(3)) == constant(np.arange(3)) != constant(np.arange(4))


def test_functions_that_close_over_each_other_stand_for_themselves() -> None:
    def even(n):
        return odd(n)

    def odd(n):
        return even(n)

    one, other = make_job(loss=even), make_job(loss=even)
    assert program_key(one, make_split()) == program_key(one, make_split()) != program_key(other, make_split())


@pytest.fixture
def on_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitune.engine.vmap.engine.backend_name", lambda: "jax")


@pytest.mark.usefixtures("on_jax")
def test_some_members_are_left_to_fit() -> None:
    assert why_solo(make_job(), make_split()) is None
    assert why_solo(make_job(compile_options=(("run_eagerly", True),)), make_split()) == ""
    own_step = Blueprint(layers=make_job().blueprint.layers, solo_reason="the model has a `train_step` of its own")
    assert why_solo(replace(make_job(), blueprint=own_step), make_split()) == ""
    assert why_solo(make_job(early_stopping=EarlyStopping(patience=1)), make_split(0)) == ""
    odd = EarlyStopping(patience=1, monitor="val_other")
    assert why_solo(make_job(early_stopping=odd), make_split()) == "a callback watches a metric that is not logged"


def test_other_backends_vmap_nothing() -> None:
    assert why_solo(make_job(), make_split()) == ""


@pytest.mark.usefixtures("on_jax")
def test_workers_get_members_that_share_a_program_in_as_few_parts_as_keep_them_busy() -> None:
    jobs = [make_job(seed=seed) for seed in range(5)] + [make_job(4)]
    parts = spread([(job, "because") for job in jobs], [make_split()], 2)
    assert [len(part) for part in parts] == [3, 2, 1]
    assert [job for part in parts for job, _ in part] == jobs
