"""Simpler models on the same folds, beside the trials: what a network has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from unitune.records import Task

TITLES = {"linear": "linear model", "boosting": "gradient boosting"}
MAJORITY = {"regression": "the mean"}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A simpler model.

    Attributes:
        kind: `"majority"` (of numbers the mean), `"linear"` or `"boosting"`.
        task: Of the search.
        values: From a metric to its values, ordered by repeat, then fold.
        intervals: From a metric to the 95 % interval of its mean; NaN where there is a single value.
        elapsed_s: Seconds for all folds.
    """

    kind: str
    task: Task
    values: Mapping[str, tuple[float, ...]]
    intervals: Mapping[str, tuple[float, float]]
    elapsed_s: float

    @property
    def title(self) -> str:
        """What it is called."""
        return TITLES.get(self.kind) or MAJORITY.get(self.task, "the largest class")

    def mean(self, metric: str) -> float:
        """The mean over the folds."""
        return float(np.mean(self.values[metric]))

    def to_json(self) -> dict[str, Any]:
        """As a tree of JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Reference:
        """What `to_json` wrote."""

        def numbers(pairs: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
            return {name: tuple(float("nan") if v is None else float(v) for v in own) for name, own in pairs.items()}

        return cls(
            kind=tree["kind"],
            task=tree["task"],
            values=numbers(tree["values"]),
            intervals=numbers(tree["intervals"]),  # type: ignore[arg-type]
            elapsed_s=float(tree["elapsed_s"]),
        )


def reference_table(references: Sequence[Reference], metric: str) -> pd.DataFrame:
    """A row for each reference: `reference`, `mean`, `low`, `high`, `std`, `seconds`."""
    return pd.DataFrame(
        {
            "reference": [one.title for one in references],
            "mean": [one.mean(metric) for one in references],
            "low": [one.intervals[metric][0] for one in references],
            "high": [one.intervals[metric][1] for one in references],
            "std": [
                float(np.std(one.values[metric], ddof=1)) if len(one.values[metric]) > 1 else float("nan")
                for one in references
            ],
            "seconds": [one.elapsed_s for one in references],
        }
    )


def with_references(frame: pd.DataFrame, references: Sequence[Reference], metric: str) -> pd.DataFrame:
    """The table of trials with simpler models below it, which have neither a rank nor a number."""
    below = reference_table(references, metric).assign(rank=pd.NA, trial=pd.NA, credible=False, pick="")
    whole = pd.concat([frame.astype({"trial": "Int64"}), below.astype({"rank": "Int64", "trial": "Int64"})])
    return whole[[*frame.columns[:2], "reference", *frame.columns[2:]]].reset_index(drop=True)
