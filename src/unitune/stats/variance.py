"""How much of the variation in score each hyperparameter accounts for, on a complete grid: analysis of variance."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from unitune.records import Array

FOLDS = "folds"
REST = "seeds and the rest"


@dataclass(frozen=True, kw_only=True)
class Share:
    """One term's share of the variation in score.

    Attributes:
        term: A hyperparameter, two joined by ` x `, `"folds"`, or `"seeds and the rest"`.
        share: From 0 to 1; the shares add up to 1.
        low, high: The 95 % interval, NaN where nothing can be said.
    """

    term: str
    share: float
    low: float
    high: float


def is_complete(factors: Mapping[str, Array]) -> bool:
    """Whether every combination of the factors' values is there exactly once.

    Example:
        >>> is_complete({"units": np.array([0, 0, 1, 1]), "activation": np.array([0, 1, 0, 1])})
        True
    """
    codes = [np.unique(values, return_inverse=True)[1] for values in factors.values()]
    if not codes:
        return False
    sizes = [int(code.max()) + 1 for code in codes]
    cells = np.ravel_multi_index(codes, sizes)
    return len(cells) == np.prod(sizes) and len(np.unique(cells)) == len(cells)


def pairs_in_order(names: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs; units with activation first.

    Example:
        >>> pairs_in_order(["units", "dropout", "activation"])
        [('units', 'activation'), ('units', 'dropout'), ('dropout', 'activation')]
    """

    def place(pair: tuple[str, str]) -> bool:
        kinds = {name.rpartition("_")[0] if name.rpartition("_")[2].isdigit() else name for name in pair}
        return kinds != {"units", "activation"}

    return sorted(itertools.combinations(names, 2), key=place)


def variance_shares(factors: Mapping[str, Array], values: Array) -> tuple[Share, ...]:
    """The variation in score by hyperparameter, by pairs of them, by folds, and by what is left.

    The share is omega squared, ``(SS - df * MS_rest) / (SS_total + MS_rest)``, no less than 0: eta squared,
    ``SS / SS_total``, without what noise alone would give it. What is left holds the seeds, the interplay of folds with
    hyperparameters, and that of three and more hyperparameters. On a complete grid the terms are orthogonal, and type
    I, II and III sums of squares are the same.

    The interval inverts the noncentral F distribution: the noncentralities under which the term's F is at the 97.5 %
    and the 2.5 % point. It takes errors as normal, equally spread and independent; folds that share training rows are
    not quite that.

    Args:
        factors: For each hyperparameter that varies `(trial,)` numbers of its values; a complete grid.
        values: `(trial, cell)` scores on each fold and repeat, all finite.

    Returns:
        The shares: hyperparameters, then pairs, then folds and the rest. Without any rest to test against (one split,
        two hyperparameters) pairs go into the rest.

    Raises:
        ValueError: The grid is not complete.

    Source: Hays, "Statistics" (1963) for omega squared; Steiger, "Beyond the F test", Psychological Methods 9 (2004)
        for the intervals. statsmodels' `anova_lm` is the oracle of the tests.
    """
    if not is_complete(factors):
        raise ValueError("the grid is not complete")
    names = list(factors)
    codes = {name: np.unique(factors[name], return_inverse=True)[1] for name in names}
    sizes = [int(codes[name].max()) + 1 for name in names]
    cells = values.shape[1]
    grid = np.empty((*sizes, cells))
    grid[tuple(codes[name] for name in names)] = values
    centred = grid - grid.mean()
    total = float((centred**2).sum())
    n = values.size

    effects: dict[str, tuple[float, int]] = {}
    singles = {}
    for axis, name in enumerate(names):
        singles[name] = _margin(centred, (axis,))
        effects[name] = (float((singles[name] ** 2).sum()) * n / sizes[axis], sizes[axis] - 1)
    folds = (float((_margin(centred, (len(names),)) ** 2).sum()) * n / cells, cells - 1)
    joint: dict[str, tuple[float, int]] = {}
    for first, second in pairs_in_order(names):
        axes = names.index(first), names.index(second)
        both = _margin(centred, axes) - _margin(centred, axes[:1]) - _margin(centred, axes[1:])
        df = (sizes[axes[0]] - 1) * (sizes[axes[1]] - 1)
        joint[f"{first} x {second}"] = (float((both**2).sum()) * n / (sizes[axes[0]] * sizes[axes[1]]), df)
    used = folds[1] + sum(df for _, df in effects.values())
    if n - 1 - used - sum(df for _, df in joint.values()) >= 1:
        effects |= joint
    if cells > 1:
        effects[FOLDS] = folds
    df_rest = n - 1 - sum(df for _, df in effects.values())
    ss_rest = max(0.0, total - sum(ss for ss, _ in effects.values()))
    if total <= 0:
        return tuple(Share(term=name, share=0.0, low=0.0, high=0.0) for name in (*effects, REST))
    ms_rest = ss_rest / df_rest if df_rest > 0 else 0.0
    found = [_omega(name, ss, df, ms_rest, df_rest, total, n) for name, (ss, df) in effects.items()]
    left = max(0.0, 1 - sum(one.share for one in found))
    low, high = _rest_interval(ss_rest, df_rest, total)
    return (*found, Share(term=REST, share=left, low=min(low, left), high=max(high, left)))


def _margin(centred: Array, axes: tuple[int, ...]) -> Array:
    """The mean over all axes but these, with those kept as 1."""
    others = tuple(axis for axis in range(centred.ndim) if axis not in axes)
    return np.asarray(centred.mean(axis=others, keepdims=True)) if others else centred


def _omega(name: str, ss: float, df: int, ms_rest: float, df_rest: int, total: float, n: int) -> Share:
    whole = total + ms_rest
    share = float(np.clip((ss - df * ms_rest) / whole, 0.0, 1.0))
    if df_rest < 1 or df < 1:
        return Share(term=name, share=share, low=float("nan"), high=float("nan"))
    if ms_rest <= 1e-14 * total:
        return Share(term=name, share=share, low=share, high=share)
    f = ss / df / ms_rest
    bounds = []
    for probability in (0.975, 0.025):
        reached = special.fdtr(df, df_rest, f) > probability
        noncentrality = special.ncfdtrinc(df, df_rest, probability, f) if reached else 0.0
        bounds.append(
            float(np.clip(noncentrality * ms_rest / whole, 0.0, 1.0)) if np.isfinite(noncentrality) else share
        )
    return Share(term=name, share=share, low=min(bounds[0], share), high=max(bounds[1], share))


def _rest_interval(ss_rest: float, df_rest: int, total: float) -> tuple[float, float]:
    """From the chi-squared distribution of the rest's sum of squares."""
    if df_rest < 1:
        return float("nan"), float("nan")
    share = ss_rest / total
    low = share * df_rest / special.chdtri(df_rest, 0.025)
    high = share * df_rest / special.chdtri(df_rest, 0.975)
    return float(min(low, 1.0)), float(min(high, 1.0))
