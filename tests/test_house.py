"""The rules of the house that no single room can hold: layers, imports, public names."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "unitune"
FRAMEWORKS = ("keras", "tensorflow", "jax", "torch")


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_package_imports_no_framework_and_prints_nothing() -> None:
    done = run_python(f"import sys, unitune; assert not set({FRAMEWORKS!r}) & set(sys.modules)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_module_says_what_it_is(path: Path) -> None:
    assert (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip()
    assert path.stem != "utils"


def test_no_file_is_longer_than_450_lines() -> None:
    lengths = {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8").count("\n") for path in modules()}
    assert {name for name, lines in lengths.items() if lines > 450} == set()


def test_layers_are_those_that_are_drawn() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    held = [set(re.findall(r"\w+", line)) for line in layers]
    assert len(held) > 5
    contributing = re.search(r"```\n(cli\n.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)[1]
    assert [set(re.findall(r"\w+", line)) for line in contributing.splitlines()] == held
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    drawn = re.search(r"```\n( cli .*?)```", page, re.DOTALL)[1].splitlines()
    assert [set(re.findall(r"\w+", re.split(r"\s{3,}", line.strip())[0])) for line in drawn] == held
    rooms = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page, re.MULTILINE))))
    assert rooms == set.union(*held)


def test_constraints_pin_exact_versions_from_no_address() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_every_declared_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    # The other name of TensorFlow is for machines that have no tensorflow-cpu; what was tested is tensorflow-cpu.
    names = {canonical(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in declared if "!=" not in line}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {canonical(line.split("==")[0]) for line in pins.splitlines() if "==" in line}
    assert names - pinned == set()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    for target in targets:
        assert f"make {target}" in done.stdout
    assert {"demo", "test", "test-fast", "check", "docs", "clean"} <= set(targets)
