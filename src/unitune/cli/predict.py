"""`unitune predict`: predict new rows with the best model of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from unitune.errors import SaveError

EPILOG = "[bold]Example:[/] unitune predict runs/mine new.csv -o predictions.csv"


def command(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    table: Annotated[
        Path, typer.Argument(help="A CSV or Parquet file with the columns of the training table.", metavar="TABLE")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV file to write.", show_default=False)],
) -> None:
    """Predict new rows with the best model of a run."""
    from unitune.result import load

    predictions = load(run).predict(table)
    try:
        predictions.to_csv(output, index=False)
    except OSError as error:
        raise SaveError(f"`{output}` cannot be written: {error.strerror or error}.") from None
    print(f"{len(predictions):,} predictions in {output}", file=sys.stderr)
