"""A run that is going on, or was cut off, read from its store: the same shape as a run folder gives."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from unitune.errors import RunFolderError
from unitune.records import Array, Trial
from unitune.store.folder import ADDRESS, MARK, STORE
from unitune.store.members import MemberBlock, member_table, only
from unitune.store.run import TRIAL_PARTS, Run, trials_of

if TYPE_CHECKING:
    from unitune.store.database import Database
    from unitune.store.run_store import RunStore


def is_unfinished(folder: Path) -> bool:
    """Whether a run folder is to be read from its store: its files are missing, or older than what is recorded."""
    if not (folder / STORE).is_file() and not (folder / ADDRESS).is_file():
        return False
    if not (folder / MARK).is_file():
        return True
    if (folder / ADDRESS).is_file():
        return False  # the files were written last; the database may be far away
    try:
        with contextlib.closing(sqlite3.connect(f"{(folder / STORE).absolute().as_uri()}?mode=ro", uri=True)) as file:
            return bool(file.execute("SELECT state FROM runs").fetchone() == ("running",))
    except sqlite3.Error:  # on a medium that cannot be written, say; the files are there
        return False


def open_run_folder(folder: Path) -> Database:
    """The store of a run folder: the file in it, or the database whose address it holds.

    Raises:
        RunFolderError: There is none, or it cannot be opened.
    """
    from unitune.store.database import open_folder, open_url

    if (folder / STORE).is_file():
        return open_folder(folder)
    try:
        return open_url(str(json.loads((folder / ADDRESS).read_text(encoding="utf-8"))["url"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, RunFolderError):
            raise
        raise RunFolderError(
            "A run folder must hold a store, or the address of one", f"`{folder}` holds none", "Check the path."
        ) from error


def weights_of(folder: Path, trial: int) -> dict[tuple[int, int], list[Array]]:
    """From a fold and repeat to the weights of a trial's member; empty where they were not kept.

    Raises:
        RunFolderError: The folder has no store.
    """
    from unitune.store.member_states import kept_weights, load_weights

    database = open_run_folder(folder)
    try:
        store = database.find(folder.absolute().name if database.shared else None)
        keys = [] if store is None else [key for key in kept_weights(store) if key[0] == trial]
        return {key[1:]: load_weights(store, key) or [] for key in keys} if store is not None else {}
    finally:
        database.close()


def read_run(store: RunStore) -> tuple[Run, tuple[Trial, ...], list[MemberBlock]]:
    """A run as far as it is recorded.

    Returns:
        The run, its finished trials by number, and their members.
    """
    run = Run.from_json(store.record)
    blocks = [block for _, block in store.blocks()]
    rows = store.trial_rows()
    entries = [
        {name: getattr(row, name) for name in TRIAL_PARTS} | {"configuration": json.loads(row.configuration)}
        for row in rows
        if row.state in ("complete", "failed", "stopped")
    ]
    trials = trials_of(entries, run.metrics, store.score_rows(), member_table(blocks))
    finished = [trial.number for trial in trials]
    state = "was stopped" if store.state == "interrupted" else "is not finished"
    done = sum(trial.state != "stopped" for trial in trials)
    note = f"The run {state}: {done:,} of {len(rows):,} trials that were begun are complete."
    logits = tuple(row.number for row in rows if row.logits and row.number in finished)
    elapsed_s = {"search": store.elapsed_s, "total": store.elapsed_s}
    run = replace(run, left_out=note, interrupted=True, logits=logits, elapsed_s=elapsed_s)
    return run, trials, [block for block in (only(block, finished) for block in blocks) if len(block.trial)]
