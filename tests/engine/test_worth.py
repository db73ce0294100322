"""What is worth compiling: few networks are trained with `fit`, many as a program, and it is said which and why."""

import gc
from dataclasses import replace

import numpy as np
import pytest

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine
from unitune.engine.worth import NOT_WORTH_COMPILING, Ledger
from unitune.models.blueprint import Blueprint, LayerSpec, OptimizerSpec, Training
from unitune.records import Member

LAYERS = tuple(
    LayerSpec(class_name="Dense", config={"units": units, "activation": activation})
    for units, activation in ((3, "relu"), (1, "sigmoid"))
)
TRAINING = Training(
    optimizer=OptimizerSpec(class_name="Adam", learning_rate=0.01), loss="binary_crossentropy", epochs=2
)


def jobs(n: int, epochs: int = 2) -> list[Job]:
    blueprint, training = Blueprint(layers=LAYERS), replace(TRAINING, epochs=epochs)
    return [
        Job(member=Member(trial=i, fold=0, repeat=0, seed=1), split=0, blueprint=blueprint, training=training)
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def splits():
    x = np.random.default_rng(0).normal(size=(60, 7)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    return [Split(fold=0, repeat=0, x_train=x[:40], y_train=y[:40], x_val=x[40:], y_val=y[40:])]


def test_one_network_is_trained_with_fit_and_thirty_as_a_program(splits, weighs):
    few, many = FusedEngine(weighs=True), FusedEngine(weighs=True)
    (alone,) = few.train(jobs(1), splits)
    assert (alone.engine, alone.engine_reason) == ("solo", NOT_WORTH_COMPILING)
    assert str(few.plans[0]) == "1 member with plain `fit`, for which compiling takes longer"
    together = list(many.train(jobs(30), splits))
    assert {outcome.engine for outcome in together} == {"fused"}
    assert "`fit`" not in str(many.plans[0])
    # Either way it is the same network.
    np.testing.assert_allclose(alone.train, together[0].train[:1], rtol=1e-5)
    # What is compiled already is used also for one.
    assert next(FusedEngine(weighs=True).train(jobs(30), splits)).engine == "fused"


def test_who_asks_for_programs_gets_them(splits, weighs):
    (outcome,) = FusedEngine(strict=True).train(jobs(1, epochs=1), splits)
    assert outcome.engine == "fused"


class Key:
    """Stands for a program."""


class Tile:
    def __init__(self, key, slots):
        self.key, self.slots, self.expected_s = key, np.array(slots), 0.1


class Reading:
    group = "a group"


def weighed(ledger, tiles, members, *, fit_s, price):
    readings = [Reading()] * len(members)
    return ledger.by_fit(tiles, members, readings, lambda _: fit_s, lambda key, own: price)


def test_a_search_of_many_small_batches_compiles_once_fit_has_taken_as_long():
    ledger, key, taken = Ledger(), Key(), []
    for _ in range(6):
        batch = jobs(2)
        taken.append(weighed(ledger, [Tile(key, [0, 1, -1])], batch, fit_s=1.05, price=5.0))
    assert taken == [{0, 1}, {0, 1}, set(), set(), set(), set()]


def test_a_program_that_was_paid_for_trains_what_comes_later_and_another_one_costs_again():
    ledger, first, second = Ledger(), Key(), Key()
    assert weighed(ledger, [Tile(first, [0, 1, 2])], jobs(3), fit_s=1.0, price=2.0) == set()
    assert weighed(ledger, [Tile(first, [0])], jobs(1), fit_s=1.0, price=2.0) == set()
    assert weighed(ledger, [Tile(second, [0])], jobs(1), fit_s=1.0, price=20.0) == {0}


def test_where_training_itself_is_slower_in_a_program_fit_trains():
    assert weighed(Ledger(), [Tile(Key(), [0])], jobs(1), fit_s=0.05, price=0.0) == {0}


def test_what_was_decided_of_a_member_stays_decided_when_it_is_planned_again():
    ledger, key, batch = Ledger(), Key(), jobs(2)
    for _ in range(9):  # a race plans all its members for each fold
        assert weighed(ledger, [Tile(key, [0, 1])], batch, fit_s=1.0, price=5.0) == {0, 1}
    del batch
    gc.collect()
    assert len(ledger._decided) == 0
