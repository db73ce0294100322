"""`unitune export`: a run in the form of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """
[bold]Examples[/]

unitune export runs/mine --to optuna sqlite:///study.db

unitune export runs/mine --to csv tables

unitune export runs/mine --to tensorboard events
"""


def command(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    place: Annotated[
        str | None,
        typer.Argument(help="A URL, a file or a folder; RUN/export-FORMAT by default.", metavar="[PLACE]"),
    ] = None,
    to: Annotated[str, typer.Option(help="optuna, csv, parquet, mlflow or tensorboard.", metavar="FORMAT")] = ...,  # type: ignore[assignment]
) -> None:
    """Write a run, finished or not, in the form of another tool."""
    from unitune.result.export import export

    print(export(run, to, place))
