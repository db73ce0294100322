"""`python -m bench.gpu` on a machine without an accelerator: results there are those of the CPU, and of `fit`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_device_gives_what_the_cpu_and_fit_give() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--small", "--rows", ""],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "GFLOP/s in a product" in lines[0]
    assert "against CPU: 8 networks" in lines[1]
    assert "against `fit` on this device: 2 networks" in lines[2]
    assert not any("MORE THAN ROUNDING" in line for line in lines)
    assert lines[3].endswith("s in all")
