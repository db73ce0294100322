"""Learning curves: the histories of a trial's members as a mean and a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitune.records import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A metric over the epochs, on one split.

    Attributes:
        split: `"train"` or `"validation"`.
        epoch: `(epoch,)`, from 1.
        mean: `(epoch,)` over the members that were still training.
        low, high: `(epoch,)`, the lowest and the highest of them.
        n_members: How many there were in the first epoch.
    """

    split: str
    epoch: Array
    mean: Array
    low: Array
    high: Array
    n_members: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """The curves of one trial in one metric.

    Attributes:
        trial: Its number.
        title: What it is: "units 64, gelu", after a star if it is recommended.
        metric: The metric.
        curves: Train and validation.
        best_epoch: The epoch of the folds to which the final model is trained.
        verdict: How it fits, in words; empty where nothing was diagnosed.
    """

    trial: int
    title: str
    metric: str
    curves: tuple[Curve, ...]
    best_epoch: int | None
    verdict: str


def curves(history: pd.DataFrame, metric: str) -> tuple[Curve, ...]:
    """The curves of one metric for the members in a history table, train first."""
    chosen = history[history["metric"] == metric]
    found = []
    for split in ("train", "validation"):
        part = chosen[(chosen["split"] == split) & np.isfinite(chosen["value"])]
        if part.empty:
            continue
        groups = part.groupby("epoch")["value"]
        found.append(
            Curve(
                split=split,
                epoch=np.array(sorted(part["epoch"].unique())),
                mean=groups.mean().to_numpy(),
                low=groups.min().to_numpy(),
                high=groups.max().to_numpy(),
                n_members=int(groups.size().iloc[0]),
            )
        )
    return tuple(found)


def shown_metrics(history: pd.DataFrame) -> tuple[str, ...]:
    """The metrics of a history that are worth a panel: the loss, and the first other one."""
    names = [str(name) for name in dict.fromkeys(history["metric"]) if name not in ("loss", "learning_rate")]
    return ("loss", *names[:1])


def panels(
    history: pd.DataFrame,
    *,
    trial: int,
    title: str,
    metrics: Sequence[str],
    best_epoch: int | None = None,
    verdict: str = "",
) -> tuple[Panel, ...]:
    """A panel for each metric of which finite values were recorded."""
    found = ((metric, curves(history, metric)) for metric in metrics)
    return tuple(
        Panel(trial=trial, title=title, metric=metric, curves=each, best_epoch=best_epoch, verdict=verdict)
        for metric, each in found
        if each
    )
