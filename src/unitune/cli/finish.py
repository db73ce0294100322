"""What happens to a search at its end: shown, also where it was stopped or could not be saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import typer

from unitune.cli import view
from unitune.cli.words import notes_with_flags
from unitune.errors import SaveError
from unitune.report.progress import make_progress

if TYPE_CHECKING:
    from unitune.report.progress import Listener
    from unitune.result import Result

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def finish(search: Callable[[Sequence[Listener]], Result], *, as_json: bool, quiet: bool = False) -> None:
    """Runs a search and prints its result.

    Args:
        search: Runs it; takes the listeners that tell how it goes.
        as_json: Whether to print the summary as JSON.
        quiet: Whether to tell nothing.

    Raises:
        typer.Exit: The user stopped it; what was done is saved and shown.
        SaveError: It could not be saved; what was done is shown.
    """
    try:
        result = search(make_progress(not quiet, words=notes_with_flags))
    except SaveError as error:
        if error.result is not None:
            view.show(cast("Result", error.result), as_json=as_json)
        raise
    view.show(result, as_json=as_json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)
