"""Workers of the parity of lifts: one process for each backend, both at a time."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))


@pytest.fixture(scope="session")
def lifted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """From a backend to what both engines gave for each family, size and type of a test."""
    folder = tmp_path_factory.mktemp("lifts")
    wanted: dict[str, dict[str, None]] = {"tensorflow": {}, "jax": {}}
    for item in request.session.items:
        if "lifted" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec"):
            wanted[item.callspec.params["backend"]][item.callspec.params["case"].rpartition("-")[0]] = None

    def work(backend: str) -> dict[str, Any]:
        file = folder / backend
        command = [sys.executable, str(HERE / "lift_worker.py"), backend, str(file), ",".join(wanted[backend])]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"the worker for {backend} failed:\n{run.stderr[-4000:]}"
        return pickle.loads(file.read_bytes())  # type: ignore[no-any-return]

    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(("tensorflow", "jax"), pool.map(work, ("tensorflow", "jax")), strict=True))
