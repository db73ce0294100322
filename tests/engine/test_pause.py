"""Members that pause and go on are bit-equal to members that never stopped, in the programs that were compiled."""

import numpy as np
import pytest

from unitune.data.arrays import Split
from unitune.engine import run
from unitune.engine.contract import Job, Outcome, OutOfTime
from unitune.engine.device import Device
from unitune.engine.fused import FusedEngine
from unitune.engine.programs import compiled_programs
from unitune.engine.solo import SoloEngine
from unitune.models.blueprint import Blueprint, EarlyStopping, LayerSpec, OptimizerSpec, Plateau, Schedule, Training
from unitune.records import Member

pytestmark = pytest.mark.slow

EPOCHS = 9


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(70, 4)).astype("float32")
    y = (x[:, :1] + 0.5 * rng.normal(size=(70, 1)) > 0).astype("float32")
    return Split(fold=0, repeat=0, x_train=x[:50], y_train=y[:50], x_val=x[50:], y_val=y[50:])


def jobs_of(n: int, *, optimizer: str = "Adam", config=None, dropout: float = 0.0, **training) -> list[Job]:
    jobs = []
    for trial in range(n):
        layers = [LayerSpec(class_name="Dense", config={"units": 3 + trial % 4, "activation": "tanh"})]
        if dropout:
            layers.append(LayerSpec(class_name="Dropout", config={"rate": dropout}))
        layers.append(LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"}))
        jobs.append(
            Job(
                member=Member(trial=trial, fold=0, repeat=0, seed=5),
                split=0,
                blueprint=Blueprint(layers=tuple(layers)),
                training=Training(
                    optimizer=OptimizerSpec(
                        class_name=optimizer, learning_rate=(0.3, 0.03, 0.003)[trial % 3], config=config or {}
                    ),
                    loss="binary_crossentropy",
                    epochs=EPOCHS,
                    batch_size=16,
                    **training,
                ),
            )
        )
    return jobs


def by_trial(outcomes) -> dict[int, tuple[Outcome, int]]:
    return {job.member.trial: (outcome, place) for outcome in outcomes for place, job in enumerate(outcome.jobs)}


def go_on(engine: FusedEngine, jobs: list[Job], split: Split, rungs: tuple[int, ...]):
    """Trains in stages, each time in another order and with other neighbours, to the end."""
    from dataclasses import replace

    states = dict(zip((job.member.trial for job in jobs), engine.prepare(jobs, [split]), strict=True))
    found: dict[int, tuple[Outcome, int]] = {}
    for rung in rungs:
        left = [job for job in jobs if states[job.member.trial] is not None]
        if rung > rungs[0]:
            left = left[::-1]
        stage = [replace(job, until=rung, state=states[job.member.trial]) for job in left]
        for trial, (outcome, place) in by_trial(engine.train(stage, [split])).items():
            found[trial] = (outcome, place)
            states[trial] = outcome.states[place] if outcome.states else None
    return found


CASES = {
    "plain": {},
    "early stopping": {"early_stopping": EarlyStopping(patience=2)},
    "plateau and dropout": {"plateau": Plateau(factor=0.5, patience=1), "dropout": 0.3},
    "schedule and momentum": {
        "optimizer": "SGD",
        "config": {"momentum": 0.9},
        "schedule": Schedule(name="cosine"),
        "dropout": 0.2,
    },
    "moving average": {"config": {"use_ema": True, "ema_momentum": 0.9}},
}


@pytest.mark.parametrize("case", CASES)
def test_it_goes_on_bit_equal_and_compiles_nothing(split: Split, case: str) -> None:
    jobs = jobs_of(10, **CASES[case])
    engine = FusedEngine(device=Device(threads=1, tile_bytes=2**30, max_tile=4))
    whole = by_trial(engine.train(jobs, [split]))
    compiled = compiled_programs()
    staged = go_on(engine, jobs, split, (2, 5, EPOCHS))
    assert compiled_programs() == compiled
    assert staged.keys() == whole.keys()
    for trial, (outcome, place) in staged.items():
        other, there = whole[trial]
        n = int(outcome.n_epochs[place])
        assert n == other.n_epochs[there]
        assert outcome.best_epoch[place] == other.best_epoch[there]
        for name in ("train", "validation", "learning_rate"):
            np.testing.assert_array_equal(getattr(outcome, name)[place, :n], getattr(other, name)[there, :n])
        for name in ("train_predictions", "validation_predictions"):
            np.testing.assert_array_equal(getattr(outcome, name)[place], getattr(other, name)[there])
        for mine, theirs in zip(outcome.weights[place], other.weights[there], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        for name, values in outcome.probes.items():
            np.testing.assert_array_equal(values[place, :n], other.probes[name][there, :n])


@pytest.mark.parametrize("case", ["early stopping", "schedule and momentum"])
def test_calls_of_one_epoch_give_the_same_bits_as_one_call(split: Split, case: str, monkeypatch) -> None:
    jobs = jobs_of(6, **CASES[case])
    engine = FusedEngine(device=Device(threads=1, tile_bytes=2**30, max_tile=6))
    whole = by_trial(engine.train(jobs, [split]))
    monkeypatch.setattr(run, "CALL_S", 0.0)
    for trial, (outcome, place) in by_trial(engine.train(jobs, [split])).items():
        other, there = whole[trial]
        n = int(outcome.n_epochs[place])
        np.testing.assert_array_equal(outcome.train[place, :n], other.train[there, :n])
        np.testing.assert_array_equal(outcome.validation_predictions[place], other.validation_predictions[there])
        for mine, theirs in zip(outcome.weights[place], other.weights[there], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_what_is_half_trained_is_given_up_once_the_time_is_over(split: Split, monkeypatch) -> None:
    from dataclasses import replace

    jobs = [replace(job, training=replace(job.training, epochs=1_000_000)) for job in jobs_of(2)]
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise OutOfTime
        return False

    monkeypatch.setattr(run, "CALL_S", 0.05)
    monkeypatch.setattr(run, "POLL_S", 0.05)
    with pytest.raises(OutOfTime):
        list(FusedEngine().train(jobs, [split], should_stop=should_stop))


def test_a_pause_gives_what_training_for_so_long_gives(split: Split) -> None:
    from dataclasses import replace

    jobs = jobs_of(3)
    engine = FusedEngine()
    paused = by_trial(engine.train([replace(job, until=4) for job in jobs], [split]))
    short = by_trial(engine.train([replace(job, training=replace(job.training, epochs=4)) for job in jobs], [split]))
    for trial, (outcome, place) in paused.items():
        assert outcome.n_epochs[place] == outcome.best_epoch[place] == 4
        assert outcome.states[place] is not None
        other, there = short[trial]
        np.testing.assert_allclose(
            outcome.validation_predictions[place], other.validation_predictions[there], rtol=1e-5
        )


def test_members_pause_at_different_epochs_and_some_not_at_all(split: Split) -> None:
    from dataclasses import replace

    jobs = [replace(job, until=until) for job, until in zip(jobs_of(4), (2, 5, None, 20), strict=True)]
    found = by_trial(FusedEngine().train(jobs, [split]))
    assert [int(found[trial][0].n_epochs[found[trial][1]]) for trial in range(4)] == [2, 5, EPOCHS, EPOCHS]
    has_state = [bool(o.states) and o.states[place] is not None for o, place in (found[trial] for trial in range(4))]
    assert has_state == [True, True, False, False]


def test_solo_trains_again_from_the_start(split: Split) -> None:
    from dataclasses import replace

    (job,) = jobs_of(1)
    (paused,) = SoloEngine().train([replace(job, until=2)], [split])
    (state,) = paused.states
    assert paused.n_epochs.tolist() == [2]
    (outcome,) = SoloEngine().train([replace(job, state=state)], [split])
    (whole,) = SoloEngine().train([job], [split])
    assert outcome.states == ()
    np.testing.assert_allclose(outcome.train, whole.train, rtol=1e-6)
    np.testing.assert_allclose(paused.train[0], whole.train[0, :2], rtol=1e-6)
