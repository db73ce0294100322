"""How well each feature alone predicts the target: a feature that does so perfectly may have been made from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from unitune.records import Array, Task

ROWS = 2_000
FEATURES = 500
_BINS = 32


def best_single_feature(x: Array | Mapping[str, Array] | tuple[Array, ...], y: Array, task: Task) -> tuple[str, float]:
    """The feature that predicts the target best by itself, and how well.

    For classes: the feature is cut into 32 quantile bins (or its own values, where there are no more), each half of the
    rows predicts the other half by the majority in a bin; or each row predicts its neighbour in the order of the
    feature, if that is better. The accuracy is rescaled to ``(a - m) / (1 - m)``, where `m` is the share of the largest
    class. For numbers: the squared rank correlation. At most 2,000 rows are looked at,
    evenly spread, and nothing where there are more than 500 features.

    Args:
        x: `(row, feature)`, a tuple of such for several inputs, or from a column's name to `(row,)` values of any
            kind.
        y: `(row,)` class numbers, or `(row, output)` numbers.
        task: The task.

    Returns:
        Its name and a score of at most 1; no name and NaN where there is nothing to look at.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(200, 2))
        >>> best_single_feature(x, (x[:, 1] > 0).astype(int), "binary")[0]
        'feature 2'
    """
    if isinstance(x, Mapping):
        columns = {str(name): np.asarray(values) for name, values in x.items()}
    else:
        parts = [np.asarray(part) for part in (x if isinstance(x, tuple) else (x,))]
        if any(part.ndim < 2 for part in parts) or sum(int(np.prod(part.shape[1:])) for part in parts) > FEATURES:
            return "", float("nan")
        columns = {}
        for number, part in enumerate(parts, 1):
            of_input = f" of input {number}" if len(parts) > 1 else ""
            flat = part.reshape(len(part), -1)
            columns |= {f"feature {i + 1}{of_input}": flat[:, i] for i in range(flat.shape[1])}
    target = np.asarray(y)
    if not 1 <= len(columns) <= FEATURES or len(target) < 4:
        return "", float("nan")
    rows = np.unique(np.linspace(0, len(target) - 1, min(ROWS, len(target))).astype(int))
    target = target[rows]
    scored = {}
    for name, values in columns.items():
        if task == "regression":
            scored[name] = _correlation(values[rows], target.reshape(len(rows), -1))
        else:
            scored[name] = _accuracy(values[rows], target.reshape(-1).astype(int))
    best = max(scored, key=lambda name: scored[name])
    return best, scored[best]


def _numbers(values: Array) -> Array | None:
    if values.dtype.kind not in "fiub":
        return None
    return values.astype(np.float64)


def _correlation(values: Array, y: Array) -> float:
    numbers = _numbers(values)
    if numbers is None:
        return 0.0
    ranks = pd.DataFrame(np.column_stack([numbers, y])).rank().to_numpy()
    ranks = ranks[np.isfinite(ranks).all(axis=1)]
    if len(ranks) < 4 or (ranks.std(axis=0) == 0).any():
        return 0.0
    return float(np.square(np.corrcoef(ranks.T)[0, 1:]).max())


def _accuracy(values: Array, y: Array) -> float:
    numbers = _numbers(values)
    codes = pd.factorize(values if numbers is None else numbers)[0]
    neighbours = 0
    if numbers is not None and codes.max(initial=0) >= _BINS:
        in_order = y[np.argsort(numbers, kind="stable")]
        neighbours = int((in_order[1:] == in_order[:-1]).sum())
        edges = np.nanquantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1])
        codes = np.where(np.isfinite(numbers), np.searchsorted(edges, numbers), _BINS)
    codes = codes - codes.min(initial=0)
    classes = int(y.max()) + 1
    # Alternate rows of each class, so that both halves have all of them, whatever the order of the rows.
    order = np.argsort(y, kind="stable")
    half = np.zeros(len(y), dtype=bool)
    half[order[::2]] = True
    right = 0
    for fit, judged in ((half, ~half), (~half, half)):
        counts = np.zeros((int(codes.max()) + 1, classes))
        np.add.at(counts, (codes[fit], y[fit]), 1)
        majority = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), np.bincount(y[fit]).argmax())
        right += int((majority[codes[judged]] == y[judged]).sum())
    largest = np.bincount(y).max() / len(y)
    accuracy = max(right / len(y), neighbours / (len(y) - 1))
    return 0.0 if largest == 1 else float((accuracy - largest) / (1 - largest))
