"""`python -m bench.break_even`: small searches over a `build_model(hp)`, here and with KerasTuner, in one run.

For a dense network, a CNN and an LSTM: 1, 3, 10 and 30 trials of 2 and of 10 epochs, with an empty cache of programs,
each search in a process of its own. Times are processor seconds without imports, so that other jobs on the machine
matter little. KerasTuner's of 10 and 30 trials are extrapolated from those of 1 and 3.
Needs `pip install keras-tuner tensorboard`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os

from bench.apart import run_apart
from bench.networks import NETWORKS, search

TRIALS, EPOCHS = (1, 3, 10, 30), (2, 10)
PEER_TRIALS = (1, 3)
MAY_BE_SLOWER = 1.1
LSTM_ROWS = 320


def main() -> None:
    """Parses the command line and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.break_even", description=__doc__)
    parser.add_argument("--jobs", default=",".join(NETWORKS), help="names with commas: " + ", ".join(NETWORKS))
    parser.add_argument("--trials", default=",".join(map(str, TRIALS)), help="numbers with commas")
    parser.add_argument("--epochs", default=",".join(map(str, EPOCHS)), help="numbers with commas")
    parser.add_argument("--worker", nargs=4, metavar=("JOB", "SIDE", "TRIALS", "EPOCHS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        job, side, trials, epochs = options.worker
        searched = search(job, side, int(trials), int(epochs), LSTM_ROWS if job == "lstm" else None)
        print(json.dumps(dataclasses.asdict(searched)))
        return
    os.environ["UNITUNE_CACHE"] = "off"
    print("| job | epochs | trials | KerasTuner, core s | Unitune, core s | ratio | trained by |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    slower = 0
    for job in options.jobs.split(","):
        for epochs in map(int, options.epochs.split(",")):
            one, several = (
                run_apart("bench.break_even", "--worker", job, "peer", n, epochs)["cost"]["core_s"] for n in PEER_TRIALS
            )
            each = (several - one) / (PEER_TRIALS[1] - PEER_TRIALS[0])
            for trials in map(int, options.trials.split(",")):
                peer = one + each * (trials - 1)
                found = run_apart("bench.break_even", "--worker", job, "ours", trials, epochs)
                ours = found["cost"]["core_s"]
                ratio = peer / ours
                slower += ratio < 1 / MAY_BE_SLOWER
                print(
                    f"| {job} | {epochs} | {trials} | {peer:.1f} | {ours:.1f} | {ratio:.1f} "
                    f"| {', '.join(found['engines'])} |",
                    flush=True,
                )
    print(f"{slower} cells are slower than KerasTuner by more than a tenth.")


if __name__ == "__main__":
    main()
