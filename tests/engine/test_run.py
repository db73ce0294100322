"""A run of the fused engine: members leave tiles as they stop, tiles that do not fit are split, a stop is heeded."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from unitune.data.arrays import Split
from unitune.engine import run as engine_run
from unitune.engine.contract import Job, Outcome
from unitune.engine.device import Device
from unitune.engine.fused import FusedEngine
from unitune.engine.program import Program
from unitune.engine.solo import SoloEngine
from unitune.errors import FusionError
from unitune.models.blueprint import Blueprint, EarlyStopping, LayerSpec, OptimizerSpec, Training
from unitune.records import Member

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(70, 4)).astype("float32")
    y = (x[:, :1] + 0.5 * rng.normal(size=(70, 1)) > 0).astype("float32")
    return Split(fold=0, repeat=0, x_train=x[:50], y_train=y[:50], x_val=x[50:], y_val=y[50:])


def make_job(trial: int, *, patience: int | None = None, rate: float = 0.05, **more: object) -> Job:
    layers = (
        LayerSpec(class_name="Dense", config={"units": 3 + trial % 4, "activation": "tanh"}),
        LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"}),
    )
    config = more.pop("optimizer", {})
    return Job(
        member=Member(trial=trial, fold=0, repeat=0, seed=5),
        split=0,
        blueprint=Blueprint(layers=layers),
        training=Training(
            optimizer=OptimizerSpec(class_name="Adam", learning_rate=rate, config=config),
            loss="binary_crossentropy",
            early_stopping=None if patience is None else EarlyStopping(patience=patience, **more),
            epochs=24 if patience is not None else 2,
            batch_size=16,
        ),
    )


def tiles_of(members: int) -> Device:
    return Device(threads=1, tile_bytes=2**30, max_tile=members)


def by_trial(outcomes: Iterator[Outcome]) -> dict[int, tuple[Outcome, int]]:
    return {job.member.trial: (outcome, place) for outcome in outcomes for place, job in enumerate(outcome.jobs)}


def stopping_jobs() -> list[Job]:
    return [make_job(i, patience=1 + i % 5, rate=(0.3, 0.03, 0.003)[i % 3]) for i in range(24)]


def test_members_that_go_on_in_other_tiles_are_bit_equal(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    regrouped = []
    regroup = engine_run.TileRun._regroup

    def watched(self: engine_run.TileRun, tile: object) -> list:
        more = regroup(self, tile)
        regrouped.extend(work.first_epoch for work in more)
        return more

    monkeypatch.setattr(engine_run.TileRun, "_regroup", watched)
    moved = by_trial(FusedEngine(device=tiles_of(6)).train(stopping_jobs(), [split]))
    assert any(epoch > 0 for epoch in regrouped)
    monkeypatch.setattr(engine_run.TileRun, "_dissolves", lambda *_: False)
    stayed = by_trial(FusedEngine(device=tiles_of(6)).train(stopping_jobs(), [split]))
    assert moved.keys() == stayed.keys() == set(range(24))
    for trial, (outcome, place) in moved.items():
        other, there = stayed[trial]
        n = outcome.n_epochs[place]
        assert n == other.n_epochs[there]
        assert outcome.best_epoch[place] == other.best_epoch[there]
        np.testing.assert_array_equal(outcome.train[place, :n], other.train[there, :n])
        np.testing.assert_array_equal(outcome.validation_predictions[place], other.validation_predictions[there])
        for mine, theirs in zip(outcome.weights[place], other.weights[there], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("restore", [True, False])
def test_a_moving_average_and_early_stopping_leave_what_fit_leaves(split: Split, restore: bool) -> None:
    config = {"use_ema": True, "ema_momentum": 0.9}
    job = make_job(0, patience=2, rate=0.1, optimizer=config, restore_best_weights=restore)
    (fused,) = FusedEngine().train([job], [split])
    (solo,) = SoloEngine().train([job], [split])
    assert fused.n_epochs.tolist() == solo.n_epochs.tolist()
    np.testing.assert_allclose(fused.validation_predictions, solo.validation_predictions, rtol=1e-4, atol=1e-6)


def test_a_tile_that_does_not_fit_is_split(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [make_job(i) for i in range(8)]
    whole = by_trial(FusedEngine(device=tiles_of(8)).train(jobs, [split]))
    sizes = []
    train_tile = engine_run.TileRun._train_tile

    def cramped(self: engine_run.TileRun, work: object) -> None:
        sizes.append(len(work.live))
        if len(work.live) > 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
        train_tile(self, work)

    monkeypatch.setattr(engine_run.TileRun, "_train_tile", cramped)
    halved = by_trial(FusedEngine(device=tiles_of(8)).train(jobs, [split]))
    assert max(sizes) > 2
    assert halved.keys() == whole.keys()
    for trial, (outcome, place) in halved.items():
        other, there = whole[trial]
        np.testing.assert_array_equal(outcome.train[place], other.train[there])


def test_what_its_program_cannot_train_is_trained_with_plain_fit(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(Program, "__init__", broken)
    monkeypatch.setattr("unitune.engine.programs._ENTRIES", {})
    (outcome,) = FusedEngine().train([make_job(0)], [split])
    assert outcome.engine == "solo"
    assert not outcome.failures[0]
    assert outcome.engine_reason == "its program failed with RuntimeError: the device is gone"
    with pytest.raises(FusionError, match="the device is gone"):
        list(FusedEngine(strict=True).train([make_job(0)], [split]))
    (left,) = FusedEngine(leaves=True).train([make_job(0)], [split])
    assert left.engine == "solo"
    assert "the device is gone" in left.failures[0]


def test_no_further_tile_is_begun_after_a_stop(split: Split) -> None:
    jobs = [make_job(i) for i in range(40)]
    seen: list[Outcome] = []
    for outcome in FusedEngine(device=tiles_of(4)).train(jobs, [split], should_stop=lambda: len(seen) >= 2):
        seen.append(outcome)
    assert 2 <= len(seen) < 10


def test_xla_does_not_announce_itself_where_the_user_imported_keras_first() -> None:
    code = (
        "import os; os.environ.pop('TF_CPP_MIN_LOG_LEVEL', None)\n"
        "import keras, sys, numpy as np, unitune\n"
        "keras.ops.zeros(1)\n"
        "os.write(2, b'=== ours begins\\n')\n"
        "x = np.random.default_rng(0).normal(size=(40, 3))\n"
        "unitune.tune(x, (x[:, 0] > 0).astype(int), units=2, epochs=1, folds=2, engine='fused', progress=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split("=== ours begins\n")[1] == ""
