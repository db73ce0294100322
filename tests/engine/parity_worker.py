"""Runs the covering set on one backend and floating type, fused and with plain Keras, and writes both to a file.

A backend and a floating type belong to a process, so this is a script: `parity_worker.py BACKEND DTYPE FILE [full]`.
The tests read the file and judge case by case.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
import time
from typing import Any


def main(backend: str, dtype: str, file: str, extent: str = "share", wanted: str = "") -> None:
    os.environ["KERAS_BACKEND"] = backend
    from unitune.models.backend import ensure

    keras = ensure()
    keras.config.set_floatx(dtype)
    if backend == "jax" and dtype == "float64":
        import jax

        jax.config.update("jax_enable_x64", True)
        # Keras on JAX takes float64 to float32 in some operations (tanh, sin, ...), and two programs cannot agree
        # beyond what was rounded away. Here both engines are spared that, so that their own arithmetic is compared.
        from keras.src.backend.common import dtypes

        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    import parity_cases
    from cheap_fit import cheaply

    cheaply(backend)
    names = tuple(wanted.split(","))
    cases = [case for case in parity_cases.cases(backend, dtype, full=extent == "full") if case.name.startswith(names)]
    splits = parity_cases.splits(dtype)
    results: dict[str, Any] = {}
    started = time.perf_counter()
    fused = run_fused(cases, splits)
    middle = time.perf_counter()
    for number, case in enumerate(cases):
        if number % 10 == 0:
            gc.collect()  # a Keras model is a cycle
        oracle = by_steps(case.job, splits[case.job.split]) if case.oracle == "steps" else by_fit(case.job, splits)
        results[case.name] = {"fused": fused[case.name], "oracle": oracle, "moved": 0.0}
        if case.oracle == "steps" and dtype == "float32" and distance(fused[case.name], oracle) > 1e-5:
            nudged = [by_steps(case.job, splits[case.job.split], nudge=seed) for seed in (1, 2, 3)]
            results[case.name]["moved"] = max(distance(one, oracle) for one in nudged)
    print(f"{backend} {dtype}: fused {middle - started:.1f} s, plain Keras {time.perf_counter() - middle:.1f} s")
    with open(file, "wb") as out:
        pickle.dump(results, out)


def run_fused(cases: list[Any], splits: list[Any]) -> dict[str, Any]:
    """Each case's own part of its outcome. Weighted splits have programs of their own, so they are trained apart."""
    from unitune.engine.fused import FusedEngine

    found = {}
    for weighted in (False, True):
        chosen = [case for case in cases if (splits[case.job.split].w_train is not None) == weighted]
        mine = [split if (split.w_train is not None) == weighted else splits[6 if weighted else 0] for split in splits]
        names = {id(case.job): case.name for case in chosen}
        if not chosen:
            continue
        for outcome in FusedEngine(strict=True, probes=False).train([case.job for case in chosen], mine):
            for i, job in enumerate(outcome.jobs):
                found[names[id(job)]] = part(outcome, i) | {"after": exported(job, mine[job.split], outcome.weights[i])}
    return found


def part(outcome: Any, i: int) -> dict[str, Any]:
    """One member of an outcome as plain arrays."""
    n = int(outcome.n_epochs[i])
    return {
        "metrics": outcome.metrics,
        "train": outcome.train[i, :n],
        "validation": outcome.validation[i, :n],
        "learning_rate": outcome.learning_rate[i, :n],
        "n_epochs": n,
        "best_epoch": int(outcome.best_epoch[i]),
        "train_predictions": outcome.train_predictions[i],
        "validation_predictions": outcome.validation_predictions[i],
        "weights": list(outcome.weights[i]),
        "failure": outcome.failures[i],
    }


def exported(job: Any, split: Any, weights: Any) -> Any:
    """What the member's model predicts once it has these weights."""
    import keras

    from unitune.models.build import bare_model

    model = bare_model(job.blueprint, split.x_val.shape[1:], job.member.seed)
    model.set_weights(list(weights))
    return keras.ops.convert_to_numpy(model(split.x_val, training=False))


def by_fit(job: Any, splits: list[Any]) -> dict[str, Any]:
    """The solo engine's outcome."""
    from unitune.engine.solo import SoloEngine

    (outcome,) = SoloEngine().train([job], splits)
    return part(outcome, 0)


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest relative difference between the losses and metrics of two members."""
    import numpy as np

    parts = ("train", "validation")
    return max(float(np.max(np.abs(one[p] - other[p]) / np.maximum(np.abs(other[p]), 1e-30))) for p in parts)


def by_steps(job: Any, split: Any, nudge: int = 0) -> dict[str, Any]:
    """What `fit` does, batch by batch with Keras's own steps and metrics, run eagerly.

    With `nudge`, a seed, the first weights are each moved by half a unit in the last place, up or down.
    """
    import keras
    import numpy as np

    from unitune.engine.order import epoch_order
    from unitune.models.build import build_model

    training, n = job.training, len(split.x_train)
    model = build_model(job.blueprint, split.x_train.shape[1:], training, seed=job.member.seed, steps_per_epoch=1)
    model.run_eagerly = keras.backend.backend() != "jax"
    if nudge:
        rng = np.random.default_rng(nudge)
        model.set_weights([w * (1 + rng.choice([-1, 1], w.shape) * 2.0**-24) for w in model.get_weights()])
    names = ("loss", *training.metric_names)
    logs: dict[str, list[Any]] = {"train": [], "validation": []}
    rates = []
    for epoch in range(training.epochs):
        order = epoch_order(n, job.member.seed, epoch)
        batches = []
        for start in range(0, n, training.batch_size):
            rows = order[start : start + training.batch_size]
            # Each call gives the means over its own batch.
            seen = model.train_on_batch(split.x_train[rows], split.y_train[rows], return_dict=True)
            batches.append([float(seen[name]) for name in names])
        logs["train"].append(joined(names, batches))
        seen = model.test_on_batch(split.x_val, split.y_val, return_dict=True)
        logs["validation"].append([float(seen[name]) for name in names])
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
    model.optimizer.finalize_variable_values(model.trainable_weights)

    def predict(x: Any) -> Any:
        return keras.ops.convert_to_numpy(model(x, training=False))

    return {
        "metrics": names,
        "train": np.array(logs["train"]),
        "validation": np.array(logs["validation"]),
        "learning_rate": np.array(rates),
        "n_epochs": training.epochs,
        "best_epoch": training.epochs,
        "train_predictions": predict(split.x_train),
        "validation_predictions": predict(split.x_val),
        "weights": [np.asarray(w) for w in model.get_weights()],
        "failure": "",
    }


def joined(names: tuple[str, ...], batches: list[list[float]]) -> list[float]:
    """An epoch's values from those of batches of equal size."""
    import numpy as np

    values = np.array(batches)
    return [
        float(np.sqrt(np.mean(values[:, i] ** 2)) if name == "rmse" else np.mean(values[:, i]))
        for i, name in enumerate(names)
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
