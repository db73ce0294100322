"""`unitune tune`: tune a network on a table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer

from unitune.cli import values
from unitune.cli.finish import finish
from unitune.options import Flag, Options, RunOptions, SearchOptions, SpaceOptions, TuneOptions, flags_of

EPILOG = """
[bold]Examples[/]

unitune tune table.csv --target diagnosis --units 16,32,64,128,256 --activations relu,tanh,gelu --folds 5

unitune tune table.csv --target price --units 16:256:16 --learning-rates 1e-4:1e-2:log --strategy random --trials 50

unitune tune table.parquet --target label --layers 1,2,3 --per-layer --dropouts 0,0.2 --objective auc --time-limit 600

unitune tune table.csv --target sold --groups shop --config space.toml --json > summary.json

A value is one (64), a list (16,32,64) or a range (16:256:16, or 1e-4:1e-2:log).
"""


LOCAL = "local"
_ADDRESS = re.compile(r"(ray://)?[^\s/:\\]+:\d+")
RAY = "Train on a Ray cluster: HOST:PORT, or auto; without one, on a local Ray."


def with_addresses(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments in which every `--ray` has an address: one that stands alone means a local Ray.

    Example:
        >>> with_addresses(["table.csv", "--ray", "--trials", "9"])
        ['table.csv', '--ray', 'local', '--trials', '9']
        >>> with_addresses(["--ray", "head:6379", "table.csv"])
        ['--ray', 'head:6379', 'table.csv']
    """
    found = []
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        found.append(argument)
        if argument == "--ray" and following not in ("auto", LOCAL) and not _ADDRESS.fullmatch(following):
            found.append(LOCAL)
    return found


def command(
    context: typer.Context,
    table: str,
    *,
    config: Path | None,
    ray: str | None,
    watch: bool,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Tune a network on a table, and keep the recommended one."""
    given = {key: value for key, value in settings.items() if value not in (None, [], ())}
    if config is not None:
        given = values.configuration(config, settings) | given
    for key, read in values.READERS.items():
        if isinstance(given.get(key), str):
            given[key] = read(given[key])
        elif isinstance(given.get(key), list):  # a flag that was given several times
            given[key] = [read(one) if isinstance(one, str) and key == "enqueue" else one for one in given[key]]

    from unitune.tuner import tune

    if ray is not None:
        from unitune.execution.ray import Ray

        given["executor"] = Ray(address=None if ray == LOCAL else ray)
    given.setdefault("out", "runs")
    watchers = [watching(given)] if watch else []
    finish(
        lambda progress: tune(table, **given, progress=False, callbacks=[*progress, *watchers]),
        quiet=quiet,
        as_json=as_json,
    )


def _option(name: str, flag: Flag, panel: str, default: Any = None) -> inspect.Parameter:
    """A flag as a parameter of the command."""
    names = flag.names or ((f"--{name.replace('_', '-')}",) if flag.type is bool else ())
    kind: Any = flag.type if default is not None else (list[str] if flag.many else flag.type) | None
    info = typer.Option(*names, help=flag.help, rich_help_panel=panel, show_default=False, metavar=flag.metavar)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info])


def _parameters() -> list[inspect.Parameter]:
    """What the command takes: a table, the options of `tune` that have a flag, and what only the command line has."""
    own: list[tuple[str, type[Options], Flag, bool | None]] = [
        ("config", SpaceOptions, Flag("A TOML file with any of these flags; flags overrule it.", Path), None),
        ("ray", SearchOptions, Flag(RAY, metavar="[ADDRESS]"), None),
        ("watch", RunOptions, Flag("Open the dashboard while it goes on.", bool), False),
        ("as_json", RunOptions, Flag("Print the summary as JSON, and nothing else.", bool, ("--json",)), False),
        ("quiet", RunOptions, Flag("No progress.", bool, ("--quiet", "-q")), False),
    ]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    what = typer.Argument(help="A CSV, Parquet or Excel file, packed or not, or its address.", metavar="TABLE")
    table = inspect.Parameter("table", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[str, what])
    return [
        context,
        table,
        *(_option(name, flag, panel) for name, panel, flag in flags_of(TuneOptions)),
        *(_option(name, flag, group.panel, default) for name, group, flag, default in own),
    ]


command.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]
command.__annotations__ = {name: one.annotation for name, one in inspect.signature(command).parameters.items()}


def watching(given: dict[str, Any]) -> Any:
    """What shows the run of these arguments in the browser; it gives the run a name if there is none."""
    import sys

    from unitune.result.dashboard import Watch

    folder = RunOptions(out=given["out"], name=given.get("name")).folder()
    assert folder is not None
    given["name"] = folder.name

    def say(url: str) -> None:
        print(f"{url} (until the run has ended; then: unitune dashboard {folder})", file=sys.stderr, flush=True)
        typer.launch(url)

    return Watch(folder, say=say)
