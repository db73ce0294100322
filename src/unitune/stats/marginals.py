"""What a hyperparameter does: the mean over the others for each of its values, and the best of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitune.records import Array, Direction
from unitune.stats.intervals import summarise


@dataclass(frozen=True, kw_only=True)
class Marginal:
    """The trials of one value of a hyperparameter.

    Attributes:
        value: The number of the value.
        n_trials: How many trials have it.
        mean, low, high: The mean score of these trials and its 95 % interval over the folds.
        best: The index of the best of these trials.
        best_mean, best_low, best_high: Its score: the other hyperparameters are chosen for this value.
    """

    value: int
    n_trials: int
    mean: float
    low: float
    high: float
    best: int
    best_mean: float
    best_low: float
    best_high: float


def marginals(
    codes: Array,
    values: Array,
    direction: Direction,
    *,
    validation_ratio: float = 0.0,
    attainable: tuple[float, float] = (-np.inf, np.inf),
) -> list[Marginal]:
    """Average and isolated marginals of one hyperparameter.

    The average marginal of a value is the mean over all its trials. The isolated one is the best of its trials: what
    the value can do once the nuisance hyperparameters are chosen for it.

    Args:
        codes: `(trial,)` numbers of the values, below 0 where the hyperparameter is not active.
        values: `(trial, cell)` scores, finite.
        direction: Of the score.
        validation_ratio, attainable: As in `unitune.stats.summarise`.

    Returns:
        One for each value that some trial has, in their order.

    Source: Godbole et al., "Deep Learning Tuning Playbook" (2023), isolation plots.
    """
    found = []
    for code in np.unique(codes[codes >= 0]):
        rows = np.flatnonzero(codes == code)
        mine = values[rows]
        mean = summarise(mine.mean(axis=0), validation_ratio=validation_ratio, attainable=attainable)
        scores = mine.mean(axis=1)
        best = int(scores.argmax() if direction == "maximize" else scores.argmin())
        own = summarise(mine[best], validation_ratio=validation_ratio, attainable=attainable)
        found.append(
            Marginal(
                value=int(code),
                n_trials=len(rows),
                mean=float(mean.mean),
                low=float(mean.low),
                high=float(mean.high),
                best=int(rows[best]),
                best_mean=float(own.mean),
                best_low=float(own.low),
                best_high=float(own.high),
            )
        )
    return found
