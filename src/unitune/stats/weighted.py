"""Metrics of many members under many weightings of the rows: what a bootstrap needs.

A resample of rows is a vector of multiplicities. Nearly every metric is a function of weighted sums over rows, so all
members and all resamples cost one matrix product; AUC sorts each member's rows once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unitune.records import Array, Task

_EPSILON = 1e-7  # as in `unitune.models.metrics`

Scorer = Callable[[Array], Array]


def scorer(metric: str, task: Task, y: Array, predictions: Array) -> Scorer:
    """A function from weights `(bag, row)` to the metric `(bag, member)`.

    Args:
        metric: A name of `unitune.models.metrics`, defined as there.
        task: The task.
        y: `(row,)` class numbers, or `(row, output)`.
        predictions: `(member, row, output)` probabilities or numbers.

    Returns:
        The function; NaN where the metric is undefined under the weights.

    Raises:
        ValueError: The metric is unknown.

    Example:
        >>> score = scorer("accuracy", "binary", np.array([0, 1]), np.array([[[0.1], [0.2]]]))
        >>> score(np.array([[1.0, 1.0], [3.0, 1.0]])).ravel()
        array([0.5 , 0.75])
    """
    values = np.asarray(predictions, dtype=np.float64)
    if task == "regression":
        return _numbers(metric, np.asarray(y, dtype=np.float64).reshape(len(y), -1), values)
    truth = np.asarray(y).reshape(len(y)).astype(np.int64)
    return _classes(metric, truth, values, binary=task == "binary")


def _mean_over_rows(features: Array) -> Scorer:
    """Weighted means of `(member, row)` features."""
    columns = np.ascontiguousarray(features.T)

    def score(weights: Array) -> Array:
        total = weights.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weights @ columns) / total)

    return score


def _classes(metric: str, truth: Array, p: Array, *, binary: bool) -> Scorer:
    if metric in ("log_loss", "loss"):
        right = np.where(truth == 1, p[..., 0], 1 - p[..., 0]) if binary else p[:, np.arange(len(truth)), truth]
        return _mean_over_rows(-np.log(np.clip(right, _EPSILON, 1 - _EPSILON)))
    if metric == "auc":
        return _macro_auc(truth, p, binary=binary)
    chosen = (p[..., 0] > 0.5).astype(np.int64) if binary else p.argmax(axis=-1)
    if metric == "accuracy":
        return _mean_over_rows((chosen == truth).astype(np.float64))
    if metric not in ("f1", "balanced_accuracy"):
        raise ValueError(f"unknown metric {metric!r}")
    n_classes = 2 if binary else p.shape[-1]

    def score(weights: Array) -> Array:
        shares, defined = [], []
        for label in range(n_classes):
            if metric == "f1" and binary and label == 0:
                continue
            is_label, is_chosen = truth == label, chosen == label
            support = weights[:, is_label].sum(axis=1, keepdims=True)
            hit = weights[:, is_label] @ is_chosen[:, is_label].T.astype(np.float64)
            if metric == "f1":
                both = support + weights @ is_chosen.T.astype(np.float64)
                shares.append(np.where(both > 0, 2 * hit / np.where(both > 0, both, 1), 0.0))
                defined.append(both > 0)
            else:
                shares.append(np.where(support > 0, hit / np.where(support > 0, support, 1), 0.0))
                defined.append(np.broadcast_to(support > 0, hit.shape))
        count = np.maximum(np.sum(defined, axis=0), 1)
        result = np.sum(shares, axis=0) / count
        result[weights.sum(axis=1) <= 0] = np.nan
        return np.asarray(result)

    return score


def _macro_auc(truth: Array, p: Array, *, binary: bool) -> Scorer:
    if binary:
        return _auc(truth == 1, p[..., 0])
    parts = [_auc(truth == label, p[..., label]) for label in range(p.shape[-1])]

    def score(weights: Array) -> Array:
        areas = np.stack([part(weights) for part in parts])
        known = ~np.isnan(areas)
        count = known.sum(axis=0)
        total = np.where(known, areas, 0.0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    return score


def _auc(positive: Array, scores: Array) -> Scorer:
    """The weighted share of pairs of a positive and a negative row in the right order; ties count half."""
    up, down = np.flatnonzero(positive), np.flatnonzero(~positive)
    members = []
    for values in scores:
        order = np.argsort(values[down], kind="stable")
        ranked = values[down][order]
        below = np.searchsorted(ranked, values[up], side="left")
        at_most = np.searchsorted(ranked, values[up], side="right")
        members.append((order, below, None if np.array_equal(below, at_most) else at_most))

    def score(weights: Array) -> Array:
        positives, negatives = weights[:, up], weights[:, down]
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        result = np.empty((len(weights), len(members)))
        sums = np.zeros((len(weights), len(down) + 1))
        for index, (order, below, at_most) in enumerate(members):
            np.cumsum(negatives[:, order], axis=1, out=sums[:, 1:])
            won = sums[:, below]
            if at_most is not None:
                won = 0.5 * (won + sums[:, at_most])
            result[:, index] = np.einsum("br,br->b", positives, won)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(pairs[:, None] > 0, result / pairs[:, None], np.nan))

    return score


def _numbers(metric: str, y: Array, predictions: Array) -> Scorer:
    error = predictions - y
    if metric == "mae":
        return _mean_over_rows(np.abs(error).mean(axis=-1))
    if metric == "loss":
        return _mean_over_rows((error**2).mean(axis=-1))
    if metric not in ("rmse", "r2"):
        raise ValueError(f"unknown metric {metric!r}")
    squared = [_mean_over_rows(error[..., output] ** 2) for output in range(error.shape[-1])]
    # Centred, so that the difference of squares loses no digits.
    centred = y - y.mean(axis=0)

    def score(weights: Array) -> Array:
        parts = []
        for output, mean_square in enumerate(squared):
            mse = mean_square(weights)
            if metric == "rmse":
                parts.append(np.sqrt(mse))
                continue
            column = centred[:, output]
            with np.errstate(invalid="ignore", divide="ignore"):
                share = weights / weights.sum(axis=1, keepdims=True)
                variance = share @ column**2 - (share @ column) ** 2
                parts.append(np.where(variance[:, None] > 1e-14, 1 - mse / variance[:, None], np.nan))
        return np.asarray(np.mean(parts, axis=0))

    return score
