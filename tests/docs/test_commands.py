"""Every command on a page is one that there is, with flags that it has, and runs as it is written.

Training is cut short, on the pages to a `FakeEngine`. What needs a server, a cluster or another machine is only read.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from unitune.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = typer.main.get_command(app).commands
ELSEWHERE = ("--ray", "--store", "--watch", "mlflow", "unitune dashboard")
"""What a command that is only read has."""

PREPARE = """
import contextlib, io, json, os, pathlib, shlex, shutil, sys, traceback
from unittest import mock
import pandas as pd
import unitune.cli.demo as demo
from unitune.cli import main
from unitune.testing import FakeEngine

demo.UNITS, demo.ACTIVATIONS, demo.FOLDS = (4,), ("relu", "tanh"), 2

def run(words):
    sys.argv = words
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main()
    except SystemExit as end:
        return "" if not end.code else f"exit code {end.code}: {out.getvalue()}"
    except BaseException:
        return traceback.format_exc()
    return ""

base, pages, report = map(pathlib.Path, sys.argv[1:])
pages = json.loads(pages.read_text())
os.chdir(base)
failed = {}
tune = "unitune tune table.csv --target diagnosis --units 4,8 --activations relu --epochs 1 --folds 2 --name mine"
for line in ("unitune demo --table", tune, "unitune demo"):
    failed[line] = run(shlex.split(line))
pd.read_csv("table.csv").to_parquet("table.parquet")
rows = pd.DataFrame({"area": range(60), "city": ["Bern", "Graz", "Turin"] * 20, "sold": ["yes", "no"] * 30})
rows.to_csv("homes.csv", index=False)
for name in ("other", "narrow", "wide", "NAME"):
    shutil.copytree("runs/mine", f"runs/{name}")
for page, lines in pages.items():
    place = base.parent / page
    shutil.copytree(base, place)
    os.chdir(place)
    for name, text in lines["files"].items():
        pathlib.Path(name).write_text(text)
    for line in lines["commands"]:
        words = shlex.split(line)
        solved = mock.patch("unitune.tuner.dense.engine_on", lambda *_: contextlib.nullcontext(FakeEngine()))
        with solved if words[1] == "tune" else contextlib.nullcontext():
            failed[f"{page}: {line}"] = run(words)
report.write_text(json.dumps(failed))
"""


def commands_of(page: Path) -> list[str]:
    """The lines that begin with `unitune` in the blocks of a page without a language."""
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("unitune ")]


def words_of(line: str) -> list[str]:
    """The words of a command: without comments, and without what a shell does with the output."""
    words = shlex.split(line, comments=True)
    ends = [place for place, word in enumerate(words) if word in ("|", ">")]
    return words[: ends[0]] if ends else words


ALL = [
    pytest.param(line, id=f"{page.stem}: {line[:60]}") for page in PAGES for line in dict.fromkeys(commands_of(page))
]


@pytest.mark.parametrize("line", ALL)
def test_a_command_has_the_flags_that_there_are(line: str) -> None:
    name, *words = words_of(line)[1:]
    assert name in COMMANDS
    known = {flag for parameter in COMMANDS[name].params for flag in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)} <= known


@pytest.mark.slow
def test_every_command_runs(tmp_path: Path) -> None:
    pages, seen = {}, set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        chosen = []
        for line in commands_of(page):
            if any(mark in line for mark in ELSEWHERE) or line in seen:
                continue
            if "--name" not in line:  # such a run may be the one that a later command takes
                seen.add(line)
            words = words_of(line)
            if words[1] == "tune":  # the last of two equal flags holds
                words += ["--epochs", "1", "--trials", "3", "--folds", "2", "--quiet"]
            if "--name" in words or words[1] == "demo":
                words += ["--overwrite"]
            chosen.append(shlex.join(words))
        files = dict(re.findall(r"^```toml\n# (\S+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
        if chosen:
            name = page.relative_to(ROOT).with_suffix("").as_posix().replace("/", "-")
            pages[name] = {
                "commands": chosen,
                "files": files or {"space.toml": 'units = [4, 8]\nactivations = "relu"\n'},
            }
    (tmp_path / "pages.json").write_text(json.dumps(pages))
    (tmp_path / "base").mkdir()
    arguments = [str(tmp_path / name) for name in ("base", "pages.json", "failed.json")]
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, *arguments],
        env=os.environ | {"MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads((tmp_path / "failed.json").read_text())
    assert len(outcome) > 20
    assert "\n".join(f"{line}: {reason}" for line, reason in outcome.items() if reason) == ""
