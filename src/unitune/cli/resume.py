"""`unitune resume`: go on with a run that was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unitune.cli import values
from unitune.cli.demo import demo_rows
from unitune.cli.finish import finish

EPILOG = """
[bold]Examples[/]

unitune resume runs/mine

unitune resume runs/mine --trials 500
"""


def command(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    table: Annotated[str | None, typer.Option(help="The table of the run, if it has moved.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials at most, in all, instead of the run's own limit.")] = None,
    time_limit_s: Annotated[
        float | None, typer.Option("--time-limit", help="Seconds at most, those before included.")
    ] = None,
    cv: Annotated[str | None, typer.Option(help="The splitter of the run, if it had one.")] = None,
    class_weight: Annotated[str | None, typer.Option(help="The weights of the run, if it had some.")] = None,
    store: Annotated[str | None, typer.Option(help="The URL of the run's database, if it needs a password.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Go on with a run that was interrupted, or that a crash or a full disk cut off."""
    from unitune.tuner.resume import resume, stored_run

    more: dict[str, Any] = {"trials": trials, "time_limit_s": time_limit_s, "cv": cv, "class_weight": class_weight}
    more = {
        key: values.READERS[key](value) if key in values.READERS else value
        for key, value in more.items()
        if value is not None
    }
    x, y = (table, None) if table is not None else demo_rows(stored_run(run, store)["command"])
    finish(
        lambda listeners: resume(run, x, y, store=store, progress=False, callbacks=listeners, **more),
        as_json=as_json,
        quiet=quiet,
    )
