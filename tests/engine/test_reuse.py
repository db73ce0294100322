"""Batches of a search share programs: what was planned before is used again, decides the same again, and is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import parity_cases as cases
import pytest

from unitune.engine.contract import Job
from unitune.engine.device import Device
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.engine.graph import Reading
from unitune.engine.plan import Plan
from unitune.engine.program_key import ProgramKey
from unitune.engine.programs import compiled_programs
from unitune.engine.reuse import covers, joined
from unitune.engine.solo import SoloEngine
from unitune.models.backend import ensure
from unitune.models.blueprint import Blueprint, EarlyStopping, OptimizerSpec, Training
from unitune.records import Member

DEVICE = Device(threads=2, tile_bytes=2**22, max_tile=8)


@pytest.fixture(scope="module")
def splits() -> list[Any]:
    ensure()
    return [cases.as_floats(cases.make_split(0, 0, 40, 12), "float32")]


def job(trial: int, blueprint: Blueprint, training: Training) -> Job:
    member = Member(trial=trial, fold=0, repeat=0, seed=3)
    return Job(member=member, split=0, blueprint=blueprint, training=training)


def batch(number: int, size: int = 24) -> list[Job]:
    """Configurations as a strategy would propose them: every hyperparameter is drawn."""
    rng = np.random.default_rng((5, number))
    jobs = []
    for i in range(size):
        units = int(rng.integers(2, 65))
        act = ("relu", "tanh", "gelu", "sigmoid", "elu", "softplus")[rng.integers(6)]
        rate = float(rng.choice([0.0, 0.2, 0.4]))
        config = {"beta_1": float(rng.choice([0.9, 0.8])), "weight_decay": float(rng.choice([0.0, 0.01]))}
        optimizer = OptimizerSpec(class_name="Adam", learning_rate=0.01, config=config)
        epochs = int(rng.choice([2, 3]))
        training = cases.training(0, optimizer, epochs=epochs)
        jobs.append(job(100 * number + i, cases.small(units, act, 0, rate=rate), training))
    return jobs


def planned(engine: FusedEngine, jobs: list[Job], splits: list[Any]) -> tuple[Plan, list[Reading]]:
    _, readings, refused = read_jobs(jobs, splits)
    assert not refused
    return engine.plan(jobs, readings, splits), readings


def keys(plan: Plan) -> set[ProgramKey]:
    return {tile.key for tile in plan.tiles}


def layout(plan: Plan) -> list[tuple[ProgramKey, list[int]]]:
    return [(tile.key, tile.slots.tolist()) for tile in plan.tiles]


def assert_fits(tile: Any, jobs: Sequence[Job], readings: Sequence[Reading]) -> None:
    """Every number of every member has a place in the tile's program."""
    for index in tile.slots[tile.slots >= 0].tolist():
        functions = iter(readings[index].functions)
        for node, own, width in zip(tile.key.nodes, readings[index].nodes, readings[index].widths, strict=True):
            assert width == node.width or (width < node.width and node.padded)
            assert {name for name, value in own.numbers.items() if value} <= node.used
            if node.kind == "Activation":
                assert next(functions) in node.functions
        (optimizer,) = tile.key.optimizers
        static = dict(optimizer.static)
        for name, value in readings[index].optimizer.numbers.items():
            if name == "weight_decay":
                assert optimizer.decays or not value
            else:
                assert name in optimizer.varying or static[name] == value


def test_later_batches_compile_little(splits: list[Any]) -> None:
    engine, seen, new = FusedEngine(device=DEVICE), set[ProgramKey](), []
    for number in range(12):
        jobs = batch(number)
        plan, readings = planned(engine, jobs, splits)
        new.append(len(keys(plan) - seen))
        seen |= keys(plan)
        for tile in plan.tiles:
            assert_fits(tile, jobs, readings)
        slots = np.concatenate([tile.slots for tile in plan.tiles])
        assert sorted(slots[slots >= 0]) == list(range(len(jobs)))
    assert sum(new) <= 3


def test_the_same_batches_are_planned_alike(splits: list[Any]) -> None:
    """A search that goes on walks through its batches again, and a batch may be planned several times."""
    one, two = FusedEngine(device=DEVICE), FusedEngine(device=DEVICE)
    for number in range(5):
        first = layout(planned(one, batch(number), splits)[0])
        assert layout(planned(two, batch(number), splits)[0]) == first
        assert layout(planned(two, batch(number), splits)[0]) == first
        assert layout(planned(one, batch(0), splits)[0]) == layout(planned(two, batch(0), splits)[0])


def test_a_program_is_of_the_settings_of_keras_with_which_it_was_traced(splits: list[Any]) -> None:
    config, engine = ensure().config, FusedEngine(device=DEVICE, probes=False)
    before = config.epsilon()
    first = {tile.key for tile in planned(engine, batch(0), splits)[0].tiles}
    config.set_epsilon(1e-3)
    try:
        assert not first & {tile.key for tile in planned(engine, batch(0), splits)[0].tiles}
    finally:
        config.set_epsilon(before)
    assert first == {tile.key for tile in planned(engine, batch(0), splits)[0].tiles}


def test_a_much_larger_network_gets_a_program_of_its_own(splits: list[Any]) -> None:
    """Small networks are not trained in the program of a huge one where that would take longer than compiling."""
    engine = FusedEngine(device=DEVICE)

    def chain(units: int, trial: int) -> Job:
        layers = (*(cases.dense(units, "relu") for _ in range(3)), cases.dense(1, "sigmoid"))
        return job(trial, Blueprint(layers=layers), cases.training(0, epochs=400))

    huge = planned(engine, [chain(2048, 0)], splits)[0]
    small = planned(engine, [chain(8, trial) for trial in range(40)], splits)[0]
    assert keys(huge).isdisjoint(keys(small))
    assert {node.width for key in keys(small) for node in key.nodes} == {8, 1}


def test_what_a_program_covers(splits: list[Any]) -> None:
    def key(units: list[int], act: list[str], *, beta: Any = 0.9, rate: float = 0.0, patience: int = 0) -> ProgramKey:
        optimizer = OptimizerSpec(class_name="Adam", learning_rate=0.01, config={"beta_1": beta})
        early = EarlyStopping(patience=patience) if patience else None
        training = cases.training(0, optimizer, early_stopping=early)
        jobs = [
            job(i, cases.small(u, a, 0, rate=rate), training) for i, (u, a) in enumerate(zip(units, act, strict=True))
        ]
        (found,) = keys(planned(FusedEngine(device=DEVICE), jobs, splits)[0])
        return found

    wide = key([4, 16], ["relu", "tanh"])
    assert covers(wide, wide)
    assert covers(wide, key([9], ["tanh"]))
    assert not covers(wide, key([17], ["tanh"]))
    assert not covers(wide, key([16], ["elu"]))
    assert not covers(wide, key([8], ["relu"], beta=0.8))
    assert not covers(wide, key([8], ["relu"], rate=0.5))
    assert not covers(wide, key([8], ["relu"], patience=2))
    assert covers(key([4, 16], ["relu", "relu"], patience=2), key([8], ["relu"]))
    # A program whose members are all equally wide masks nothing, and so cannot hold a narrower one.
    exact = key([16], ["relu"])
    assert not covers(exact, key([8], ["relu"]))

    both = joined(exact, key([8, 4], ["elu", "elu"], beta=0.8, rate=0.5))
    assert both is not None
    assert covers(both, exact)
    for other in (key([3], ["relu"], beta=0.7), key([16], ["elu"], beta=0.8), key([5], ["elu"], rate=0.1)):
        assert covers(replace(both, stopping=True), other)
    another = replace(wide, batch_size=8)
    assert joined(wide, another) is None
    assert not covers(wide, another)


def test_members_in_a_program_of_others_are_trained_as_by_fit(splits: list[Any]) -> None:
    engine = FusedEngine(strict=True, device=DEVICE, probes=False)

    def jobs(start: int, units: list[int], acts: list[str], betas: list[float]) -> list[Job]:
        return [
            job(
                start + i,
                cases.small(u, act, 0, rate=0.1 * i),
                cases.training(0, OptimizerSpec(class_name="Adam", learning_rate=0.02, config={"beta_1": beta})),
            )
            for i, (u, act, beta) in enumerate(zip(units, acts, betas, strict=True))
        ]

    list(engine.train(jobs(0, [7, 3, 12], ["relu", "softplus", "tanh"], [0.9, 0.8, 0.9]), splits))
    compiled = compiled_programs()
    later = jobs(10, [2, 12], ["softplus", "relu"], [0.7, 0.7])
    outcomes = list(engine.train(later, splits))
    assert compiled_programs() == compiled
    oracle = {outcome.jobs[0].member.trial: outcome for outcome in SoloEngine().train(later, splits)}
    seen = 0
    for outcome in outcomes:
        for place, one in enumerate(outcome.jobs):
            truth = oracle[one.member.trial]
            for name in ("train", "validation"):
                np.testing.assert_allclose(getattr(outcome, name)[place], getattr(truth, name)[0], rtol=1e-5, atol=1e-6)
            for mine, theirs in zip(outcome.weights[place], truth.weights[0], strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
            seen += 1
    assert seen == len(later)
