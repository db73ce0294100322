"""A trial trained again with plain `fit`: is what the engine reported what Keras gives?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.engine.solo import SoloEngine
from unitune.errors import TrainingError

MEMBER = ["fold", "repeat", "epoch", "metric", "split"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Verification:
    """Both histories of a trial side by side.

    Attributes:
        trial: Its number.
        members: How many members were trained again.
        curves: A row for each member, epoch, metric and split, with `recorded`, `fit` and `difference`, which is
            relative to the larger of both. A value that only one side has is NaN on the other, its difference 1.
    """

    trial: int
    members: int
    curves: pd.DataFrame

    @property
    def largest_difference(self) -> float:
        """The largest relative difference of any value in any epoch."""
        return float(self.curves["difference"].max())

    def table(self) -> pd.DataFrame:
        """The curves, as means over members: a row for each epoch, metric and split, with the largest difference."""
        grouped = self.curves.groupby(["metric", "split", "epoch"], sort=False, observed=True)
        return grouped.agg(
            recorded=("recorded", "mean"), fit=("fit", "mean"), difference=("difference", "max")
        ).reset_index()

    def summary(self) -> dict[str, Any]:
        """The verification as a tree of JSON values."""
        return {
            "trial": self.trial,
            "n_members": self.members,
            "n_epochs": int(self.curves["epoch"].max()),
            "largest_difference": self.largest_difference,
            "curves": self.table().to_dict(orient="records"),
        }


def verify_members(jobs: Sequence[Job], splits: Sequence[Split], recorded: pd.DataFrame, *, trial: int) -> Verification:
    """Trains members with plain `fit`, and joins what they do with what was recorded.

    Args:
        jobs: The trial's members.
        splits: Their rows.
        recorded: The trial's histories in long form (`Result.history`).
        trial: Its number.

    Raises:
        TrainingError: A member cannot be trained.
    """
    frames = []
    for outcome in SoloEngine().train(jobs, splits):
        member = outcome.jobs[0].member
        values = {"train": outcome.train[0], "validation": outcome.validation[0]}
        if not len(values["train"]):
            raise TrainingError(f"Trial {trial} could not be trained again: {outcome.failures[0]}.")
        for split, array in values.items():
            epochs, metrics = array.shape
            frames.append(
                pd.DataFrame(
                    {
                        "fold": member.fold,
                        "repeat": member.repeat,
                        "epoch": np.repeat(np.arange(1, epochs + 1), metrics),
                        "metric": list(outcome.metrics) * epochs,
                        "split": split,
                        "fit": array.reshape(-1),
                    }
                )
            )
    again = pd.concat(frames, ignore_index=True)
    before = recorded[recorded["metric"] != "learning_rate"].rename(columns={"value": "recorded"})
    before = before.astype({"metric": str, "split": str})
    curves = before[[*MEMBER, "recorded"]].merge(again, on=MEMBER, how="outer", sort=False)
    scale = np.maximum(curves["recorded"].abs(), curves["fit"].abs())
    difference = (curves["recorded"] - curves["fit"]).abs() / scale.where(scale > 0, 1.0)
    neither = curves["recorded"].isna() & curves["fit"].isna()
    curves["difference"] = difference.fillna(1.0).mask(neither, 0.0)
    return Verification(trial=trial, members=len(jobs), curves=curves)
