"""Trains the cases of `vmap_cases` vmapped and with plain `fit` on JAX, and writes both to a file.

A backend belongs to a process, so this is a script: `vmap_worker.py FILE [all]`.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))


def main(file: str, extent: str = "") -> None:
    os.environ["KERAS_BACKEND"] = "jax"
    warnings.filterwarnings("ignore", message="__array__ implementation")
    from unitune.models.backend import ensure

    ensure()
    import vmap_cases
    from cheap_fit import cheaply

    cheaply("jax")
    results: dict[str, Any] = {}
    for dtype, name in (*vmap_cases.COMPARED, ("float32", "diverging"), ("float32", "on_the_host")):
        if name in vmap_cases.EXHAUSTIVE and extent != "all":
            continue
        _set_type(dtype)
        started = time.perf_counter()
        results[f"{dtype}-{name}"] = _trained(name, dtype, oracle=(dtype, name) in vmap_cases.COMPARED)
        print(f"{dtype} {name}: {time.perf_counter() - started:.1f} s", flush=True)
    results["calm"] = _trained("diverging", "float32", oracle=False, only=(0, 2))
    _set_type("float32")
    results |= {"search": searched(), "keras_tuner": searched_with_keras_tuner()}
    with open(file, "wb") as out:
        pickle.dump(results, out)


def _set_type(dtype: str) -> None:
    import jax
    import keras
    from keras.src.backend.common import dtypes as rules

    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    jax.config.update("jax_enable_x64", dtype == "float64")
    # As in `parity_worker`: Keras on JAX takes float64 to float32 in some operations.
    rules.BIT64_TO_BIT32_DTYPE["float64"] = "float64" if dtype == "float64" else "float32"


def _trained(name: str, dtype: str, *, oracle: bool, only: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """For each member what the engine gave, and with `oracle` what plain `fit` gave."""
    import vmap_cases

    from unitune.engine.fused import FusedEngine
    from unitune.engine.solo import SoloEngine

    splits = vmap_cases.make_splits(vmap_cases.CASES[name][1], dtype)
    jobs = vmap_cases.make_jobs(name, only=only)
    found: dict[int, dict[str, Any]] = {}
    for outcome in FusedEngine(probes=False).train(jobs, splits):
        for i, job in enumerate(outcome.jobs):
            found[job.member.trial] = {"vmapped": part(outcome, i), "together": len(outcome.jobs)}
    for outcome in SoloEngine().train(jobs, splits) if oracle else ():
        found[outcome.jobs[0].member.trial]["fit"] = part(outcome, 0)
    return [found[number] for number in sorted(found)]


def _build_model(hp: Any) -> Any:
    import keras
    import vmap_cases

    model = vmap_cases.own_layer()
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.2])), "binary_crossentropy", metrics=["accuracy"])
    return model


def _rows() -> tuple[Any, Any]:
    import numpy as np

    x = np.random.default_rng(0).normal(size=(30, 5)).astype("float32")
    return x, (x[:, 0] > 0).astype(int)


def searched() -> dict[str, Any]:
    """What `tune` says of trials without a fused form."""
    import unitune

    result = unitune.tune(_build_model, *_rows(), folds=2, epochs=2, progress=False)
    table = result.table()
    return {
        "engines": [trial.engine for trial in result.trials],
        "reasons": [trial.engine_reason for trial in result.trials],
        "table": list(table["engine_reason"]),
        "summary": result.summary(),
        "notes": result.notes,
        "largest_difference": result.verify().largest_difference,
    }


def searched_with_keras_tuner() -> dict[str, Any]:
    """What the tuners of KerasTuner's interface say of them."""
    import tempfile

    import unitune.keras_tuner as keras_tuner

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tuner = keras_tuner.GridSearch(_build_model, objective="val_accuracy", directory=folder)
        tuner.search(*_rows(), epochs=2, folds=2, verbose=0)
        results = tuner.results()
    return {
        "engines": list(results["engine"]),
        "scores": list(results["score"]),
        "warned": [str(one.message) for one in caught if "trials were" in str(one.message)],
    }


def part(outcome: Any, i: int) -> dict[str, Any]:
    """One member of an outcome as plain arrays."""
    n = int(outcome.n_epochs[i])
    return {
        "engine": outcome.engine,
        "reason": outcome.engine_reason,
        "metrics": outcome.metrics,
        "n_epochs": n,
        "best_epoch": int(outcome.best_epoch[i]),
        "failure": outcome.failures[i],
        **{name: getattr(outcome, name)[i, :n] for name in ("train", "validation", "learning_rate")},
        **{f"{rows}_predictions": getattr(outcome, f"{rows}_predictions")[i] for rows in ("train", "validation")},
        "weights": list(outcome.weights[i]),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
