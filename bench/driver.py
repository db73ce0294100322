"""`python -m bench.driver`: what the driver of a cluster can plan, record and score, with tiles that return at once.

`--trials 10000,100000,1000000` for the sizes; each runs in a process of its own. `--profile` names what is slowest.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS = 10
ROWS = 200
PROBES = ("dead_units", "gradient_norm", "mean_activation", "saturated", "update_ratio", "weight_norm")


class InstantPool:
    """As many workers as a large cluster has, each of which answers at once with numbers that mean nothing."""

    workers = 1000

    def call(
        self,
        function: Any,
        shared: Any,
        items: Sequence[tuple[Any, Any]],
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Any, str]]:
        split = shared[0]
        rng = np.random.default_rng(0)
        for place, (_, parcel) in enumerate(items):
            yield place, [(list(range(len(parcel.jobs))), _outcome(len(parcel.jobs), split, rng))], ""


def _outcome(n: int, split: Any, rng: Any) -> Any:
    from unitune.engine.contract import Outcome

    curves = rng.random((n, EPOCHS, 2), dtype=np.float32)
    return Outcome(
        jobs=(),
        metrics=("loss", "accuracy"),
        train=curves,
        validation=curves,
        learning_rate=np.full((n, EPOCHS), 1e-3, "float32"),
        n_epochs=np.full(n, EPOCHS),
        best_epoch=np.full(n, EPOCHS),
        train_predictions=rng.random((n, len(split.x_train), 1), dtype=np.float32),
        validation_predictions=rng.random((n, len(split.x_val), 1), dtype=np.float32),
        weights=((),) * n,
        failures=("",) * n,
        elapsed_s=np.full(n, 1e-3),
        engine="fused",
        probes={name: rng.random((n, EPOCHS, 1), dtype=np.float32) for name in PROBES},
    )


def search(trials: int) -> dict[str, float]:
    """Seconds and peak memory of a search whose members cost nothing."""
    import unitune
    from unitune.engine.elsewhere import ElsewhereEngine
    from unitune.engine.fused import FusedEngine
    from unitune.models.backend import ensure

    ensure()

    @contextmanager
    def instant(name: str, executor: Any) -> Any:
        yield ElsewhereEngine(FusedEngine(), InstantPool())

    sys.modules["unitune.tuner.dense"].engine_on = instant  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 10)).astype("float32")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = unitune.tune(
            x,
            (x[:, 0] > 0).astype(int),
            units="8:256",
            activations=["relu", "tanh", "gelu", "sigmoid", "elu", "selu", "silu", "softplus"],
            learning_rates="1e-5:1e-1:log",
            epochs=EPOCHS,
            validation_split=0.2,
            strategy="random",
            trials=trials,
            progress=False,
            out=Path(folder) if "--record" in sys.argv else None,
        )
        elapsed = time.perf_counter() - started
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"trials": len(result.trials), "seconds": round(elapsed, 1), "mib": round(peak)}


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.driver", description=__doc__)
    parser.add_argument("--trials", default="10000,100000,1000000")
    parser.add_argument("--record", action="store_true", help="with a run folder and its store")
    parser.add_argument("--profile", action="store_true", help="what is slowest, by its own time")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        import unitune.tuner.dense  # noqa: F401  (imported before the clock starts)

        profile = cProfile.Profile()
        if options.profile:
            profile.enable()
        found = search(options.worker)
        if options.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        print(json.dumps(found))
        return
    flags = [flag for flag, wanted in (("--record", options.record), ("--profile", options.profile)) if wanted]
    for size in options.trials.split(","):
        command = [sys.executable, "-m", "bench.driver", "--worker", size, *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        if options.profile:
            print(done.stdout)
        found = json.loads(done.stdout.splitlines()[-1])
        rate = found["seconds"] / found["trials"] * 1e3
        print(
            f"{found['trials']:>9,} trials: {found['seconds']:7.1f} s, {rate:.3f} ms each, {found['mib']:,} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
