"""What the score depends on: how much of its variation is due to what, and what each value of a hyperparameter does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from unitune.errors import OptionError
from unitune.records import Array, Trial
from unitune.result.certainty import Certainty
from unitune.stats import Design, design_of, effect_marginals, effect_shares, is_complete, sample_of
from unitune.store.run import varying

BINS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Factor:
    """A hyperparameter as numbers.

    Attributes:
        codes: `(trial,)` numbers of the trials' values, -1 where it is not active.
        labels: What the values are called.
        values: One value of each number.
    """

    codes: Array
    labels: list[Any]
    values: list[Any]


def interplay(certainty: Certainty) -> pd.DataFrame:
    """How much of the variation in score is due to what, as `Result.interplay` has it."""
    factors_of(certainty)
    shares = effect_shares(certainty.posterior, certainty.run.space)
    rows = [{"term": one.term, "share": one.share, "low": one.low, "high": one.high} for one in shares]
    return pd.DataFrame(rows, columns=["term", "share", "low", "high"])


def marginals(certainty: Certainty, name: str) -> pd.DataFrame:
    """What a hyperparameter does, as `Result.marginals` has it."""
    factors = factors_of(certainty)
    if name not in factors:
        raise OptionError(
            "`marginals` takes a hyperparameter that varies", f"got {name!r}", f"Those are {', '.join(factors)}."
        )
    complete = is_complete({other: one.codes for other, one in factors.items()})
    factor = factors[name]
    numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in factor.labels)
    if numeric and len(factor.labels) > 2 * BINS:
        factor = _binned(factor)
    space, trials = certainty.run.space, certainty.modelled

    def with_value(code: int) -> Design:
        found = [space.active({**one, name: factor.values[code]}) for one in sample_of(space)]
        own = [one.configuration for one, its in zip(trials, factor.codes, strict=True) if its == code]
        return design_of(space, [one for one in found if name in one] or own)

    found = effect_marginals(certainty.posterior, factor.codes, configurations=None if complete else with_value)
    columns = ("value", "n_trials", "mean", "low", "high", "best_trial", "best_mean", "best_low", "best_high")
    rows = [
        (
            factor.labels[one.value],
            one.n_trials,
            one.mean,
            one.low,
            one.high,
            trials[one.best].number,
            one.best_mean,
            one.best_low,
            one.best_high,
        )
        for one in found
    ]
    return pd.DataFrame(rows, columns=list(columns))


def factors_of(certainty: Certainty) -> dict[str, Factor]:
    """Each hyperparameter that took several values.

    Raises:
        OptionError: None did, or nothing tells an effect from luck.
    """
    space, trials = certainty.run.space, certainty.modelled
    factors = {}
    for name in varying(space):
        factor = _factor(certainty, trials, name)
        if len(np.unique(factor.codes)) > 1:
            factors[name] = factor
    if not factors:
        raise OptionError("The score can be divided where something varied", "every trial is the same")
    if not certainty.is_known:
        raise OptionError(
            "What the score depends on is told by folds, or out-of-fold predictions",
            "there is one score of each trial",
            "Use `folds=5`.",
        )
    return factors


def _factor(certainty: Certainty, trials: Sequence[Trial], name: str) -> Factor:
    space = certainty.run.space
    by_number = sorted(((one.number, one.configuration) for one in trials), key=itemgetter(0))
    values: dict[Any, Any] = {}
    for _, configuration in by_number:
        if name in configuration:
            values.setdefault(space.label(name, configuration[name]), configuration[name])
    labels = list(values)
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in labels):
        labels.sort()
    place = {label: position for position, label in enumerate(labels)}
    given = [one.configuration for one in trials]
    codes = [place[space.label(name, one[name])] if name in one else -1 for one in given]
    return Factor(codes=np.array(codes, dtype=np.int64), labels=labels, values=[values[one] for one in labels])


def _binned(factor: Factor) -> Factor:
    """Values in eight bins with equally many trials; a bin is named by its median, in a few digits where these tell."""
    values, codes = np.array(factor.labels, dtype=np.float64), factor.codes
    active = codes >= 0
    edges = np.quantile(values[codes[active]], np.arange(1, BINS) / BINS)
    bins = np.where(active, np.searchsorted(edges, values[np.maximum(codes, 0)], side="right"), -1)
    used = [number for number in range(BINS) if (bins == number).any()]
    names = [float(np.median(values[codes[bins == number]])) for number in used]
    place = {number: position for position, number in enumerate(used)}
    whole = all(isinstance(one, int) for one in factor.values)
    short = [round(one) if whole else float(f"{one:.2g}") for one in names]
    return Factor(
        codes=np.array([place.get(int(number), -1) for number in bins]),
        labels=short if len(set(short)) == len(short) else names,
        values=[round(one) for one in names] if whole else names,
    )
