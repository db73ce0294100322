"""The Pareto front of several objectives: the trials that no other beats in all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from unitune.errors import OptionError, suggest
from unitune.models.metrics import METRICS
from unitune.records import Array, Trial, sign_of
from unitune.search import COSTS, objective_value


def non_dominated(values: Array) -> Array:
    """Which points no other point beats: at most as much in every column, and less in one.

    Args:
        values: `(point, objective)`, less is better; equal points do not beat each other.

    Returns:
        `(point,)` booleans.

    Example:
        >>> non_dominated(np.array([[1, 5], [2, 2], [3, 3], [2, 2]])).tolist()
        [True, True, False, True]
    """
    front = np.ones(len(values), bool)
    for place, point in enumerate(values):
        beats = (values <= point).all(axis=1) & (values < point).any(axis=1)
        front[place] = not beats.any()
    return front


def pareto_table(table: pd.DataFrame, trials: Sequence[Trial], objectives: Sequence[str]) -> pd.DataFrame:
    """The rows of a table whose trials are on the Pareto front, the best in the first objective first.

    Args:
        table: A row for each trial, with `trial` and `pick`.
        trials: The trials.
        objectives: Names of metrics, `"parameters"`, `"seconds"`.

    Raises:
        OptionError: Fewer than two objectives, or an unknown one.
    """
    known = [name for name in METRICS if any(name in trial.scores for trial in trials)]
    if len(objectives) < 2:
        raise OptionError("a Pareto front needs two objectives", f"got {list(objectives)}", 'Add `"parameters"`.')
    for name in objectives:
        if name not in (*known, *COSTS):
            raise OptionError("an objective must have been scored", f"got {name!r}", suggest(name, [*known, *COSTS]))
    complete = [trial for trial in trials if trial.state == "complete"]
    signs = [1.0 if name in COSTS else -sign_of(METRICS[name].direction) for name in objectives]
    values = np.array([[objective_value(trial, name) for name in objectives] for trial in complete])
    finite = np.isfinite(values).all(axis=1)
    complete = [trial for trial, is_finite in zip(complete, finite, strict=True) if is_finite]
    values = values[finite]
    front = non_dominated(values * signs)
    order = sorted(np.flatnonzero(front), key=lambda place: (values[place] * signs).tolist())
    numbers = [complete[place].number for place in order]
    rows = table.set_index("trial").loc[numbers].reset_index()
    rows.insert(0, "rank", rows.pop("rank"))
    place = int(rows.columns.get_loc("pick")) + 1
    for shift, (name, column) in enumerate(zip(objectives, values[order].T, strict=True)):
        if name not in rows.columns:
            rows.insert(place + shift, name, column)
    return rows
