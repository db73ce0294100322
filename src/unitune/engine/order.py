"""The order of the rows in each epoch: the same for every engine, from the member's seed alone."""

from __future__ import annotations

import numpy as np

from unitune.models.blueprint import Training
from unitune.records import Array


def order_of(training: Training, n_rows: int, seed: int, epoch: int) -> Array:
    """The rows in the order in which a member is trained with them in an epoch, `(row,)`."""
    if training.shuffle == "batch":
        size = training.batch_size
        batches = epoch_order(n_rows // size, seed, epoch)
        return np.asarray(batches[:, None] * size + np.arange(size)).reshape(-1)
    return epoch_order(n_rows, seed, epoch) if training.shuffle else np.arange(n_rows)


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
