"""A result as something that can be pickled: its tables, and the models that were made."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.errors import RunFolderError
from unitune.models import backend
from unitune.records import Array, Trial
from unitune.result.source import Source

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Kept:
    """A function without arguments that gives a value which is known already."""

    value: Any

    def __call__(self) -> Any:
        """The value."""
        return self.value


class KeptModels(Source):
    """The models of a result that was pickled: those that had been made by then."""

    def __init__(self, models: Mapping[int, keras.Model]) -> None:
        self._files = {number: _to_bytes(model) for number, model in models.items()}

    def model(self, trial: Trial, epochs: int, learning_rates: Array) -> keras.Model:
        """Loads the trial's model.

        Raises:
            RunFolderError: It had not been made when the result was pickled.
        """
        if trial.number not in self._files:
            raise RunFolderError(
                "A result out of a pickle has the models that were made before",
                f"trial {trial.number} has none",
                "Call `result.model(trial)` before you pickle it, or run the search again.",
            )
        return _from_bytes(self._files[trial.number])

    def members(self, trial: Trial) -> tuple[Sequence[Job], Sequence[Split]]:
        """Not to be had: the rows are not pickled."""
        raise RunFolderError(
            "Verifying a trial needs the rows of the search", "a result out of a pickle does not hold them"
        )


def _to_bytes(model: keras.Model) -> bytes:
    from unitune.engine.solo import quiet_arrays

    with tempfile.TemporaryDirectory() as folder, quiet_arrays():
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _from_bytes(content: bytes) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return backend.ensure().saving.load_model(path, compile=False)
