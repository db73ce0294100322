"""A search without a framework: rows, a space, and an engine whose results follow from who a member is."""

import time

import numpy as np

from unitune.data.arrays import Split
from unitune.data.dataset import Dataset
from unitune.data.folds import make_folds
from unitune.engine.contract import Outcome
from unitune.models.blueprint import Blueprint, LayerSpec, OptimizerSpec, Training
from unitune.options import Budget
from unitune.search import Goal, Random, make_strategy
from unitune.space import Choice, Float, Hyperparameter, Space
from unitune.store import MemberBlock, Run
from unitune.tuner.loop import Network, search
from unitune.tuner.problem import Problem
from unitune.tuner.session import Session, identity_of

METRICS = ("accuracy", "log_loss")
EPOCHS = 4


def a_space(widest=64):
    return Space(
        [
            Hyperparameter("units", Choice((8, 16, widest))),
            Hyperparameter("activation", Choice(("relu", "tanh"))),
            Hyperparameter("learning_rate", Float(1e-4, 1e-1, log=True)),
        ]
    )


def a_problem(n_rows=40, folds=3, seed=0, objective="accuracy"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, 3))
    data = Dataset(x=x, y=np.arange(n_rows) % 2, task="binary", classes=np.array(["no", "yes"]))
    made = make_folds(data, folds=folds, seed=0)
    y = data.y[:, None].astype(np.float32)
    return Problem(
        dataset=data,
        folds=made,
        splits=tuple(
            Split(
                fold=f.fold,
                repeat=f.repeat,
                x_train=x[f.train],
                y_train=y[f.train],
                x_val=x[f.validation],
                y_val=y[f.validation],
            )
            for f in made
        ),
        objective=objective,
        direction="maximize" if objective == "accuracy" else "minimize",
        metrics=(objective, *(m for m in METRICS if m != objective)),
        seed=0,
        validation_ratio=0.5,
    )


def network(configuration):
    layers = (
        LayerSpec(class_name="Dense", config={"units": configuration["units"]}),
        LayerSpec(class_name="Dense", config={"units": 1}),
    )
    optimizer = OptimizerSpec(class_name="Adam", learning_rate=configuration["learning_rate"])
    return Network(
        blueprint=Blueprint(layers=layers),
        training=Training(optimizer=optimizer, loss="binary_crossentropy", epochs=EPOCHS),
    )


class FakeEngine:
    """Takes `tile_s` seconds for a tile. Its numbers depend on a member's trial, fold, seed and learning rate only."""

    name = "fused"
    plans = ()
    resumable = None

    def __init__(self, tile_s=0.0, tile=4, on_tile=lambda keys: None):
        self.tile_s = tile_s
        self.tile = tile
        self.on_tile = on_tile
        self.trained = []

    def train(self, jobs, splits, *, should_stop=lambda: False, take=None):
        for split in range(len(splits)):
            mine = [job for job in jobs if job.split == split]
            for start in range(0, len(mine), self.tile):
                if should_stop():
                    return
                tile = mine[start : start + self.tile]
                granted = [True] * len(tile) if take is None else take(tile)
                tile = [job for job, is_granted in zip(tile, granted, strict=True) if is_granted]
                if not tile:
                    continue
                keys = [(job.member.trial, job.member.fold, job.member.repeat) for job in tile]
                self.on_tile(keys)
                time.sleep(self.tile_s)
                self.trained += keys
                yield outcome_of(tile, splits[split])


def outcome_of(jobs, split):
    n = len(jobs)
    draws = [np.random.default_rng((job.member.seed, int(job.training.optimizer.learning_rate * 1e9))) for job in jobs]

    def drawn(*shape):
        return np.stack([rng.random(shape) for rng in draws])

    return Outcome(
        jobs=tuple(jobs),
        metrics=("loss", "accuracy"),
        train=drawn(EPOCHS, 2).astype(np.float32),
        validation=drawn(EPOCHS, 2).astype(np.float32),
        learning_rate=np.full((n, EPOCHS), 1e-3, np.float32),
        n_epochs=np.full(n, EPOCHS),
        best_epoch=np.full(n, EPOCHS - 1),
        train_predictions=drawn(len(split.x_train), 1),
        validation_predictions=drawn(len(split.x_val), 1),
        weights=tuple((np.full((2, 3), job.member.trial, np.float32), np.arange(job.member.fold + 1)) for job in jobs),
        failures=tuple("it diverged" if job.member.trial % 7 == 3 and job.member.fold == 1 else "" for job in jobs),
        elapsed_s=drawn()[:],
        engine="fused",
        probes={"dead_units": drawn(EPOCHS, 2)},
    )


def a_strategy(name, *, trials):
    goal = Goal(metric="accuracy", direction="maximize", validation_ratio=0.5)
    return make_strategy(name, a_space(), goal=goal, seed=3, trials=trials)[0]


def a_record(problem, space):
    return Run(
        objective=problem.objective,
        direction=problem.direction,
        metrics=problem.metrics,
        task="binary",
        space=space,
        strategy="random",
        engine="fused",
        seed=0,
        folds={"n_folds": problem.n_folds, "repeats": 1, "validation_ratio": 0.5, "kind": "3 folds"},
        data={"fingerprint": problem.dataset.fingerprint, "classes": ["no", "yes"], "n_rows": 40, "target": "y"},
    )


def a_session(folder, *, problem=None, space=None, url=None, resume=True, overwrite=False, keep=0, **more):
    problem, space = problem or a_problem(), space or a_space()
    return Session(
        folder,
        url=url,
        resume=resume,
        overwrite=overwrite,
        identity=identity_of(
            fingerprint=problem.dataset.fingerprint,
            folds=[(fold.train, fold.validation) for fold in problem.folds],
            objective=problem.objective,
            seed=0,
            strategy="random",
            space=space,
            settings=more,
        ),
        record=a_record(problem, space),
        space=space,
        keep=keep,
    )


def searched(recorder=None, *, trials=30, engine=None, problem=None, space=None, listeners=(), strategy=None, **more):
    space = space or a_space()
    return search(
        problem or a_problem(),
        strategy or Random(space, seed=5),
        network=network,
        engine=engine or FakeEngine(),
        budget=Budget(trials=trials),
        started=time.perf_counter(),
        listeners=listeners,
        recorder=recorder,
        **more,
    )


def kept(folder, **more):
    """A whole search in a store, begun or gone on with."""
    engine = more.setdefault("engine", FakeEngine())
    session = a_session(folder, url=more.pop("url", None), keep=more.pop("keep", 0))
    try:
        found = searched(session.recorder, **more)
        session.recorder.flush(10.0)
        session.end("interrupted" if found.interrupted else "finished")
    finally:
        session.close()
    return found, engine


def contents(found):
    """What must be the same to the last bit, however a search came about."""
    trials = [
        (t.number, sorted(t.configuration.items()), t.state, t.n_parameters, t.failure, t.elapsed_s, dict(t.scores))
        for t in found.trials
    ]
    members = {}
    for block in found.blocks:
        for i in range(len(block.trial)):
            key = (int(block.trial[i]), int(block.fold[i]), int(block.repeat[i]))
            arrays = [block.train[i], block.validation[i], block.probes["dead_units"][i]]
            arrays += [] if block.predictions is None else [block.predictions[i]]
            assert key not in members
            members[key] = (block.failure[i], *((a.dtype.str, a.tobytes()) for a in arrays))
    return repr(trials), dict(sorted(members.items()))


def a_block(trials, fold=0, repeat=0, rng=None, failure="", width=3, rows=5):
    rng = rng or np.random.default_rng(0)
    n = len(trials)
    return MemberBlock(
        trial=np.array(trials),
        fold=np.full(n, fold),
        repeat=np.full(n, repeat),
        metrics=("loss", "accuracy"),
        train=rng.random((n, width, 2)).astype(np.float32),
        validation=np.where(rng.random((n, width, 2)) > 0.8, np.nan, rng.random((n, width, 2))),
        learning_rate=rng.random((n, width)),
        n_epochs=np.full(n, width),
        best_epoch=np.full(n, 1),
        elapsed_s=rng.random(n),
        failure=[failure] * n,
        engine="fused",
        engine_reason="because",
        scores={"train_accuracy": rng.random(n), "validation_accuracy": np.where(rng.random(n) > 0.5, np.nan, 0.5)},
        probes={"dead_units": rng.random((n, width, 2)).astype(np.float32)},
        predictions=rng.random((n, rows, 1)).astype(np.float32),
    )
