"""What is fused trains as the `fit` of the user's own model does, on both backends; what it cannot be says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

WORKER = Path(__file__).parent / "own_fit_worker.py"
# These add to the loss what no program does.
ALONE = {"penalties: activity of a Lambda"}
# Members of a search for each backend, of which a test must not lose any.
MEMBERS = {"tensorflow": 50, "jax": 28}


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    wanted = [
        item.callspec.params["backend"]
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    ]
    folder = tmp_path_factory.mktemp("own-fit")

    def work(backend: str) -> dict[str, Any]:
        file, environment = folder / backend, os.environ | {"KERAS_BACKEND": backend}
        command = [sys.executable, str(WORKER), backend, str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(file.read_text())  # type: ignore[no-any-return]

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(work, wanted), strict=True))


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.exhaustive)])
def test_equals_the_fit_of_the_users_model(trained: Any, backend: str) -> None:
    assert len(trained[backend]) == MEMBERS[backend]
    for name, found in trained[backend].items():
        assert (found["engine"] == "fused") == (name not in ALONE), name
        np.testing.assert_allclose(found["unitune"], found["keras"], rtol=1e-5, atol=0, err_msg=name)
