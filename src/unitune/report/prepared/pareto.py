"""Cost against score, with the trials that no other beats in both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitune.records import Array, sign_of

COSTS = {"parameters": "parameters", "seconds": "training time (s)"}


@dataclass(frozen=True, kw_only=True, eq=False)
class CostMap:
    """All complete trials by one cost. Arrays are `(trial,)`, in ascending order of the cost.

    Attributes:
        cost_name: What the cost is.
        cost, score: Of each trial.
        trial: Its number.
        labels: Its name.
        credible, recommended, front: Whether it is in the credible set; recommended; on the Pareto front.
    """

    cost_name: str
    cost: Array
    score: Array
    trial: Array
    labels: tuple[str, ...]
    credible: Array
    recommended: Array
    front: Array


def pareto_front(cost: Array, score: Array, direction: str) -> Array:
    """Which points no other point beats: at most the cost and at least as good a score, one of them strictly.

    Args:
        cost: `(n,)`, less is better.
        score: `(n,)`.
        direction: `"maximize"` or `"minimize"` the score.

    Returns:
        `(n,)` booleans.

    Example:
        >>> pareto_front(np.array([1, 2, 3, 3]), np.array([0.8, 0.7, 0.9, 0.85]), "maximize").tolist()
        [True, False, True, False]
    """
    gain = sign_of(direction) * np.asarray(score, float)
    cost = np.asarray(cost, float)
    order = np.lexsort((-gain, cost))
    front = np.zeros(len(cost), bool)
    best, best_cost = -np.inf, np.nan
    for index in order:
        if gain[index] > best or (gain[index] == best and cost[index] == best_cost):
            front[index] = True
            best, best_cost = gain[index], cost[index]
    return front


def cost_maps(
    table: pd.DataFrame,
    labels: Mapping[int, str],
    *,
    direction: str,
    credible: Collection[int] = (),
    recommended: int | None = None,
) -> tuple[CostMap, ...]:
    """A map for each cost: parameters, and seconds.

    Args:
        table: A row for each trial: `trial`, `mean`, `parameters`, `seconds`.
        labels: From a trial's number to its name.
        direction: Of the score.
        credible: Numbers of the trials that may be the best.
        recommended: The number of the recommended trial.
    """
    complete = table[np.isfinite(table["mean"])]
    maps = []
    for name, title in COSTS.items():
        ordered = complete.sort_values([name, "trial"])
        numbers = ordered["trial"].to_numpy()
        cost, score = ordered[name].to_numpy(float), ordered["mean"].to_numpy(float)
        maps.append(
            CostMap(
                cost_name=title,
                cost=cost,
                score=score,
                trial=numbers,
                labels=tuple(labels[int(number)] for number in numbers),
                credible=np.isin(numbers, list(credible)),
                recommended=numbers == (-1 if recommended is None else recommended),
                front=pareto_front(cost, score, direction),
            )
        )
    return tuple(maps)
