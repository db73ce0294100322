"""A member's bits do not depend on its place, its neighbours, empty slots, threads or tiles, in the same program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import parity_cases as cases
import pytest

from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.engine.program_key import Tile
from unitune.engine.run import TileRun
from unitune.models.backend import ensure
from unitune.models.blueprint import EarlyStopping, OptimizerSpec
from unitune.models.build import initial_weights
from unitune.records import Member

BY_EPOCH = ("train", "validation", "learning_rate")
ONE = ("n_epochs", "best_epoch", "train_predictions", "validation_predictions")


def job(trial: int, rate: float = 0.05, epochs: int = 4, patience: int = 50) -> Job:
    units = (6, 3, 5, 4)[trial % 4]
    return Job(
        member=Member(trial=trial, fold=0, repeat=0, seed=5),
        split=0,
        blueprint=cases.small(units, "softplus", 0, rate=0.1 * (trial % 3)),
        training=cases.training(
            0,
            OptimizerSpec(class_name="Adam", learning_rate=rate),
            epochs=epochs,
            early_stopping=EarlyStopping(patience=patience),
        ),
    )


@dataclass
class Bench:
    """One tile of four slots, in which any jobs of the kind above can be run."""

    tile: Tile
    splits: list[Any]

    def run(self, jobs: Sequence[Job], slots: Sequence[Sequence[int]], threads: int = 1) -> dict[int, dict[str, Any]]:
        """Runs tiles with these slots; each trial's arrays."""
        fusable, readings, refused = read_jobs(jobs, self.splits)
        assert not refused
        tiles = [replace(self.tile, slots=np.array(chosen)) for chosen in slots]
        found = {}
        for outcome in TileRun(fusable, readings, self.splits, threads, lambda: False).outcomes(tiles):
            for i, one in enumerate(outcome.jobs):
                found[one.member.trial] = {name: getattr(outcome, name)[i] for name in BY_EPOCH + ONE} | {
                    "weights": outcome.weights[i],
                    "failure": outcome.failures[i],
                    "probes": [array[i] for array in outcome.probes.values()],
                }
        return found


@pytest.fixture(scope="module")
def bench() -> Bench:
    ensure()
    splits = [cases.as_floats(cases.make_split(0, 0, 37, 15), "float32")]
    jobs = [job(trial) for trial in range(4)]
    fusable, readings, _ = read_jobs(jobs, splits)
    (tile,) = FusedEngine().plan(fusable, readings, splits).tiles[:1]
    key = replace(tile.key, members=4)
    return Bench(tile=replace(tile, key=key), splits=splits)


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    return [job(trial, rate=0.02 * (1 + trial)) for trial in range(4)]


@pytest.fixture(scope="module")
def reference(bench: Bench, jobs: list[Job]) -> dict[int, dict[str, Any]]:
    return bench.run(jobs, [[0, 1, 2, 3]])


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    n = int(expected["n_epochs"])
    for name in ONE:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    for name in BY_EPOCH:  # as long as the member of the outcome that trained longest
        np.testing.assert_array_equal(found[name][:n], expected[name][:n], err_msg=name)
    for one, other in zip(found["weights"], expected["weights"], strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(found["probes"], expected["probes"], strict=True):
        np.testing.assert_array_equal(one[:n], other[:n])


def test_the_same_seed_gives_the_same_bits(bench: Bench, jobs: list[Job], reference: Any) -> None:
    again = bench.run(jobs, [[0, 1, 2, 3]])
    for trial in range(4):
        assert_same_bits(again[trial], reference[trial])


@pytest.mark.parametrize("slots", [[3, 2, 1, 0], [1, 3, 0, 2]])
def test_permuting_members_permutes_results(bench: Bench, jobs: list[Job], reference: Any, slots: list[int]) -> None:
    found = bench.run(jobs, [slots])
    for trial in range(4):
        assert_same_bits(found[trial], reference[trial])


def test_empty_slots_change_nothing(bench: Bench, jobs: list[Job], reference: Any) -> None:
    found = bench.run(jobs, [[-1, 2, -1, -1], [1, -1, -1, 3]])
    assert sorted(found) == [1, 2, 3]
    for trial in found:
        assert_same_bits(found[trial], reference[trial])


def test_threads_change_nothing(bench: Bench, jobs: list[Job], reference: Any) -> None:
    found = bench.run(jobs, [[0, -1, -1, -1], [1, -1, 2, -1], [-1, -1, -1, 3]], threads=2)
    for trial in range(4):
        assert_same_bits(found[trial], reference[trial])


def with_infinite_weights(bad: Job) -> Job:
    weights = initial_weights(bad.blueprint, (cases.N_FEATURES,), bad.member.seed)
    return replace(bad, initial_weights=[np.full_like(weight, np.inf) for weight in weights])


@pytest.mark.parametrize("spoil", [lambda bad: job(2, rate=1e30), with_infinite_weights], ids=["rate", "weights"])
def test_a_neighbour_that_diverges_changes_nothing(bench: Bench, jobs: list[Job], reference: Any, spoil: Any) -> None:
    found = bench.run([*jobs[:2], spoil(jobs[2]), jobs[3]], [[0, 1, 2, 3]])
    for trial in (0, 1, 3):
        assert_same_bits(found[trial], reference[trial])
        assert found[trial]["failure"] == ""
    assert "finite" in found[2]["failure"]


def test_members_that_move_to_another_tile_go_on_as_if_they_had_stayed(bench: Bench) -> None:
    # In each tile two members stop at once and two go on: the four that go on share a tile from then on.
    mixed = [job(trial, rate=(0.02, 5.0)[trial % 2], epochs=40, patience=(60, 0)[trial % 2]) for trial in range(8)]
    together = bench.run(mixed, [[0, 1, 2, 3], [4, 5, 6, 7]])
    apart = bench.run(mixed, [[0, 1, 2, 3]]) | bench.run(mixed, [[4, 5, 6, 7]])
    assert {together[trial]["n_epochs"] for trial in (0, 2, 4, 6)} == {40}
    assert all(together[trial]["n_epochs"] < 40 for trial in (1, 3, 5, 7))
    for trial in range(8):
        assert_same_bits(together[trial], apart[trial])
