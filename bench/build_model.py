"""`python -m bench.build_model`: RandomSearch over a `build_model(hp)`, here and with KerasTuner, in one run.

KerasTuner's time is that of 10 trials, scaled. Each side runs in a process of its own, so that every compilation
counts; imports do not, which scaling would count many times on KerasTuner's side. `--memory` prints the peak memory at
trial 50 and at trial 300.
Needs `pip install keras-tuner tensorboard`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from typing import Any

from bench.apart import run_apart

PEER_TRIALS = 10
JOBS = {"mlp": (200, 10, 100), "cnn": (60, 5, 5)}  # trials, epochs, at least so many times faster


def mlp(hp: Any) -> Any:
    import keras

    model = keras.Sequential(
        [
            keras.layers.Dense(hp.Int("units", 16, 256, step=16), activation=hp.Choice("activation", ["relu", "tanh"])),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    rate = hp.Float("lr", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def cnn(hp: Any) -> Any:
    import keras

    activation = hp.Choice("activation", ["relu", "tanh", "elu", "gelu"])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(hp.Int("filters_1", 8, 32, step=8), 3, padding="same", activation=activation),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(hp.Int("filters_2", 8, 32, step=8), 3, padding="same", activation=activation),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 16, 128, step=16), activation=activation),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def rows(job: str) -> Any:
    from sklearn.datasets import load_breast_cancer, load_digits

    if job == "cnn":
        digits = load_digits()
        return (digits.images[..., None] / 16).astype("float32"), digits.target
    x, y = load_breast_cancer(return_X_y=True)
    return ((x - x.mean(0)) / x.std(0)).astype("float32"), y


def search(job: str, side: str, trials: int) -> dict[str, float]:
    """Seconds of one search, and the peak memory of its process."""
    import keras  # noqa: F401

    if side == "peer":
        import keras_tuner
    else:
        import unitune.keras_tuner as keras_tuner
    x, y = rows(job)
    function = {"mlp": mlp, "cnn": cnn}[job]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(function, "val_accuracy", max_trials=trials, seed=1, directory=folder)
        tuner.search(x, y, epochs=JOBS[job][1], validation_split=0.2, verbose=0)
        elapsed = time.perf_counter() - started
    # Kilobytes on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"elapsed_s": elapsed, "peak_mb": peak}


def measure(job: str, side: str, trials: int) -> dict[str, float]:
    """The same in a new process."""
    return dict(run_apart("bench.build_model", "--worker", job, side, trials))


def main() -> None:
    """Parses the command line and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.build_model", description=__doc__)
    parser.add_argument("--jobs", default=",".join(JOBS), help="names with commas: " + ", ".join(JOBS))
    parser.add_argument("--memory", action="store_true", help="peak memory at trial 50 and at trial 300")
    parser.add_argument("--worker", nargs=3, metavar=("JOB", "SIDE", "TRIALS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        job, side, trials = options.worker
        print(json.dumps(search(job, side, int(trials))))
        return
    if options.memory:
        first, last = (measure("mlp", "ours", trials)["peak_mb"] for trials in (50, 300))
        print(f"peak memory: {first:.0f} MB at trial 50, {last:.0f} MB at trial 300: {last / first - 1:+.1%}")
        return
    print(f"{os.cpu_count()} cores; KerasTuner's time scaled from {PEER_TRIALS} trials")
    print("| job | trials | KerasTuner, s | Unitune, s | ratio | at least |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for job in options.jobs.split(","):
        trials, _, at_least = JOBS[job]
        peer = measure(job, "peer", PEER_TRIALS)["elapsed_s"] * trials / PEER_TRIALS
        ours = measure(job, "ours", trials)["elapsed_s"]
        print(f"| {job} | {trials} | {peer:,.0f} | {ours:.1f} | {peer / ours:,.0f} | {at_least} |", flush=True)


if __name__ == "__main__":
    main()
