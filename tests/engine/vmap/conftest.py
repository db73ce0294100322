"""The worker of the vmapped tier: a process on JAX."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def vmapped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """From a case to what each of its members gave, vmapped and with plain `fit`."""
    file = tmp_path_factory.mktemp("vmapped") / "found"
    exhaustive = any(
        item.get_closest_marker("exhaustive") for item in request.session.items if item.path.parent == HERE
    )
    command = [sys.executable, str(HERE / "vmap_worker.py"), str(file), *(["all"] if exhaustive else [])]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"the worker failed:\n{run.stderr[-4000:]}"
    return pickle.loads(file.read_bytes())  # type: ignore[no-any-return]
