"""The examples and the Python of the docs run as they are written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "```python" in page.read_text(encoding="utf-8")
]


# Runs scripts one after another, each as a program of its own and in its own folder.
RUNNER = """
import contextlib, io, json, os, pathlib, runpy, sys, traceback
for folder in sys.argv[1:]:
    os.chdir(folder)
    out, failure = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path("script.py", run_name="__main__")
    except BaseException:
        failure = traceback.format_exc()
    pathlib.Path("done.json").write_text(json.dumps([out.getvalue(), failure]))
"""
LONG = (
    "getting_started",
    "distributed",
    "failed_trials",
    "tune_the_training",
    "visualize",
    "tailor_the_space",
    "tune_digits",
)
"""Of the guides for KerasTuner's users their page and the shorter ones stand for these, for digits that of images."""
APART = "many-machines.md"
"""A page that starts a cluster, which is not for a process that does other things, too."""


def python_of(file: Path) -> str:
    """A script as it is, or the Python of a page."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return text
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, tuple[str, str]]:
    """What each file printed, and how it failed. Importing Keras takes longer than most of them, so they share it."""
    folders = {}
    given = [item.callspec.params for item in request.session.items if "ran" in getattr(item, "fixturenames", ())]
    for file in (params.get("example") or params["page"] for params in given):
        folders[file] = tmp_path_factory.mktemp(file.stem)
        (folders[file] / "script.py").write_text(python_of(file), encoding="utf-8")
    for apart in (False, True):
        chosen = [str(folder) for file, folder in folders.items() if (file.name == APART) == apart]
        if not chosen:
            continue
        subprocess.run(
            [sys.executable, "-W", "error::DeprecationWarning:unitune", "-c", RUNNER, *chosen],
            env=os.environ | {"MPLBACKEND": "agg"},
            check=True,
        )
    return {file: tuple(json.loads((folder / "done.json").read_text())) for file, folder in folders.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.exhaustive] if path.stem in LONG else [])
        for path in EXAMPLES
    ],
)
def test_example_runs(example: Path, ran: dict[Path, tuple[str, str]]) -> None:
    printed, failure = ran[example]
    assert failure == ""
    assert "mean" in printed


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page_runs(page: Path, ran: dict[Path, tuple[str, str]]) -> None:
    printed, failure = ran[page]
    assert failure == ""
    assert printed.strip()


def links() -> list[tuple[Path, str]]:
    found = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            found.append((page, target))
    return found


def test_links_between_pages_lead_somewhere() -> None:
    broken = [f"{page.name}: {target}" for page, target in links() if not (page.parent / target).exists()]
    assert links()
    assert broken == []


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = ROOT / "docs" / "README.md"
    listed = {(contents.parent / target).resolve() for page, target in links() if page == contents}
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")} - {contents.resolve()}
    assert pages - listed == set()
