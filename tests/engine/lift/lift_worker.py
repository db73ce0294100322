"""Trains the families of `lift_cases` fused and with plain Keras, on one backend, and writes both to a file.

A backend belongs to a process, so this is a script: `lift_worker.py BACKEND FILE [DTYPE-FAMILY,...]`.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))


def main(backend: str, file: str, wanted: str = "") -> None:
    os.environ["KERAS_BACKEND"] = backend
    warnings.filterwarnings("ignore", message="__array__ implementation")
    from unitune.models.backend import ensure

    keras = ensure()
    import lift_cases
    from cheap_fit import cheaply

    if backend == "jax":
        cheaply(backend)
    results: dict[str, Any] = {}
    for dtype, name in lift_cases.share(backend):
        if wanted and f"{dtype}-{name}" not in wanted.split(","):
            continue
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)  # it keeps the type that it had when it was first asked for
        if backend == "jax":
            import jax

            jax.config.update("jax_enable_x64", dtype == "float64")
            # As in `parity_worker`: Keras on JAX takes float64 to float32 in some operations.
            from keras.src.backend.common import dtypes as rules

            rules.BIT64_TO_BIT32_DTYPE["float64"] = "float64" if dtype == "float64" else "float32"
        started = time.perf_counter()
        found = both(keras, name, dtype)
        results |= {f"{dtype}-{name}-{n}": one for n, one in found.items()}
        print(f"{backend} {dtype} {name}: {time.perf_counter() - started:.1f} s", flush=True)
    with open(file, "wb") as out:
        pickle.dump(results, out)


def both(keras: Any, name: str, dtype: str) -> dict[int, Any]:
    """For each size of a family what the fused engine gave and what Keras gave."""
    import lift_cases

    from unitune.engine.contract import Job
    from unitune.engine.fused import FusedEngine
    from unitune.models.adopt import adopt
    from unitune.records import Member

    build, sizes, kind = lift_cases.FAMILIES[name]
    split = lift_cases.make_split(kind, dtype)
    jobs = []
    for place, n in enumerate(sizes):
        model = build(keras, n)
        rate = 0.01 * (1 + place)
        model.compile(keras.optimizers.Adam(rate), **lift_cases.compile_arguments(name, n))
        blueprint, training, _ = adopt(model, weights=False, n_outputs=None)
        training = replace(training, batch_size=10, epochs=1)
        jobs.append(
            Job(member=Member(trial=n, fold=0, repeat=0, seed=4), split=0, blueprint=blueprint, training=training)
        )
    # What `fit` makes of the losses of several outputs, over batches of different sizes, is its own.
    fits = keras.backend.backend() == "jax" or name == "outputs"
    engine = FusedEngine(strict=True, probes=True)
    found: dict[int, Any] = {}
    for outcome in engine.train(jobs, [split]):
        for i, job in enumerate(outcome.jobs):
            if job.member.trial not in lift_cases.compared(keras.backend.backend(), name):
                continue
            found[job.member.trial] = {
                "fused": {
                    "train": outcome.train[i],
                    "validation": outcome.validation[i],
                    "predictions": outcome.validation_predictions[i],
                    "weights": list(outcome.weights[i]),
                    "failure": outcome.failures[i],
                },
                "keras": (by_fit if fits else by_steps)(keras, job, split),
                "programs": engine.plans[0].n_programs,
            }
    return found


def by_fit(keras: Any, job: Any, split: Any) -> dict[str, Any]:
    """What the solo engine gives: on JAX `fit`, compiled as a whole, is sooner done than single operations."""
    from unitune.engine.solo import SoloEngine

    (outcome,) = SoloEngine().train([job], [split])
    return {
        "train": outcome.train[0],
        "validation": outcome.validation[0],
        "predictions": outcome.validation_predictions[0],
        "weights": list(outcome.weights[0]),
    }


def by_steps(keras: Any, job: Any, split: Any) -> dict[str, Any]:
    """Three training steps and an evaluation by Keras itself, run eagerly."""
    import numpy as np

    from unitune.data.arrays import n_rows, row_shape, take_rows
    from unitune.engine.order import epoch_order
    from unitune.models.build import build_model

    training, n = job.training, n_rows(split.x_train)
    model = build_model(job.blueprint, row_shape(split.x_train), training, seed=job.member.seed)
    model.run_eagerly = True

    def given(x: Any) -> Any:
        return list(x) if isinstance(x, tuple) else x

    order = epoch_order(n, job.member.seed, 0)
    sums, names = np.zeros(2), ("loss", "accuracy")
    for start in range(0, n, training.batch_size):
        chosen = order[start : start + training.batch_size]
        seen = model.train_on_batch(given(take_rows(split.x_train, chosen)), split.y_train[chosen], return_dict=True)
        sums += np.array([float(seen[name]) for name in names]) * len(chosen)
    seen = model.test_on_batch(given(split.x_val), split.y_val, return_dict=True)
    return {
        "train": (sums / n)[None],
        "validation": np.array([[float(seen[name]) for name in names]]),
        "predictions": keras.ops.convert_to_numpy(model(given(split.x_val), training=False)),
        "weights": [np.asarray(weight) for weight in model.get_weights()],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
