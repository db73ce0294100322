"""What is released: a wheel and an sdist that install into an empty environment with one backend and run the demo.

Installing takes minutes and a registry, so these are run by `make test-wheel`, and by `make test-all`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
pytestmark = pytest.mark.exhaustive


def run(*command: str | Path, **more: Any) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KERAS_BACKEND")}
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False, env=env, **more)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", place, ROOT)
    return place


def test_the_index_would_take_them(dist: Path) -> None:
    files = sorted(dist.iterdir())
    assert [file.suffix for file in files] == [".whl", ".gz"] or [file.suffix for file in files] == [".gz", ".whl"]
    run(sys.executable, "-m", "twine", "check", "--strict", *files)


def test_they_hold_the_package_and_nothing_of_this_machine(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    assert wheel.name.startswith(f"unitune-{VERSION}-py3")
    names = zipfile.ZipFile(wheel).namelist()
    assert "unitune/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"unitune", f"unitune-{VERSION}.dist-info"}
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/unitune/__init__.py"} <= inside
    assert not [name for name in inside if name.startswith((".venv", "runs/", "build/", ".unitune_cache"))]


@pytest.mark.parametrize(("backend", "kind"), [("tensorflow", "whl"), ("jax", "whl"), ("jax", "tar.gz")])
def test_it_runs_the_demo_in_an_empty_environment(dist: Path, tmp_path: Path, backend: str, kind: str) -> None:
    (file,) = dist.glob(f"*.{kind}")
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    constraints = ROOT / "constraints.txt"
    run(programs / "python", "-m", "pip", "install", "--quiet", "--constraint", constraints, f"{file}[{backend}]")
    out = run(programs / "unitune", "demo", "--json", cwd=tmp_path)
    summary = json.loads(out)
    assert summary["n_trials"] == 20
    assert (tmp_path / "runs" / "demo" / "best.keras").is_file()
    assert (tmp_path / "runs" / "demo" / "report.html").is_file()
    other = {"tensorflow": "jax", "jax": "tensorflow"}[backend]
    run(programs / "python", "-c", f"import importlib.util as u; assert u.find_spec({other!r}) is None", cwd=tmp_path)
