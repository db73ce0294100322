"""`unitune show`: look at a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unitune.cli import view

EPILOG = "[bold]Example:[/] unitune show runs/demo --top 5"


def command(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    top: Annotated[int, typer.Option(min=1, help="How many trials to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
) -> None:
    """Show a run: its ranked table and its recommended trial."""
    from unitune.result import load

    view.show(load(run), as_json=as_json, top=top)
