"""`python -m bench.break_even`: small searches over a `build_model(hp)`, here and with KerasTuner, in one run.

For a dense network, a CNN and an LSTM: 1, 3, 10 and 30 trials of 2 and of 10 epochs, with an empty cache of programs,
each search in a process of its own. Times are processor seconds without imports, so that other jobs on the machine
matter little. KerasTuner's of 10 and 30 trials are extrapolated from those of 1 and 3.
Needs `pip install keras-tuner tensorboard`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
from typing import Any

import numpy as np

from bench.apart import run_apart
from bench.build_model import cnn, mlp, rows

TRIALS, EPOCHS = (1, 3, 10, 30), (2, 10)
PEER_TRIALS = (1, 3)
MAY_BE_SLOWER = 1.1


def lstm(hp: Any) -> Any:
    """Over its units and the activation behind it."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((12, 4)),
            keras.layers.LSTM(hp.Int("units", 8, 64, step=8)),
            keras.layers.Dense(16, activation=hp.Choice("activation", ["relu", "tanh"])),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def sequences() -> tuple[Any, Any]:
    """320 random walks of 12 steps, by whether they end above zero."""
    x = np.random.default_rng(0).normal(size=(320, 12, 4)).astype("float32")
    return x, (x.sum((1, 2)) > 0).astype("float32")


JOBS = {"mlp": mlp, "cnn": cnn, "lstm": lstm}


def search(job: str, side: str, trials: int, epochs: int) -> dict[str, Any]:
    """Processor seconds of one search, and how its trials were trained."""
    import keras

    if side == "peer":
        import keras_tuner
    else:
        import unitune.keras_tuner as keras_tuner
    x, y = sequences() if job == "lstm" else rows(job)
    keras.ops.zeros(1)
    started = _processor_s()
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(JOBS[job], "val_accuracy", max_trials=trials, seed=1, directory=folder)
        tuner.search(x, y, epochs=epochs, validation_split=0.2, verbose=0)
        elapsed = _processor_s() - started
    engines = sorted(set(tuner.results()["engine"])) if side == "ours" else []
    return {"core_s": elapsed, "engines": engines}


def _processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Parses the command line and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.break_even", description=__doc__)
    parser.add_argument("--jobs", default=",".join(JOBS), help="names with commas: " + ", ".join(JOBS))
    parser.add_argument("--trials", default=",".join(map(str, TRIALS)), help="numbers with commas")
    parser.add_argument("--epochs", default=",".join(map(str, EPOCHS)), help="numbers with commas")
    parser.add_argument("--worker", nargs=4, metavar=("JOB", "SIDE", "TRIALS", "EPOCHS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        job, side, trials, epochs = options.worker
        print(json.dumps(search(job, side, int(trials), int(epochs))))
        return
    os.environ["UNITUNE_CACHE"] = "off"
    print("| job | epochs | trials | KerasTuner, core s | Unitune, core s | ratio | trained by |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    slower = 0
    for job in options.jobs.split(","):
        for epochs in map(int, options.epochs.split(",")):
            one, several = (
                run_apart("bench.break_even", "--worker", job, "peer", n, epochs)["core_s"] for n in PEER_TRIALS
            )
            each = (several - one) / (PEER_TRIALS[1] - PEER_TRIALS[0])
            for trials in map(int, options.trials.split(",")):
                peer = one + each * (trials - 1)
                found = run_apart("bench.break_even", "--worker", job, "ours", trials, epochs)
                ratio = peer / found["core_s"]
                slower += ratio < 1 / MAY_BE_SLOWER
                print(
                    f"| {job} | {epochs} | {trials} | {peer:.1f} | {found['core_s']:.1f} | {ratio:.1f} "
                    f"| {', '.join(found['engines'])} |",
                    flush=True,
                )
    print(f"{slower} cells are slower than KerasTuner by more than a tenth.")


if __name__ == "__main__":
    main()
