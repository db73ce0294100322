"""Tiles spread over several devices of one machine give what one device gives; two virtual ones of the CPU stand in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_give_what_one_gives(backend: str) -> None:
    environment = os.environ | {"KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "places_worker.py"), backend],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["used"] == ["cpu:0", "cpu:1"]
    assert found["largest_difference"] == 0.0
    assert found["members"] == 12
