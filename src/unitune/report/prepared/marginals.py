"""What each hyperparameter does: the best trial with each of its values, and the mean of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitune.records import Array
from unitune.report.numbers import axis_name, setting

MAX_PANELS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class MarginalPanel:
    """One hyperparameter. Arrays are `(value,)`.

    Attributes:
        name: Its name.
        values: Labels of its values; of many numbers, of bins with equally many trials.
        ordered: Whether the values are numbers, so that a line between them means something.
        best, best_low, best_high: The best trial with the value, and its 95 % interval: the isolated marginal.
        best_labels: What those trials are.
        mean, low, high: The mean of all trials with the value, and its 95 % interval.
        n_trials: How many there are.
    """

    name: str
    values: tuple[str, ...]
    ordered: bool
    best: Array
    best_low: Array
    best_high: Array
    best_labels: tuple[str, ...]
    mean: Array
    low: Array
    high: Array
    n_trials: Array

    @property
    def title(self) -> str:
        """The hyperparameter in words."""
        return axis_name(self.name)

    @property
    def alone(self) -> bool:
        """Whether each value has one trial, so that the best is the mean."""
        return bool((self.n_trials == 1).all())


def marginal_panels(
    tables: Mapping[str, pd.DataFrame], labels: Mapping[int, str], order: Sequence[str] = ()
) -> tuple[MarginalPanel, ...]:
    """A panel for each hyperparameter with two values or more.

    Args:
        tables: For each hyperparameter its marginals, as `Result.marginals` has them.
        labels: From a trial's number to its name.
        order: Hyperparameters to put first, in this order; the others follow as they come.
    """
    names = [name for name in order if name in tables]
    found = []
    for name in dict.fromkeys([*names, *tables]):
        table = tables[name]
        if len(table) < 2:
            continue
        given = list(table["value"])
        columns = {part: table[part].to_numpy(float) for part in ("mean", "low", "high")}
        found.append(
            MarginalPanel(
                name=name,
                values=tuple(setting(value) or "default" for value in given),
                ordered=all(
                    isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
                    for value in given
                ),
                best=table["best_mean"].to_numpy(float),
                best_low=table["best_low"].to_numpy(float),
                best_high=table["best_high"].to_numpy(float),
                best_labels=tuple(labels[int(number)] for number in table["best_trial"]),
                n_trials=table["n_trials"].to_numpy(int),
                **columns,
            )
        )
    return tuple(found)
