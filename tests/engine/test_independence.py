"""A member's result is its own: whatever its place, its neighbours, the threads; and nothing is compiled twice."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from unitune.data.arrays import Split
from unitune.engine.contract import Job, Outcome
from unitune.engine.device import Device
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.engine.programs import compiled_programs, program_for
from unitune.models.blueprint import Blueprint, LayerSpec, OptimizerSpec, Training
from unitune.records import Member


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 5)).astype("float32")
    y = (x[:, :1] * x[:, 1:2] > 0).astype("float32")
    return Split(fold=0, repeat=0, x_train=x[:43], y_train=y[:43], x_val=x[43:], y_val=y[43:])


def make_job(trial: int, units: int, rate: float = 0.01) -> Job:
    layers = (
        LayerSpec(class_name="Dense", config={"units": units, "activation": "gelu"}),
        LayerSpec(class_name="BatchNormalization"),
        LayerSpec(class_name="Dropout", config={"rate": 0.1 + 0.05 * trial}),
        LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"}),
    )
    return Job(
        member=Member(trial=trial, fold=0, repeat=0, seed=9),
        split=0,
        blueprint=Blueprint(layers=layers),
        training=Training(
            optimizer=OptimizerSpec(class_name="Adam", learning_rate=rate),
            loss="binary_crossentropy",
            metrics=("accuracy",),
            epochs=3,
            batch_size=16,
        ),
    )


JOBS = [make_job(i, units) for i, units in enumerate((3, 8, 5, 8, 2, 7))]


def train(jobs: Sequence[Job], split: Split, *, threads: int = 1, members: int = 6) -> dict[int, dict[str, np.ndarray]]:
    """Everything numeric that each trial gave."""
    engine = FusedEngine(strict=True, device=Device(threads=threads, tile_bytes=2**30, max_tile=members))
    return {job.member.trial: _numbers(out, i) for out in engine.train(jobs, [split]) for i, job in enumerate(out.jobs)}


def _numbers(outcome: Outcome, place: int) -> dict[str, np.ndarray]:
    weights = {f"weight {n}": weight for n, weight in enumerate(outcome.weights[place])}
    probes = {name: values[place] for name, values in outcome.probes.items()}
    return {
        "train": outcome.train[place],
        "validation": outcome.validation[place],
        "predictions": outcome.validation_predictions[place],
        "train predictions": outcome.train_predictions[place],
        "failure": np.array(outcome.failures[place]),
        **weights,
        **probes,
    }


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


@pytest.fixture(scope="module")
def alone(split: Split) -> dict[int, dict[str, np.ndarray]]:
    return train(JOBS, split)


def test_the_same_seed_gives_the_same_bits_twice(alone: dict, split: Split) -> None:
    again = train(JOBS, split)
    for trial, numbers in alone.items():
        assert_same_bits(numbers, again[trial])


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [2, 0, 5, 1, 4, 3]])
def test_permuting_members_permutes_results(alone: dict, split: Split, order: list[int]) -> None:
    # Equal epochs and equal padding: the program is the same, and only the slots change.
    permuted = train([JOBS[i] for i in order], split)
    for trial, numbers in alone.items():
        assert_same_bits(numbers, permuted[trial])


def test_a_neighbour_that_turns_nan_changes_nothing(alone: dict, split: Split) -> None:
    sick = replace(JOBS[3], training=replace(JOBS[3].training, optimizer=_rate(1e38)))
    numbers = train([sick if job is JOBS[3] else job for job in JOBS], split)
    assert "diverged" in str(numbers[3]["failure"])
    assert np.isnan(numbers[3]["train"][:, 0]).any()
    for trial in (0, 1, 2, 4, 5):
        assert str(numbers[trial]["failure"]) == ""
        assert_same_bits(numbers[trial], alone[trial])


def _rate(rate: float) -> OptimizerSpec:
    return OptimizerSpec(class_name="Adam", learning_rate=rate)


def test_the_number_of_threads_changes_nothing(split: Split) -> None:
    jobs = [make_job(i, 2 + i % 5) for i in range(12)]
    one, two = train(jobs, split, threads=1, members=3), train(jobs, split, threads=2, members=3)
    for trial, numbers in one.items():
        assert_same_bits(numbers, two[trial])


def test_empty_slots_change_nothing(split: Split) -> None:
    jobs = [make_job(i, 8) for i in range(5)]
    full = train([*jobs, make_job(5, 8)], split, members=3)
    device = Device(threads=1, tile_bytes=2**30, max_tile=3)
    fusable, readings, _ = read_jobs(jobs, [split])
    slots = [tile.slots for tile in FusedEngine(device=device).plan(fusable, readings, [split]).tiles]
    assert any((tile < 0).any() for tile in slots)
    fewer = train(jobs, split, members=3)
    for trial, numbers in fewer.items():
        assert_same_bits(numbers, full[trial])


def test_a_second_search_of_the_same_shapes_compiles_nothing(alone: dict, split: Split) -> None:
    before = compiled_programs()
    shifted = replace(split, x_train=split.x_train[::-1].copy(), y_train=split.y_train[::-1].copy())
    other = [replace(job, training=replace(job.training, optimizer=_rate(0.002))) for job in JOBS]
    train(other, shifted)
    assert compiled_programs() == before
    for key in before:
        run = program_for(key).run
        if hasattr(run, "experimental_get_tracing_count"):
            assert run.experimental_get_tracing_count() == 1
        else:
            assert run._cache_size() == 1
