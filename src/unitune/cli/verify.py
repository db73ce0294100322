"""`unitune verify`: train the winner again with plain `fit`, and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unitune.cli import view
from unitune.cli.demo import demo_rows

EPILOG = """
[bold]Examples[/]

unitune verify runs/demo

unitune verify runs/houses --trial 7 --table houses.csv
"""


def command(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    trial: Annotated[int | None, typer.Option(help="The number of a trial; the recommended one if not given.")] = None,
    table: Annotated[str | None, typer.Option(help="The table of the run, if it has moved.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON, and nothing else.")] = False,
) -> None:
    """Train the recommended trial again with plain fit, on the same folds; print both curves and their difference."""
    from unitune.result import load
    from unitune.tuner import verify

    x, y = demo_rows(load(run).run.command) if table is None else (table, None)
    view.show_verification(verify(run, x, y, trial=trial), as_json=as_json)
