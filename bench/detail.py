"""Figures beside the table: overhead around training, rate of arithmetic, growth, memory, probes."""

from __future__ import annotations

import os
import resource
import time
from typing import Any

import numpy as np

from bench.jobs import MORE_ACTIVATIONS, breast_cancer


def dense_job(trial: int, units: int, activation: str, epochs: int, fold: int = 0) -> Any:
    """A network of one hidden layer."""
    from unitune.engine.contract import Job
    from unitune.models.blueprint import Blueprint, LayerSpec, OptimizerSpec, Training
    from unitune.records import Member

    layers = (
        LayerSpec(class_name="Dense", config={"units": units, "activation": activation}),
        LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"}),
    )
    return Job(
        member=Member(trial=trial, fold=fold, repeat=0, seed=fold + 1),
        split=fold,
        blueprint=Blueprint(layers=layers),
        training=Training(
            optimizer=OptimizerSpec(class_name="Adam", learning_rate=1e-3),
            loss="binary_crossentropy",
            metrics=("accuracy",),
            epochs=epochs,
        ),
    )


def hold_out(rows: int = 455) -> Any:
    """The first rows to train on, the others to validate."""
    from unitune.data.arrays import Split

    x, y = breast_cancer()
    y = y.astype("float32")[:, None]
    return Split(fold=0, repeat=0, x_train=x[:rows], y_train=y[:rows], x_val=x[rows:], y_val=y[rows:])


def _train(jobs: list[Any], **options: Any) -> float:
    """Seconds for these jobs; outcomes are dropped as they come."""
    from unitune.engine.fused import FusedEngine

    start = time.perf_counter()
    for _ in FusedEngine(**options).train(jobs, [hold_out()]):
        pass
    return time.perf_counter() - start


def overhead_ms() -> float:
    """Milliseconds a trial of everything but the programs' calls (which include compiling), at 1,000 trials on one
    thread: asking, planning, initial weights, recording, scoring."""
    import unitune
    from unitune.engine.program import Program
    from unitune.models.backend import ensure

    ensure()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    spent, create = [0.0], Program.__init__

    def timed_init(program: Any, *arguments: Any) -> None:
        start = time.perf_counter()
        create(program, *arguments)
        run = program.run

        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = run(*arguments)
            spent[0] += time.perf_counter() - start
            return result

        program.run = timed
        spent[0] += time.perf_counter() - start

    Program.__init__ = timed_init  # type: ignore[method-assign]
    x, y = breast_cancer()
    start = time.perf_counter()
    unitune.tune(
        x,
        y,
        units="8:256",
        activations=MORE_ACTIVATIONS,
        epochs=10,
        validation_split=0.2,
        strategy="random",
        trials=1000,
        progress=False,
    )
    return (time.perf_counter() - start - spent[0]) * 1e3 / 1000


def rates() -> dict[str, float]:
    """GFLOP/s of useful arithmetic at two widths, and of a large float32 matrix product, on all cores."""
    from unitune.models.backend import ensure

    ensure()
    a = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    a @ a
    start = time.perf_counter()
    for _ in range(5):
        a @ a
    found = {"matrix product": 5 * 2 * 2048**3 / (time.perf_counter() - start) / 1e9}
    return found | {f"{units} units": useful_rate(units, 200, 40) for units in (64, 256)}


def useful_rate(units: int, members: int, epochs: int) -> float:
    """GFLOP/s of useful arithmetic, in programs that are compiled: the best of three."""
    jobs = [dense_job(i, units, "relu", epochs) for i in range(members)]
    _train(jobs)
    seconds = min(_train(jobs) for _ in range(3))
    # Forward and the kernel's gradient for the first layer, and the input's gradient too for the second.
    return members * epochs * 455 * (2 * 2 * 30 * units + 3 * 2 * units) / seconds / 1e9


def growth() -> dict[int, float]:
    """Seconds for 100, 1,000 and 10,000 members of one width, compiled before."""
    _train([dense_job(i, 64, "relu", 10) for i in range(100)])
    return {n: _train([dense_job(i, 64, "relu", 10) for i in range(n)]) for n in (100, 1000, 10_000)}


def memory_mib() -> float:
    """Peak memory in MiB of 10,000 members, over what importing takes."""
    from unitune.models.backend import ensure

    ensure()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng = np.random.default_rng(0)
    widths = rng.integers(8, 257, 10_000).tolist()
    _train([dense_job(i, w, MORE_ACTIVATIONS[i % 8], 10) for i, w in enumerate(widths)])
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def probes() -> float:
    """Time with probes over time without, both compiled before; the median of 5."""
    jobs = [
        dense_job(i, units, a, 20)
        for i, (units, a) in enumerate((u, a) for u in (64, 256) for a in MORE_ACTIVATIONS * 4)
    ]
    ratios = []
    for wanted in (True, False):
        _train(jobs, probes=wanted)
    for _ in range(5):
        ratios.append(_train(jobs, probes=True) / _train(jobs, probes=False))
    return float(np.median(ratios))


def searched_mb() -> dict[int, float]:
    """Peak memory in MB of a search over a `build_model(hp)`, after 50 and after 300 trials more."""
    from bench.networks import search

    found = {}
    for trials in (50, 300):
        search("mlp", "ours", trials, 10)
        # Kilobytes on Linux.
        found[trials] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


DETAILS = {
    "overhead_ms": overhead_ms,
    "rates": rates,
    "growth": growth,
    "memory_mib": memory_mib,
    "probes": probes,
    "searched_mb": searched_mb,
}
