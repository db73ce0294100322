"""`unitune compare-runs`: put two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unitune.cli import view

EPILOG = "[bold]Example:[/] unitune compare-runs runs/narrow runs/wide"


def command(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    other: Annotated[Path, typer.Argument(help="Another run folder.", metavar="RUN")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON, and nothing else.")] = False,
) -> None:
    """Put the recommended trials of two runs side by side, and say whether they differ."""
    from unitune.result import compare_runs, load

    view.show_comparison((str(run), str(other)), compare_runs(load(run), load(other)), as_json=as_json)
