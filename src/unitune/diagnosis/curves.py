"""Measures of learning curves `(member, epoch)` that end at different epochs, NaN from there on."""

from __future__ import annotations

import numpy as np

from unitune.records import Array

SMOOTHED_FROM = 8
"""Epochs from which on a curve is smoothed; in shorter ones an epoch is too much of the whole."""


def smooth(curves: Array, n_epochs: Array) -> Array:
    """The mean of each epoch with its two neighbours, in curves of 8 epochs or more.

    Example:
        >>> smooth(np.array([[4.0, 1, 1, 4, 1, 1, 4, 1]]), np.array([8]))[0].tolist()
        [2.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.5]
    """
    padded = np.pad(curves, ((0, 0), (1, 1)), constant_values=np.nan)
    stack = np.stack([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]])
    known = np.isfinite(stack)
    total = np.where(known, stack, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    smoothed = np.where(np.isfinite(curves), total, np.nan)
    result: Array = np.where((np.asarray(n_epochs) >= SMOOTHED_FROM)[:, None], smoothed, curves)
    return result


def at(curves: Array, epoch: Array) -> Array:
    """Each curve's value at an epoch counted from 1; NaN where the curve has none.

    Example:
        >>> at(np.array([[3.0, 2.0], [5.0, 4.0]]), np.array([2, 0]))
        array([ 2., nan])
    """
    epoch = np.asarray(epoch)
    inside = (epoch >= 1) & (epoch <= curves.shape[1])
    if not curves.shape[1]:
        return np.full(len(curves), np.nan)
    taken = np.take_along_axis(curves, np.clip(epoch - 1, 0, curves.shape[1] - 1)[:, None], axis=1)[:, 0]
    return np.where(inside, taken, np.nan)


def lowest(curves: Array) -> Array:
    """The epoch, counted from 1, of each curve's minimum; 0 where nothing is finite."""
    if not curves.shape[1]:
        return np.zeros(len(curves), dtype=int)
    filled = np.where(np.isfinite(curves), curves, np.inf)
    return np.where(np.isfinite(filled).any(axis=1), filled.argmin(axis=1) + 1, 0)


def movement(curves: Array) -> tuple[Array, Array]:
    """The sum of all rises from epoch to epoch, and that of all falls, both positive.

    Example:
        >>> [part.tolist() for part in movement(np.array([[3.0, 1.0, 2.0, np.nan]]))]
        [[1.0], [2.0]]
    """
    steps = np.diff(curves, axis=1)
    steps = np.where(np.isfinite(steps), steps, 0.0)
    return np.maximum(steps, 0).sum(axis=1), np.maximum(-steps, 0).sum(axis=1)


def medians(values: Array) -> Array:
    """The median of each row's finite numbers; NaN where there is none.

    Example:
        >>> medians(np.array([[1.0, 9.0, np.nan, 2.0], [np.nan] * 4])).tolist()
        [2.0, nan]
    """
    known = np.isfinite(values)
    count = known.sum(axis=1)
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    rows = np.arange(len(values))
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, values.shape[1] - 1)
    middle = np.where(count > 0, ordered[rows, low], 0.0) + np.where(count > 0, ordered[rows, high], 0.0)
    result: Array = np.where(count > 0, middle / 2, np.nan)
    return result


def ratio(above: Array, below: Array) -> Array:
    """`above / below`, NaN where `below` is not positive."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))
    result: Array = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return result
