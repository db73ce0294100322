"""The order of the rows in each epoch: the same for every engine, from the member's seed alone."""

from __future__ import annotations

import numpy as np

from unitune.records import Array


def epoch_order(n_rows: int, seed: int, epoch: int) -> Array:
    """The permutation of the training rows that a member with this seed sees in an epoch (counted from 0).

    Returns:
        `(row,)` int64, each row number once.

    Example:
        >>> sorted(epoch_order(4, seed=0, epoch=2).tolist())
        [0, 1, 2, 3]
    """
    stream = np.random.SeedSequence((seed, 1, epoch))
    return np.random.Generator(np.random.Philox(stream)).permutation(n_rows)
