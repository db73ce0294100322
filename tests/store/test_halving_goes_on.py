"""A search by halving that was cut off goes on from where its members stood, and ends as if it had not been."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import store_fakes as fakes

import unitune
from unitune.engine.fused import FusedEngine
from unitune.engine.paused import Again
from unitune.errors import RunFolderError
from unitune.search import Goal, Halving
from unitune.search.halving import Hyperband
from unitune.store.unfinished import open_run_folder, read_run

pytestmark = pytest.mark.slow


class Stages(fakes.FakeEngine):
    """Trains up to `Job.until`; what a member gives depends on how long it has trained."""

    def train(self, jobs, splits, **more):
        for outcome in super().train(jobs, splits, **more):
            until = [job.last_epoch for job in outcome.jobs]
            rng = [
                np.random.default_rng((job.member.trial, job.member.fold, n))
                for job, n in zip(outcome.jobs, until, strict=True)
            ]
            shape = outcome.validation_predictions.shape[1:]
            yield replace(
                outcome,
                n_epochs=np.array(until),
                validation_predictions=np.stack([one.random(shape) for one in rng]),
                states=tuple(Again() if job.last_epoch < job.training.epochs else None for job in outcome.jobs),
            )


def strategy(kind):
    goal = Goal(metric="accuracy", direction="maximize", validation_ratio=0.5)
    return kind(fakes.a_space(), goal=goal, seed=3)


@pytest.fixture(params=[Halving, Hyperband])
def kind(request):
    return request.param


TRIALS = 40


def searched(kind, **more):
    return fakes.searched(trials=TRIALS, strategy=strategy(kind), **more)


@pytest.mark.parametrize("every", [1, 3, 17])
def test_it_goes_on_where_its_members_stood(tmp_path, kind, every, monkeypatch):
    """Cut off before each tile, each third, each 17th. No member is trained twice to the same rung."""
    monkeypatch.setattr("unitune.tuner.halved.TRIALS_PER_ROUND", 12)
    monkeypatch.setattr("unitune.tuner.loop.MEMBERS_PER_BATCH", 60)
    reference = Stages()
    whole = searched(kind, engine=reference)
    trained, cuts = [], 0
    while cuts < 200:
        engine, tiles = Stages(), 0

        def cut(keys, engine=engine):
            nonlocal tiles
            tiles += 1
            if tiles > every:
                raise KeyboardInterrupt

        engine.on_tile = cut
        found = None
        with contextlib.suppress(KeyboardInterrupt):
            found, _ = fakes.kept(tmp_path / "run", trials=TRIALS, strategy=strategy(kind), engine=engine)
        trained += engine.trained
        if found is not None and not found.interrupted:
            break
        cuts += 1
    assert cuts > 1
    assert fakes.contents(found) == fakes.contents(whole)
    assert sorted(trained) == sorted(reference.trained)
    database = open_run_folder(tmp_path / "run")
    with database.find().engine.connect() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM checkpoints WHERE fold >= 0").scalar()
    database.close()
    assert left == 0  # members that are finished need none


def test_it_begins_a_batch_anew_where_checkpoints_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("unitune.tuner.store_recorder.CHECKPOINT_BYTES", 10)
    whole = searched(Halving, engine=Stages())
    engine = Stages()
    engine.on_tile = lambda keys: exec("raise KeyboardInterrupt") if len(engine.trained) > 120 else None
    with contextlib.suppress(KeyboardInterrupt):
        fakes.kept(tmp_path / "run", trials=TRIALS, strategy=strategy(Halving), engine=engine)
    monkeypatch.undo()
    found, _ = fakes.kept(tmp_path / "run", trials=TRIALS, strategy=strategy(Halving), engine=Stages())
    assert fakes.contents(found) == fakes.contents(whole)


def test_a_store_is_read_with_the_trials_that_were_stopped(tmp_path):
    found, _ = fakes.kept(tmp_path / "run", trials=TRIALS, strategy=strategy(Halving), engine=Stages())
    database = open_run_folder(tmp_path / "run")
    _, trials, blocks = read_run(database.find())
    database.close()
    assert {trial.state for trial in trials} >= {"complete", "stopped"}
    assert [(one.number, one.state, one.failure, repr(one.scores)) for one in trials] == [
        (one.number, one.state, one.failure, repr(one.scores)) for one in found.trials
    ]
    assert sum(len(block.trial) for block in blocks) == sum(len(block.trial) for block in found.blocks)


def test_another_choice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("unitune.tuner.halved.TRIALS_PER_ROUND", 12)
    engine = Stages()
    engine.on_tile = lambda keys: exec("raise KeyboardInterrupt") if len(engine.trained) > 130 else None
    with contextlib.suppress(KeyboardInterrupt):
        fakes.kept(tmp_path / "run", trials=TRIALS, strategy=strategy(Halving), engine=engine)
    monkeypatch.setattr("unitune.search.halving.ETA", 2)
    with pytest.raises(RunFolderError, match="choose whom it chose before"):
        fakes.kept(tmp_path / "run", trials=TRIALS, strategy=strategy(Halving), engine=Stages())


class Killed(BaseException):
    """As a process that is killed: nothing is done after it."""


def test_networks_go_on_bit_equal(tmp_path, monkeypatch):
    """The real engine: weights, optimizer state, dropout, order of rows and stopping go through the store."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    y = (x[:, 0] + 0.5 * rng.normal(size=60) > 0).astype(int)

    def tuned(name):
        return unitune.tune(
            x,
            y,
            units=[2, 3, 5, 8],
            activations=["tanh"],
            learning_rates="1e-3:1e-1:log",
            dropouts=[0.0, 0.3],
            epochs=9,
            patience=3,
            folds=2,
            strategy="halving",
            trials=9,
            out=tmp_path,
            name=name,
            resume=True,
            progress=False,
        )

    whole = tuned("whole")
    train, cuts = FusedEngine.train, 0
    for after in (1, 4, 2, 1):
        left = after

        def cut(self, *args, **more):
            nonlocal left
            for outcome in train(self, *args, **more):
                if not left:
                    raise Killed
                left -= 1
                yield outcome

        monkeypatch.setattr(FusedEngine, "train", cut)
        with contextlib.suppress(Killed):
            tuned("cut")
            continue
        cuts += 1
    assert cuts >= 2
    monkeypatch.undo()
    found = tuned("cut")
    assert [t.state for t in found.trials] == [t.state for t in whole.trials]
    assert [dict(t.scores) for t in found.trials] == [dict(t.scores) for t in whole.trials]
    assert found.history().equals(whole.history())
    assert found.probes().equals(whole.probes())
    assert found.members().drop(columns="elapsed_s").equals(whole.members().drop(columns="elapsed_s"))
