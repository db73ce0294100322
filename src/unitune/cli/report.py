"""`unitune report`: the report of a run as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EPILOG = "[bold]Example:[/] unitune report runs/demo -o demo.html"


def command(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page to write; RUN/report.html by default.", show_default=False),
    ] = None,
) -> None:
    """Write the report of a run: one page of HTML that opens offline."""
    from unitune.result import load

    print(load(run).report(run / "report.html" if output is None else output))
