"""`python -m bench.gpu`: searches on an accelerator with JAX, beside a loop of JAX's `fit` on the same device.

One script that needs JAX alone and takes less than five minutes. It prints each row as soon as it is measured, and
leaves out what the time does not suffice for: first that results equal those of the CPU and of `fit`, then 1,000
networks, the CNN, the mixed space, 10,000 networks, and the rate of arithmetic. Seconds are those on the clock, as the
device works beside the processor; "cold" is a search with all its compiling, "again" the same one in the same process.
Without an accelerator all of it runs on CPU; `--small` is for trying the script there.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.clock import Cost, timed
from bench.jobs import MIXED_PEERS, MORE_ACTIVATIONS, Network, breast_cancer, fit_loop, mixed, mixed_networks, tune
from bench.networks import HELD_OUT, NETWORKS, rows, search

SAME = 2e-5
"""Losses and predictions may differ by so much, as a share of the largest: float32 over a few epochs."""
MOST_LOOPED = 20
AIM = 1000


@dataclass(frozen=True, kw_only=True)
class Row:
    """A search, and a loop of `fit` to scale: `one` trains its i-th network."""

    name: str
    members: int
    ours: Callable[[], Cost]
    one: Callable[[int], Cost]


def dense(trials: int, epochs: int) -> Row:
    """The job of 1,000 trials in the speed table, with a learning rate that varies, so that there are more of them."""

    def one(place: int) -> Cost:
        rng = np.random.default_rng(place)
        activation = MORE_ACTIVATIONS[place % len(MORE_ACTIVATIONS)]
        network = Network(units=(int(rng.integers(8, 257)),), activation=activation)
        return fit_loop(*breast_cancer(), [network], epochs=epochs)

    ours = partial(
        tune,
        *breast_cancer(),
        units="8:256",
        activations=MORE_ACTIVATIONS,
        learning_rates="1e-4:1e-2:log",
        epochs=epochs,
        validation_split=0.2,
        strategy="random",
        trials=trials,
    )
    name = f"{trials:,} trials, widths 8 to 256, 8 activations, {epochs} epochs"
    return Row(name=name, members=trials, ours=ours, one=one)


def mixed_row(trials: int, epochs: int) -> Row:
    """The speed table's mixed space, at random."""
    networks = mixed_networks(MIXED_PEERS)
    return Row(
        name=f"8 hyperparameters, random {trials} x 5 folds, {epochs} epochs",
        members=5 * trials,
        ours=partial(mixed, "random", trials, epochs),
        one=lambda place: fit_loop(*breast_cancer(), [networks[place % MIXED_PEERS]], epochs=epochs),
    )


def cnn(trials: int, epochs: int) -> Row:
    """The speed table's CNN on digits."""
    x, y = rows("cnn")
    held_out = int(len(x) * HELD_OUT)

    def one(place: int) -> Cost:
        rng = np.random.default_rng(place)
        drawn = SimpleNamespace(
            Int=lambda _, low, high, step: int(rng.choice(range(low, high + 1, step))),
            Choice=lambda _, values: str(rng.choice(values)),
        )

        def fit() -> None:
            NETWORKS["cnn"](drawn).fit(
                x[:-held_out],
                y[:-held_out],
                validation_data=(x[-held_out:], y[-held_out:]),
                epochs=epochs,
                verbose=0,
            )

        return timed(fit)[1]

    return Row(
        name=f"a CNN on digits over 4 hyperparameters, {trials} trials, {epochs} epochs",
        members=trials,
        ours=lambda: search("cnn", "ours", trials, epochs).cost,
        one=one,
    )


def measure(row: Row, rate: float, loop_s: float) -> None:
    """Prints a row; the loop of `fit` ends after so many seconds."""
    cold, again = row.ours(), row.ours()
    started, looped = time.perf_counter(), []
    while not looped or (time.perf_counter() - started < loop_s and len(looped) < min(MOST_LOOPED, row.members)):
        looped.append(row.one(len(looped)).wall_s)
    fit_s = float(np.mean(looped)) * row.members
    print(
        f"{row.name}: {len(looped)} networks by `fit` took {sum(looped):.1f} s, so all {row.members:,} {fit_s:,.0f} s; "
        f"cold {cold.wall_s:.1f} s, {fit_s / cold.wall_s:,.0f} times; again {again.wall_s:.1f} s, "
        f"{fit_s / again.wall_s:,.0f} times (aim: {AIM:,}); {again.gflop / again.wall_s / rate:.2%} of the matrix "
        f"rate; {memory()}",
        flush=True,
    )


def memory() -> str:
    """What was used of the device's memory at most, so far; on CPU of the machine's."""
    import jax

    found = jax.local_devices()[0].memory_stats()
    peak = found["peak_bytes_in_use"] if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"at most {peak / 2**20:,.0f} MiB so far"


def device_rate(size: int) -> float:
    """Prints what the device is; GFLOP/s of a large float32 product as a network gets it: the best of five."""
    import jax

    device = jax.local_devices()[0]
    a = jax.random.normal(jax.random.key(0), (size, size), "float32")
    product = jax.jit(lambda a: a @ a)
    product(a).block_until_ready()
    rate = max(2 * size**3 / 1e9 / timed(lambda: product(a).block_until_ready())[1].wall_s for _ in range(5))
    print(
        f"{device.device_kind} ({device.platform}), JAX {jax.__version__}: {rate:,.0f} GFLOP/s in a product", flush=True
    )
    return rate


def same(epochs: int) -> bool:
    """Prints how far results of this device are from those of the CPU, and from `fit`; whether that is rounding.

    For this, products are taken in float32 throughout, which accelerators shorten unless they are told.
    """
    import jax

    from bench.detail import dense_job, hold_out
    from unitune.engine.device import Device
    from unitune.engine.fused import FusedEngine
    from unitune.engine.solo import SoloEngine

    jobs = [dense_job(i, units, MORE_ACTIVATIONS[i % 8], epochs) for i, units in enumerate([16, 64, 100, 256] * 2)]
    on_cpu = Device(threads=1, tile_bytes=3 * 2**20, max_tile=64, places=("cpu:0",))
    jax.config.update("jax_default_matmul_precision", "highest")
    try:
        here = _results(FusedEngine(probes=False), jobs, hold_out())
        others = {
            "CPU": _results(FusedEngine(probes=False, device=on_cpu), jobs, hold_out()),
            "`fit` on this device": _results(SoloEngine(""), jobs[:2], hold_out()),
        }
    finally:
        jax.config.update("jax_default_matmul_precision", None)
    equal = True
    for name, theirs in others.items():
        difference = max(_difference(here[trial], own) for trial, own in theirs.items())
        equal &= difference <= SAME
        print(
            f"against {name}: {len(theirs)} networks differ by {difference:.1e} at most "
            f"({'rounding' if difference <= SAME else 'MORE THAN ROUNDING'}; at most {SAME:.0e})",
            flush=True,
        )
    return equal


def _results(engine: Any, jobs: list[Any], split: Any) -> dict[int, list[Any]]:
    found = {}
    for outcome in engine.train(jobs, [split]):
        for place, job in enumerate(outcome.jobs):
            found[job.member.trial] = [outcome.train[place, :, 0], outcome.validation_predictions[place]]
    return found


def _difference(ours: list[Any], theirs: list[Any]) -> float:
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(ours, theirs, strict=True))


def arithmetic(rate: float, members: int, epochs: int) -> None:
    """Prints useful arithmetic at two widths, without what surrounds training, as a share of the matrix rate."""
    from bench.detail import useful_rate

    for units in (64, 256):
        found = useful_rate(units, members, epochs)
        print(f"{members:,} of {units} units: {found:,.0f} GFLOP/s, {found / rate:.1%} of the matrix rate", flush=True)


def main() -> None:
    """Parses the command line and prints what was found."""
    os.environ["KERAS_BACKEND"], os.environ["UNITUNE_CACHE"] = "jax", "off"
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--small", action="store_true", help="little of everything, to try the script on a CPU")
    parser.add_argument("--rows", help="only these, in this order: numbers with commas, from 0; empty for none")
    parser.add_argument("--seconds", type=float, default=270, help="nothing begins after so many")
    options = parser.parse_args()
    started = time.perf_counter()
    small = options.small
    from unitune.models.backend import ensure

    ensure()
    every = (
        [dense(16, 2), cnn(6, 1), mixed_row(4, 2), dense(32, 2)]
        if small
        else [dense(1000, 10), cnn(60, 5), mixed_row(100, 20), dense(10_000, 10), cnn(300, 5)]
    )
    rate = device_rate(512 if small else 8192)
    equal = same(2 if small else 5)
    numbers = range(len(every)) if options.rows is None else [int(one) for one in options.rows.split(",") if one]
    for number in numbers:
        if time.perf_counter() - started > options.seconds:
            print(f"{every[number].name}: left out, the time is over", flush=True)
            continue
        measure(every[number], rate, 0.0 if small else 15.0)
    if options.rows is None and time.perf_counter() - started < options.seconds:
        arithmetic(rate, *((4, 1) if small else (2000, 40)))
    print(f"{time.perf_counter() - started:.0f} s in all", flush=True)
    if not equal:
        raise SystemExit("Results on this device are not those of the CPU, or of `fit`.")


if __name__ == "__main__":
    main()
