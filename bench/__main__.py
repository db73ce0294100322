"""`python -m bench`: the speed table. Peers and Unitune take turns in one run, each call in a process of its own.

Ratios are of processor seconds, which other jobs on the machine hardly change; seconds on the clock stand beside them.
"Limit" is the share of Unitune's processor time that the arithmetic would take at the rate of a large matrix product.

`python -m bench --jobs grid-20 --repeats 1` for a part, `--details` for the figures beside the table.
Needs `pip install keras-tuner tensorboard` (KerasTuner imports tensorboard, which TensorFlow no longer brings along).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import tempfile
from typing import Any

from bench.apart import run_apart
from bench.clock import Cost, matrix_rate
from bench.detail import DETAILS
from bench.jobs import JOBS


def measure(kind: str, name: str, cache: str = "off") -> Any:
    """One measurement in a new process, so that every compilation counts that is not in the cache."""
    return run_apart("bench", "--worker", kind, name, cache=cache)


def work(kind: str, name: str) -> Any:
    """What a worker process measures."""
    if kind == "detail":
        return DETAILS[name]()
    return dataclasses.asdict(getattr(JOBS[name], kind)())


def table(names: list[str], repeats: int) -> None:
    """Prints the table, a row as soon as it is measured."""
    rate = matrix_rate()
    print(
        f"{os.cpu_count()} cores; {rate:.0f} GFLOP a core second; medians of {repeats}; whole calls, cold: every "
        "compilation included; warm: once more. Core s (seconds on the clock); ratios of core s."
    )
    print("| job | peer | peer, core s | cold, core s | ratio | warm, core s | ratio | limit | at least | aim |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in names:
        job = JOBS[name]
        rounds = []
        for _ in range(repeats):
            peer = Cost(**measure("peer", name))
            with tempfile.TemporaryDirectory() as cache:
                ours = [Cost(**measure("ours", name, cache)) for _ in range(2)]
            rounds.append((peer, *ours))
        peers, *own = zip(*rounds, strict=True)
        columns = [f"{_median(one.core_s for one in peers) / job.share:,.0f}"]
        for side in own:
            ratio = _median(a.core_s / job.share / b.core_s for a, b in zip(peers, side, strict=True))
            seconds = _median(one.core_s for one in side), _median(one.wall_s for one in side)
            columns += [f"{seconds[0]:.2f} ({seconds[1]:.2f})", f"{ratio:,.0f}"]
        limits = [_median(one.gflop / rate / one.core_s for one in side) for side in own]
        columns.append(" / ".join(f"{limit:.0%}" for limit in limits))
        print(
            "| " + " | ".join([job.name, job.peer_name, *columns, str(job.at_least), str(job.aim)]) + " |", flush=True
        )


def _median(values: Any) -> float:
    return statistics.median(values)


def details() -> None:
    """Prints the figures beside the table."""
    for name in DETAILS:
        print(f"{name}: {json.dumps(measure('detail', name))}", flush=True)


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", default=",".join(JOBS), help="names with commas: " + ", ".join(JOBS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--details", action="store_true", help="also the figures beside the table")
    parser.add_argument("--worker", nargs=2, metavar=("KIND", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(*options.worker)))
        return
    table([name for name in options.jobs.split(",") if name], options.repeats)
    if options.details:
        details()


if __name__ == "__main__":
    main()
