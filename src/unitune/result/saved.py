"""A run that was saved, as a result again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.errors import RunFolderError
from unitune.models import backend
from unitune.records import Array, Trial
from unitune.result.search_result import BEST_MODEL, Result
from unitune.result.source import Source
from unitune.store import history_table, load_predictions, load_probes, load_run, member_table, probe_table
from unitune.store.unfinished import is_unfinished, open_run_folder, read_run

if TYPE_CHECKING:
    import keras


class _Saved(Source):
    """The model of a run that was loaded: that of the trial that was recommended."""

    def __init__(self, folder: Path, number: int | None) -> None:
        self._folder = folder
        self._number = number

    def model(self, trial: Trial, epochs: int, learning_rates: Array) -> keras.Model:
        """Loads `best.keras`."""
        if self._number is not None and trial.number != self._number:
            raise RunFolderError(
                "A run that was loaded has the model of its recommended trial only",
                f"trial {trial.number} was asked for, {BEST_MODEL} is of trial {self._number}",
                "Run the search again to train others.",
            )
        path = self._folder / BEST_MODEL
        if not path.is_file():
            raise RunFolderError(f"`{self._folder}` must hold {BEST_MODEL}", "it is missing")
        keras = backend.ensure()
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except (ValueError, OSError, TypeError) as error:
            first = (str(error).strip().splitlines() or [""])[0]
            raise RunFolderError(f"`{path}` must be a Keras model", f"it cannot be read ({first})") from error

    def members(self, trial: Trial) -> tuple[Sequence[Job], Sequence[Split]]:
        """Not to be had: the rows were not saved."""
        raise RunFolderError(
            "Verifying a run that was loaded needs its rows",
            "a run folder does not hold them",
            "Use `unitune.verify(folder, x, y)`, or `unitune verify RUN` where they came from a file.",
        )


def _load_unfinished(folder: Path) -> Result:
    database = open_run_folder(folder)
    try:
        store = database.find(folder.name if database.shared else None)
        if store is None:
            raise RunFolderError("A run is loaded from a store that holds one", f"`{folder}` holds none")
        run, trials, blocks = read_run(store)
        run = replace(run, left_out=f"{run.left_out} `unitune resume {folder}` goes on.")
    finally:
        database.close()
    if not trials:
        raise RunFolderError(
            "A run can be looked at once a trial of it is complete",
            f"none of `{folder}` is",
            f"Wait for it, or go on with `unitune resume {folder}`.",
        )
    return Result(
        run=run,
        trials=trials,
        members=lambda: member_table(blocks),
        histories=lambda: history_table(blocks),
        probes=lambda: probe_table(blocks),
        source=_Saved(folder, None),
        folder=folder,
    )


def load(folder: str | Path) -> Result:
    """Loads a run that was saved, or as much as is recorded of one that is not finished.

    The training data are not needed. An unfinished run has no models and no estimates yet.

    Args:
        folder: The run folder.

    Returns:
        Its `Result`, with the model of the recommended trial.

    Raises:
        RunFolderError: There is no run in the folder, or it cannot be read.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import unitune
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> y = (x[:, 0] > 0).astype(int)
        >>> options = {"units": [2, 4], "activations": "relu", "epochs": 1, "folds": 2, "progress": False}
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     first = unitune.tune(x, y, **options, out=runs, name="mine")
        ...     again = load(f"{runs}/mine")
        >>> again.best.configuration == first.best.configuration
        True
    """
    place = Path(folder)
    if is_unfinished(place):
        return _load_unfinished(place)
    run, trials, members, histories = load_run(place)
    if run.recommended is None and trials:
        # Older versions handed over the trial of the highest mean, and its model is what the folder holds.
        run = replace(run, recommended=run.ranked(trials)[0].number)
    return Result(
        run=run,
        trials=trials,
        members=lambda: members,
        histories=lambda: histories,
        probes=lambda: load_probes(place),
        predictions=lambda: load_predictions(place),
        source=_Saved(place, run.recommended),
        folder=place,
    )
