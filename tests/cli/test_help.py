"""Every command has help with an example, and a section of the reference that knows each of its flags."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from unitune.cli.app import app

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = typer.main.get_command(app).commands


def section(command: str) -> str:
    """The part of the reference under the command's heading."""
    parts = re.split(r"^## `unitune (\S+).*`$", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[command]


def test_the_commands() -> None:
    assert {"demo", "tune", "show", "predict", "compare-runs"} <= set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_shows_an_example(unitune: Callable[..., Any], command: str) -> None:
    done = unitune(command, "--help")
    assert done.exit_code == 0
    assert len(re.findall(rf"unitune {command}\b", done.stdout)) >= 2  # the usage line, and an example


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_flag_has_help_and_stands_in_the_reference(command: str) -> None:
    page = section(command)
    for parameter in COMMANDS[command].params:
        assert parameter.help or parameter.param_type_name == "argument", parameter.name
        for name in [*parameter.opts, *parameter.secondary_opts]:
            assert f"`{name}`" in page or parameter.param_type_name == "argument", name


def test_tune_has_a_flag_for_every_argument_of_the_library() -> None:
    import inspect

    import unitune

    # Live objects cannot be written in a shell: `y` is a column of the table, `progress` is `--quiet`, `executor` is
    # `--ray`.
    live = {"x", "y", "rows", "progress", "callbacks", "executor"}
    arguments = set(inspect.signature(unitune.tune).parameters) - live
    flags = {parameter.name for parameter in COMMANDS["tune"].params}
    assert arguments - flags == set()


def test_no_command_shows_help(unitune: Callable[..., Any]) -> None:
    said = unitune().output
    for command in COMMANDS:
        assert command in said


def test_version(unitune: Callable[..., Any]) -> None:
    done = unitune("--version")
    assert done.exit_code == 0
    assert re.fullmatch(r"unitune \d+\.\d+\.\d+\S*\n", done.stdout)


def test_help_loads_no_framework() -> None:
    code = "import sys; sys.argv = ['unitune', 'tune', '--help']\nfrom unitune.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "sys.exit(str([name for name in ('keras', 'tensorflow', 'jax', 'sklearn') if name in sys.modules] or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert "--activations" in done.stdout
