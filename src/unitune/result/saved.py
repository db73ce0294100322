"""A run that was saved, as a result again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.errors import RunFolderError
from unitune.models import backend
from unitune.records import Array, Trial
from unitune.result.search_result import BEST_MODEL, Result
from unitune.store import load_predictions, load_probes, load_run
from unitune.store.run import ranked

if TYPE_CHECKING:
    import keras


class _Saved:
    """The best model of a run that was loaded."""

    def __init__(self, folder: Path, best: int) -> None:
        self._folder = folder
        self._best = best

    def model(self, trial: Trial, epochs: int, learning_rates: Array) -> keras.Model:
        """Loads `best.keras`."""
        if trial.number != self._best:
            raise RunFolderError(
                "A run that was loaded has the model of its best trial only",
                f"trial {trial.number} was asked for, the best is {self._best}",
                "Run the search again to train others.",
            )
        path = self._folder / BEST_MODEL
        if not path.is_file():
            raise RunFolderError(f"`{self._folder}` must hold {BEST_MODEL}", "it is missing")
        keras = backend.ensure()
        try:
            return keras.saving.load_model(path, compile=False)
        except (ValueError, OSError, TypeError) as error:
            first = (str(error).strip().splitlines() or [""])[0]
            raise RunFolderError(f"`{path}` must be a Keras model", f"it cannot be read ({first})") from error

    def test_scores(self, trial: Trial, model: Callable[[], keras.Model]) -> dict[str, float]:
        """Nothing: the test rows were not saved."""
        return {}

    def members(self, trial: Trial) -> tuple[Sequence[Job], Sequence[Split]]:
        """Not to be had: the rows were not saved."""
        raise RunFolderError(
            "Verifying a run that was loaded needs its rows",
            "a run folder does not hold them",
            "Use `unitune.verify(folder, x, y)`, or `unitune verify RUN` where they came from a file.",
        )


def load(folder: str | Path) -> Result:
    """Loads a run that was saved; the training data are not needed.

    Args:
        folder: The run folder.

    Returns:
        Its `Result`, with the model of the best trial.

    Raises:
        RunFolderError: There is no run in the folder, or it cannot be read.
    """
    place = Path(folder)
    run, trials, members, histories = load_run(place)
    best = ranked(trials, run.objective, run.direction)[0].number if trials else 0
    return Result(
        run=run,
        trials=trials,
        members=lambda: members,
        histories=lambda: histories,
        probes=lambda: load_probes(place),
        predictions=lambda: load_predictions(place),
        source=_Saved(place, best),
        folder=place,
    )
