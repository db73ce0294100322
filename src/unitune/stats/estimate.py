"""What to expect of a trial on new rows, as a record."""

from __future__ import annotations

from dataclasses import dataclass

from unitune.records import interval_text


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a trial can be expected to score on new rows.

    Attributes:
        metric: The metric.
        mean: The score to expect.
        low, high: Its 95 % interval; NaN where nothing can be said.
        method: How it was computed, in words.
        naive: The trial's own mean score, which is a little too good where it was chosen for it.
    """

    metric: str
    mean: float
    low: float
    high: float
    method: str
    naive: float

    def __str__(self) -> str:
        return f"{self.metric} {self.mean:.4g}{interval_text(self.low, self.high)} on new rows"

    def _repr_markdown_(self) -> str:
        """A sentence, for notebooks."""
        return f"{self} ({self.method}); in the search it was {self.naive:.4g}."
