"""`python -m bench`: the speed table. Peers and Unitune take turns in one run, each call in a process of its own.

`python -m bench --jobs grid-20 --repeats 1` for a part, `--details` for the figures beside the table.
Needs `pip install keras-tuner tensorboard` (KerasTuner imports tensorboard, which TensorFlow no longer brings along).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from typing import Any

from bench.apart import run_apart
from bench.detail import DETAILS
from bench.jobs import JOBS


def measure(kind: str, name: str, cache: str = "off") -> Any:
    """One measurement in a new process, so that every compilation counts that is not in the cache."""
    return run_apart("bench", "--worker", kind, name, cache=cache)


def work(kind: str, name: str) -> Any:
    """What a worker process measures."""
    if kind == "detail":
        return DETAILS[name]()
    return getattr(JOBS[name], kind)()


def table(names: list[str], repeats: int) -> None:
    """Prints the table, a row as soon as it is measured."""
    print(
        f"{os.cpu_count()} cores; medians of {repeats}; whole calls; cold: every compilation included; warm: once more"
    )
    print("| job | peer | peer, s | cold, s | ratio | warm, s | ratio | at least | aim |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in names:
        job = JOBS[name]
        rounds = []
        for _ in range(repeats):
            peer = measure("peer", name) / job.share
            with tempfile.TemporaryDirectory() as cache:
                rounds.append((peer, measure("ours", name, cache), measure("ours", name, cache)))
        peer, cold, warm = (statistics.median(side) for side in zip(*rounds, strict=True))
        ratio, warm_ratio = (statistics.median(one[0] / one[k] for one in rounds) for k in (1, 2))
        print(
            f"| {job.name} | {job.peer_name} | {peer:,.0f} | {cold:.2f} | {ratio:,.0f} "
            f"| {warm:.2f} | {warm_ratio:,.0f} | {job.at_least} | {job.aim} |",
            flush=True,
        )


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
