"""Metrics of many members at once: vectorised over the leading axis, with scikit-learn's definitions.

Class metrics take probabilities. Losses clip them to `[1e-7, 1 - 1e-7]`, as Keras does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from unitune.errors import OptionError, suggest
from unitune.records import Array, Direction, Task

_EPSILON = 1e-7


@dataclass(frozen=True)
class Metric:
    """A metric: its name, which direction is better, and the tasks that have it."""

    name: str
    direction: Direction
    tasks: tuple[Task, ...]


_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_NUMBERS: tuple[Task, ...] = ("regression",)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "maximize", _CLASSES),
        Metric("auc", "maximize", _CLASSES),
        Metric("f1", "maximize", _CLASSES),
        Metric("balanced_accuracy", "maximize", _CLASSES),
        Metric("log_loss", "minimize", _CLASSES),
        Metric("mae", "minimize", _NUMBERS),
        Metric("rmse", "minimize", _NUMBERS),
        Metric("r2", "maximize", _NUMBERS),
        Metric("loss", "minimize", (*_CLASSES, *_NUMBERS)),
    )
}
"""All metrics by name. `loss` is the log loss of classes and the mean squared error of a regression."""

_ALIASES = {
    "acc": "accuracy",
    "roc_auc": "auc",
    "f1_score": "f1",
    "logloss": "log_loss",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
}

ATTAINABLE = {
    **dict.fromkeys(("accuracy", "auc", "f1", "balanced_accuracy"), (0.0, 1.0)),
    **dict.fromkeys(("log_loss", "mae", "rmse", "loss"), (0.0, np.inf)),
    "r2": (-np.inf, 1.0),
}
"""The lowest and the highest value that a metric can take."""


def metric(name: str, task: Task | None = None) -> Metric:
    """The metric of a name; `val_accuracy`, `roc_auc` and the like are understood.

    Raises:
        OptionError: The name is unknown, or the task does not have the metric.

    Example:
        >>> metric("val_auc").name
        'auc'
    """
    base = name.lower().removeprefix("val_")
    found = METRICS.get(_ALIASES.get(base, base))
    known = names(task) if task is not None else tuple(METRICS)
    if found is None:
        raise OptionError("a metric must be one that Unitune knows", f"got `{name}`", suggest(base, known))
    if task is not None and task not in found.tasks:
        raise OptionError(f"`{found.name}` is no metric of a {task} task", "", suggest(base, known))
    return found


def names(task: Task) -> tuple[str, ...]:
    """The metrics that a task has.

    Example:
        >>> names("regression")
        ('mae', 'rmse', 'r2', 'loss')
    """
    return tuple(entry.name for entry in METRICS.values() if task in entry.tasks)


def evaluate(
    names: Iterable[str], y: Array, predictions: Array, weights: Array | None = None, *, task: Task | None = None
) -> dict[str, Array]:
    """Metrics of several members on the same rows.

    Args:
        names: Of `METRICS`.
        y: Binary `(row, 1)` or `(row,)` in {0, 1}; multiclass `(row,)` class numbers; regression `(row, output)`.
        predictions: `(member, row, output)`: probabilities of the classes, or numbers.
        weights: `(row,)`, 0 or more; None weighs all rows alike.
        task: By default inferred: one output column per class number is multiclass; 0 and 1 with predictions from 0 to
            1 is binary; anything else is a regression. Only `loss` needs it where names leave no doubt.

    Returns:
        From each name to `(member,)` float64. NaN where a member's predictions hold NaN, and where a metric is
        undefined: without rows or weight; AUC where only one class is present; R² of a single row.

    Raises:
        OptionError: A name is unknown.

    Example:
        >>> y = np.array([[0.0], [1.0]])
        >>> evaluate(["accuracy", "auc"], y, np.array([[[0.2], [0.9]], [[0.6], [0.4]]]))
        {'accuracy': array([1., 0.]), 'auc': array([1., 0.])}
    """
    wanted = [metric(name) for name in names]
    values = np.asarray(predictions, dtype=np.float64)
    target = np.asarray(y)
    if task is None:
        task = _infer(wanted, target, values)
    rows = target.shape[0]
    weight = np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
    undefined = np.isnan(values).any(axis=(1, 2))
    if rows == 0 or not weight.sum() > 0:
        return {entry.name: np.full(values.shape[0], np.nan) for entry in wanted}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if task == "regression":
            results = _regression(wanted, target.reshape(rows, -1).astype(np.float64), values, weight)
        else:
            results = _classes(wanted, target.reshape(rows), values, weight, binary=task == "binary")
    for result in results.values():
        result[undefined] = np.nan
    return results


def _infer(wanted: list[Metric], y: Array, predictions: Array) -> Task:
    tasks = [entry.tasks for entry in wanted if len(entry.tasks) < 3]
    if tasks and tasks[0] == _NUMBERS:
        return "regression"
    if predictions.shape[-1] > 1 and y.ndim == 1:
        return "multiclass"
    if tasks:
        return "binary"
    is_zero_one = bool(np.isin(y, (0, 1)).all())
    inside = bool(np.nanmin(predictions, initial=0) >= 0 and np.nanmax(predictions, initial=0) <= 1)
    return "binary" if predictions.shape[-1] == 1 and is_zero_one and inside else "regression"


def _classes(wanted: list[Metric], y: Array, predictions: Array, weight: Array, *, binary: bool) -> dict[str, Array]:
    """Metrics of classes; `y` `(row,)`."""
    truth = y.astype(np.int64)
    n_classes = 2 if binary else predictions.shape[-1]
    total = weight.sum()
    needed = {entry.name for entry in wanted}
    results: dict[str, Array] = {}
    chosen = (predictions[..., 0] > 0.5).astype(np.int64) if binary else predictions.argmax(axis=-1)
    if "accuracy" in needed:
        results["accuracy"] = _weighted_sum(chosen == truth, weight) / total
    if needed & {"f1", "balanced_accuracy"}:
        hit, support, claimed = _counts(truth, chosen, weight, n_classes)
        if "f1" in needed:
            results["f1"] = _f1(hit, support, claimed, binary=binary)
        if "balanced_accuracy" in needed:
            present = support > 0
            results["balanced_accuracy"] = (hit[:, present] / support[present]).mean(axis=1)
    if needed & {"log_loss", "loss"}:
        if binary:
            right = np.where(truth == 1, predictions[..., 0], 1.0 - predictions[..., 0])
        else:
            right = predictions[:, np.arange(len(truth)), truth]
        value = -_weighted_sum(np.log(np.clip(right, _EPSILON, 1.0 - _EPSILON)), weight) / total
        for name in needed & {"log_loss", "loss"}:
            results[name] = value.copy()
    if "auc" in needed:
        results["auc"] = _macro_auc(truth, predictions, weight, binary=binary)
    return {entry.name: results[entry.name] for entry in wanted}


def _weighted_sum(values: Array, weight: Array) -> Array:
    """Over the rows, `(member,)`. Not a matrix product, whose last bit depends on how many members there are."""
    return np.asarray((np.ascontiguousarray(values) * weight).sum(axis=-1))


def _counts(truth: Array, chosen: Array, weight: Array, n_classes: int) -> tuple[Array, Array, Array]:
    """Weights of the rows by class: rightly chosen `(member, class)`, present `(class,)`, chosen `(member, class)`."""
    members = chosen.shape[0]
    support = np.bincount(truth, weight, n_classes)
    cell = chosen + np.arange(members)[:, None] * n_classes
    spread = np.broadcast_to(weight, chosen.shape)
    claimed = np.bincount(cell.ravel(), spread.ravel(), members * n_classes).reshape(members, n_classes)
    right = np.where(chosen == truth, spread, 0.0)
    hit = np.bincount(cell.ravel(), right.ravel(), members * n_classes).reshape(members, n_classes)
    return hit, support, claimed


def _f1(hit: Array, support: Array, claimed: Array, *, binary: bool) -> Array:
    """F1 of the positive class, or the mean over the classes that are present or were chosen."""
    both = support + claimed
    f1 = np.where(both > 0, 2.0 * hit / both, 0.0)
    if binary:
        return np.asarray(f1[:, 1].copy())
    return np.asarray(f1.sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1))


def _macro_auc(truth: Array, predictions: Array, weight: Array, *, binary: bool) -> Array:
    """Area under the ROC curve; of several classes the mean of each against the rest, over the classes present."""
    if binary:
        return _auc(truth == 1, predictions[..., 0], weight)
    areas = [_auc(truth == number, predictions[..., number], weight) for number in range(predictions.shape[-1])]
    stacked = np.stack(areas)
    defined = ~np.isnan(stacked)
    return np.asarray(np.where(defined, stacked, 0.0).sum(axis=0) / defined.sum(axis=0))


def _auc(positive: Array, scores: Array, weight: Array) -> Array:
    """The weighted share of pairs of a positive and a negative row that are in the right order; ties count half."""
    up, down = np.where(positive, weight, 0.0), np.where(positive, 0.0, weight)
    pairs = up.sum() * down.sum()
    if not pairs > 0:
        return np.full(scores.shape[0], np.nan)
    order = np.argsort(scores, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    below = np.cumsum(down[order], axis=1)
    before = np.concatenate([np.zeros((len(scores), 1)), below[:, :-1]], axis=1)
    new = np.concatenate([np.ones((len(scores), 1), dtype=bool), ranked[:, 1:] != ranked[:, :-1]], axis=1)
    last = np.concatenate([new[:, 1:], np.ones((len(scores), 1), dtype=bool)], axis=1)
    # Both sums only grow along a row, so the value at the start (end) of each run of ties spreads by max (min).
    less = np.maximum.accumulate(np.where(new, before, 0.0), axis=1)
    at_most = np.minimum.accumulate(np.where(last, below, np.inf)[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((up[order] * 0.5 * (less + at_most)).sum(axis=1) / pairs)


def _regression(wanted: list[Metric], y: Array, predictions: Array, weight: Array) -> dict[str, Array]:
    """Metrics of numbers; `y` `(row, output)`. Each is the mean over the outputs."""
    share = weight / weight.sum()
    error = predictions - y
    squared = np.einsum("mro,mro,r->mo", error, error, share)
    formulas: dict[str, Callable[[], Array]] = {
        "loss": lambda: squared.mean(axis=1),
        "rmse": lambda: np.sqrt(squared).mean(axis=1),
        "mae": lambda: np.einsum("mro,r->mo", np.abs(error), share).mean(axis=1),
        "r2": lambda: _r2(y, squared, share),
    }
    return {entry.name: np.asarray(formulas[entry.name]()) for entry in wanted}


def _r2(y: Array, squared: Array, share: Array) -> Array:
    """1 - squared error / variance. A constant target gives 1 where it is met exactly and else 0 (scikit-learn)."""
    if len(y) < 2:
        return np.full(len(squared), np.nan)
    variance = share @ (y - share @ y) ** 2
    constant = variance == 0
    ratio = squared / np.where(constant, 1.0, variance)
    scores = np.where(constant, np.where(squared == 0, 1.0, 0.0), 1.0 - ratio)
    return np.asarray(scores.mean(axis=1))
