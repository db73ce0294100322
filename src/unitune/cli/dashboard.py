"""`unitune dashboard`: look at a run in Optuna's dashboard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """
[bold]Examples[/]

unitune dashboard runs/mine

unitune dashboard runs/mine --port 8123 --open
"""


def command(
    run: Annotated[Path, typer.Argument(help="A run folder, of a run that goes on or has ended.", metavar="RUN")],
    host: Annotated[str, typer.Option(help="Where it listens; others can look only if you say so.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 takes any that is free.")] = 8080,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Look at a run in Optuna's dashboard, also while it goes on; Ctrl-C ends it."""
    from unitune.result.dashboard import Dashboard

    dashboard = Dashboard(run, host=host, port=port)
    print(f"{dashboard.url} (Ctrl-C ends)", file=sys.stderr, flush=True)
    if show:
        typer.launch(dashboard.url)
    try:
        dashboard.serve()
    except KeyboardInterrupt:
        print("Ended.", file=sys.stderr)
