"""`python -m bench`: the speed table. Peers and Unitune take turns in one run, each call in a process of its own.

`python -m bench --jobs grid-20 --repeats 1` for a part, `--details` for the figures beside the table.
Needs `pip install keras-tuner tensorboard` (KerasTuner imports tensorboard, which TensorFlow no longer brings along).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

from bench.detail import DETAILS
from bench.jobs import JOBS


def measure(kind: str, name: str) -> Any:
    """One measurement in a new process, so that every compilation counts."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--worker", kind, name], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"bench: {kind} {name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def work(kind: str, name: str) -> Any:
    """What a worker process measures."""
    if kind == "detail":
        return DETAILS[name]()
    return getattr(JOBS[name], kind)()


def table(names: list[str], repeats: int) -> None:
    """Prints the table, a row as soon as it is measured."""
    print(f"{os.cpu_count()} cores; medians of {repeats}; whole calls, every compilation included")
    print("| job | peer | peer, s | Unitune, s | ratio | at least | aim |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in names:
        job = JOBS[name]
        pairs = [(measure("peer", name) / job.share, measure("ours", name)) for _ in range(repeats)]
        peer, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(
            f"| {job.name} | {job.peer_name} | {peer:,.0f} | {ours:.2f} | {ratio:,.0f} | {job.at_least} | {job.aim} |",
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
