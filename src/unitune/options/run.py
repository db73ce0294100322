"""The run: its seed, where it is kept, and who is told of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from unitune.errors import OptionError
from unitune.options.base import Options
from unitune.options.flags import AtLeast, Flag

if TYPE_CHECKING:
    from unitune.report.progress import Listener


@dataclass(frozen=True, kw_only=True, eq=False)
class RunOptions(Options):
    """The run.

    Args:
        seed: The seed of everything random, 0 or more.
        out: The folder of run folders; without `out` and `name` nothing is saved (see `Result.save`).
        name: The name of the run folder; the date and time if not given.
        overwrite: Whether an older run of that name may be replaced.
        resume: Whether a run of that name goes on where it stopped; it must be the same search of the same rows. Where
            there is none, one begins. In a shared store, whether this process joins those that work on it.
        store: The URL of a PostgreSQL database (`"postgresql+psycopg://user@host/database"`) in which the run is kept
            and which several processes may share, instead of a file in the run folder.
        keep: Of how many of the best trials the weights of all members are kept in the store (`Result.weights`), 0 or
            more.
        progress: Whether to tell how it goes, on standard error.
        callbacks: Listeners that are told how it goes.
    """

    panel: ClassVar[str] = "The run"

    seed: Annotated[int, Flag("The seed of everything random.", int), AtLeast(0, whole=True)] = 0
    out: Annotated[str | Path | None, Flag("Where run folders go; runs/ if not given.", Path)] = None
    name: Annotated[str | None, Flag("The name of the run folder.")] = None
    overwrite: Annotated[bool, Flag("Replace a run folder of this name.", bool)] = False
    resume: Annotated[bool, Flag("Go on with the run of this name, or join it in a shared store.", bool)] = False
    store: Annotated[str | None, Flag("The URL of a PostgreSQL database that keeps the run.", metavar="URL")] = None
    keep: Annotated[
        int,
        Flag("Keep the weights of all networks of so many of the best trials in the store.", int),
        AtLeast(0, whole=True),
    ] = 0
    progress: bool = True
    callbacks: "Iterable[Listener]" = ()

    def folder(self) -> Path | None:
        """Where the run is saved: `out/name`, with `runs` and the date and time where one of them is missing.

        Raises:
            OptionError: The name is no name of a folder, or missing where one is needed.
        """
        out, name = self.out, self.name
        if name is None and (self.resume or self.store is not None):
            what = "`resume`" if self.resume else "`store`"
            raise OptionError(f"{what} needs the `name` of a run", "there is none", 'Give it one: `name="mine"`.')
        if out is None and name is None:
            if self.keep:
                raise OptionError("`keep` needs a run folder", "there is none", 'Give it a name: `name="mine"`.')
            return None
        if name is not None and (name in ("", ".", "..") or any(mark in name for mark in "/\\\0")):
            raise OptionError(
                "`name` must be the name of a folder, without separators", f"got {name!r}", "Give its place with `out`."
            )
        parent = Path(out) if out is not None else Path("runs")
        if name is not None:
            return parent / name
        stem = datetime.now().strftime("%Y-%m-%d-%H%M%S")
        folder, number = parent / stem, 1
        while folder.exists():
            number += 1
            folder = parent / f"{stem}-{number}"
        return folder
