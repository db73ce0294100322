"""What happens to a search at its end: shown, also where it was stopped or could not be saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import typer

from unitune.cli import view
from unitune.errors import SaveError

if TYPE_CHECKING:
    from unitune.result import Result

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def finish(search: Callable[[], Result], *, as_json: bool) -> None:
    """Runs a search and prints its result.

    Raises:
        typer.Exit: The user stopped it; what was done is saved and shown.
        SaveError: It could not be saved; what was done is shown.
    """
    try:
        result = search()
    except SaveError as error:
        if error.result is not None:
            view.show(cast("Result", error.result), as_json=as_json)
        raise
    view.show(result, as_json=as_json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)
