"""Shares of the variation in score: their record, and the order of terms."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
