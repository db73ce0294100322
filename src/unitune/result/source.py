"""Where trained models, test scores and simpler models come from: the search itself, or a run folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.records import Array, Trial
from unitune.result.references import Reference

if TYPE_CHECKING:
    import keras


class Source(ABC):
    """Where trained models and test scores come from."""

    @abstractmethod
    def model(self, trial: Trial, epochs: int, learning_rates: Array) -> keras.Model:
        """The trial's network, trained on all rows, taking raw rows."""

    def test_scores(self, trial: Trial, model: Callable[[], keras.Model]) -> dict[str, float]:
        """Its scores on the test rows, empty where there are none."""
        return {}

    @abstractmethod
    def members(self, trial: Trial) -> tuple[Sequence[Job], Sequence[Split]]:
        """The jobs of its members as the search had them, and their rows."""

    def references(self) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
        """Simpler models that are not known yet, and sentences on those that were left out."""
        return (), ()
