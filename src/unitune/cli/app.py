"""The application: its commands, and what an error becomes (one message and an exit code, never a traceback)."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from unitune.cli import compare_runs, dashboard, demo, export, predict, report, resume, show, tune, verify
from unitune.cli.finish import INTERRUPTED
from unitune.cli.words import error_with_flags, known_commands
from unitune.errors import InputError, SaveError, UnituneError

BAD_INPUT = 2
FAILED = 1
RENAMED = {"compare": "compare-runs"}  # `unitune.compare` compares models


class _Group(TyperGroup):
    """Turns the errors that Unitune raises on purpose into a message on standard error and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, tune.with_addresses(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in RENAMED:
            new = RENAMED[args[0]]
            print(f"`unitune {args[0]}` is now called `unitune {new}`.", file=sys.stderr)
            args = [new, *args[1:]]
        name, command, rest = super().resolve_command(ctx, args)
        known_commands(self.commands, name)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (InputError, SaveError) as error:
            _say(error)
            raise typer.Exit(BAD_INPUT) from None
        except UnituneError as error:
            _say(error)
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


def _say(error: Exception) -> None:
    words = error_with_flags(str(error))
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]Error:[/] {escape(words)}")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"unitune {version('unitune')}")
        raise typer.Exit


app = typer.Typer(
    name="unitune",
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Tune Keras networks: units, activations, and what interplays with them.

    Start with [bold]unitune demo[/], then [bold]unitune tune table.csv --target COLUMN[/].
    """
    # Advice for those who write training loops, not for those who run a command.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


app.command("demo", epilog=demo.EPILOG)(demo.command)
app.command("tune", epilog=tune.EPILOG, no_args_is_help=True)(tune.command)
app.command("resume", epilog=resume.EPILOG, no_args_is_help=True)(resume.command)
app.command("show", epilog=show.EPILOG, no_args_is_help=True)(show.command)
app.command("dashboard", epilog=dashboard.EPILOG, no_args_is_help=True)(dashboard.command)
app.command("export", epilog=export.EPILOG, no_args_is_help=True)(export.command)
app.command("report", epilog=report.EPILOG, no_args_is_help=True)(report.command)
app.command("predict", epilog=predict.EPILOG, no_args_is_help=True)(predict.command)
app.command("compare-runs", epilog=compare_runs.EPILOG, no_args_is_help=True)(compare_runs.command)
app.command("verify", epilog=verify.EPILOG, no_args_is_help=True)(verify.command)
