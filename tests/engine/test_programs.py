"""A second search of the same shapes traces and compiles nothing new; a plan covers every job once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import parity_cases as cases
import pytest

from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine
from unitune.engine.program import Program
from unitune.engine.programs import compiled_programs
from unitune.models.backend import ensure
from unitune.models.blueprint import OptimizerSpec, Schedule, Training
from unitune.records import Member


def search(offset: int) -> list[Job]:
    """Two activations x two widths on two folds; `offset` changes every number that may change."""

    def training(trial: int) -> Training:
        config = {"rho": 0.9 - 0.1 * offset - 0.02 * trial}
        optimizer = OptimizerSpec(class_name="RMSprop", learning_rate=0.01 * (1 + offset), config=config)
        return cases.training(0, optimizer, epochs=2, schedule=Schedule(name=("constant", "cosine")[offset]))

    return [
        Job(
            member=Member(trial=trial + 10 * offset, fold=fold, repeat=0, seed=fold + 7 * offset),
            split=fold,
            blueprint=cases.small(units, activation, 0, rate=0.1 * (1 + offset)),
            training=training(trial),
        )
        for trial, (units, activation) in enumerate([(3, "relu"), (3, "tanh"), (5, "relu"), (5, "tanh")])
        for fold in (0, 1)
    ]


@pytest.fixture(scope="module")
def splits() -> list[Any]:
    ensure()
    return [cases.as_floats(cases.make_split(fold, 0, 30 + fold, 12 - fold), "float32") for fold in (0, 1)]


@pytest.fixture(scope="module")
def traces() -> Any:
    """Counts how often a program's body is traced."""
    with pytest.MonkeyPatch.context() as patch:
        counted: list[Any] = []
        body = Program._run

        def run(self: Program, *arguments: Any) -> Any:
            counted.append(self.key)
            return body(self, *arguments)

        patch.setattr(Program, "_run", run)
        yield counted


@pytest.fixture(scope="module")
def first(splits: list[Any], traces: list[Any]) -> list[Any]:
    return list(FusedEngine(strict=True).train(search(0), splits))


def test_every_job_comes_out_once(first: list[Any]) -> None:
    found = sorted((job.member.trial, job.member.fold) for outcome in first for job in outcome.jobs)
    assert found == sorted((job.member.trial, job.member.fold) for job in search(0))
    assert all(outcome.engine == "fused" and not any(outcome.failures) for outcome in first)


def test_a_second_search_of_the_same_shapes_compiles_nothing(
    first: list[Any], splits: list[Any], traces: list[Any]
) -> None:
    before, programs = len(traces), compiled_programs()
    again = list(FusedEngine(strict=True).train(search(1), splits))
    assert sum(len(outcome.jobs) for outcome in again) == len(search(1))
    assert compiled_programs() == programs
    assert len(traces) == before
    assert len(set(traces)) == len(traces)


def test_the_second_search_trained_something_else(first: list[Any], splits: list[Any]) -> None:
    again = list(FusedEngine(strict=True).train(search(1), splits))
    assert not np.isin(again[0].train[..., 0], first[0].train[..., 0]).any()


def test_a_plan_has_every_job_once_and_prints_what_it_does(splits: list[Any]) -> None:
    from unitune.engine.fused import read_jobs

    jobs = [
        replace(job, member=replace(job.member, trial=job.member.trial + 100 * turn))
        for turn in range(5)
        for job in search(0)
    ]
    fusable, readings, _ = read_jobs(jobs, splits)
    plan = FusedEngine().plan(fusable, readings, splits)
    slots = np.concatenate([tile.slots for tile in plan.tiles])
    assert sorted(slots[slots >= 0]) == list(range(len(jobs)))
    for tile in plan.tiles:
        assert len(tile.slots) == tile.key.members
        assert {jobs[i].split for i in tile.slots if i >= 0} == {tile.split}
    assert plan.n_members == len(jobs)
    assert 0 <= plan.waste < 1
    assert plan.run_s > 0
    for word in ("40 members", "program", "tile", "padding", " s on "):
        assert word in str(plan)
