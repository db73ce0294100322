"""Workers of the parity suite: one process for each backend and floating type, two at a time."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from unitune.models.program_cache import cache_folder

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

Results = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def parity(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`parity(backend, dtype)`: what both engines gave for each case of a test; the workers run together."""
    wanted: dict[tuple[str, str], dict[str, None]] = {}
    for item in request.session.items:
        if "parity" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec"):
            case = item.callspec.params
            wanted.setdefault((case["backend"], case["dtype"]), {})[case["name"]] = None
    folder = tmp_path_factory.mktemp("parity")
    extent = os.environ.get("UNITUNE_PARITY", "share")
    done: dict[tuple[str, str], Results] = {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        running: dict[tuple[str, str], Future[Results]] = {
            key: pool.submit(_work, *key, folder / "-".join(key), extent, ",".join(names))
            for key, names in wanted.items()
        }

        def results(backend: str, dtype: str) -> Results:
            key = (backend, dtype)
            if key not in done:
                done[key] = running[key].result()
            return done[key]

        yield results


def _work(backend: str, dtype: str, file: Path, extent: str, names: str) -> Results:
    command = [sys.executable, str(HERE / "parity_worker.py"), backend, dtype, str(file), extent, names]
    environment = dict(os.environ)
    optimized = (backend, dtype) == ("tensorflow", "float64")
    if optimized and "optimization_level" in environment.get("XLA_FLAGS", ""):  # as users have them, and kept apart
        del environment["XLA_FLAGS"]
        kept = cache_folder()
        environment["UNITUNE_CACHE"] = str(kept / "optimized") if kept else "off"
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, f"the worker for {backend} in {dtype} failed:\n{run.stderr[-4000:]}"
    return pickle.loads(file.read_bytes())  # type: ignore[no-any-return]


ParityResults = Callable[[str, str], Results]
