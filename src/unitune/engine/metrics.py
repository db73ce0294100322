"""Per-epoch metrics of stacked predictions: sums over rows, and what Keras makes of them at the end of an epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from unitune.engine.lift.base import Key, Tensor, Unfusable, folded
from unitune.engine.losses import as_made
from unitune.engine.own_scores import OWN, own_key, own_rows
from unitune.models.blueprint import MetricSpec

_NAMES = {
    "acc": "accuracy",
    "accuracy": "accuracy",
    "mae": "mae",
    "mean_absolute_error": "mae",
    "mse": "mse",
    "mean_squared_error": "mse",
    "rmse": "rmse",
    "root_mean_squared_error": "rmse",
}
# Classes of `keras.metrics` that are means of a function of a row.
MEANS = frozenset(
    {
        *("BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy"),
        *("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy"),
        *("BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"),
        *("MeanAbsoluteError", "MeanSquaredError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError"),
        *("CosineSimilarity", "LogCoshError", "Poisson", "KLDivergence"),
        *("Hinge", "SquaredHinge", "CategoricalHinge"),
    }
)
_COUNTED = ("Precision", "Recall", "F1Score", "FBetaScore", "AUC", "RootMeanSquaredError", "R2Score")
OF_ONE_AXIS = frozenset({"F1Score", "FBetaScore", "R2Score"})
"""Those that Keras computes of targets `(row, output)` only."""
# What programs compute of these; anything else in their settings is left to Keras.
_USUAL: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "Precision": {"thresholds": (None, 0.5), "top_k": (None,), "class_id": (None,)},
    "Recall": {"thresholds": (None, 0.5), "top_k": (None,), "class_id": (None,)},
    "F1Score": {"average": ("micro", "macro", "weighted")},
    "FBetaScore": {"average": ("micro", "macro", "weighted")},
    "R2Score": {"class_aggregation": ("uniform_average",), "num_regressors": (0,)},
    "AUC": {
        "summation_method": ("interpolation",),
        "curve": ("ROC", "PR"),
        "multi_label": (False,),
        "num_labels": (None,),
        "label_weights": (None,),
        "from_logits": (False,),
        "thresholds": (None,),
    },
    "CosineSimilarity": {"axis": (-1,)},
    "CategoricalCrossentropy": {"axis": (-1,)},
    "SparseCategoricalCrossentropy": {"axis": (-1,)},
}


def known_as(name: str) -> str:
    """The name under which programs know a metric that Keras logs under this one."""
    return _NAMES.get(name, name)


def metric_key(metric: str | MetricSpec) -> Key:
    """What a program must know of a metric; its name comes first.

    Raises:
        Unfusable: If it is not computed per epoch in programs.
    """
    if isinstance(metric, str):
        if metric not in _NAMES:
            raise Unfusable(f"the metric `{metric}` has no fused form")
        return (_NAMES[metric],)
    if inspect.isroutine(metric.given) and not metric.class_name:
        own, key = own_key(metric.given, "metric")
        return (metric.name, own, (("function", key),))
    if metric.reason:
        raise Unfusable(metric.reason)
    if metric.class_name not in (*MEANS, *_COUNTED):
        raise Unfusable(f"the metric `{metric.name}` has no fused form")
    usual = _USUAL.get(metric.class_name, {})
    for name, value in metric.config:
        if (name in usual and value not in usual[name]) or name == "dtype":
            raise Unfusable(f"the metric `{metric.name}` with `{name}={value}` has no fused form")
    return (metric.name, metric.class_name, metric.config)


def metric_name(metric: str | MetricSpec) -> str:
    """The name under which programs know a metric.

    Raises:
        Unfusable: As `metric_key`.
    """
    return str(metric_key(metric)[0])


def check_axes(metric: str | MetricSpec) -> None:
    """Checks that a metric pairs targets `(row,)` with predictions `(row, 1)`; some of Keras's functions do not.

    Raises:
        Unfusable: Keras broadcasts them against each other, or fails.
    """
    if isinstance(metric, MetricSpec) and metric.given is not None:
        raise Unfusable(f"Keras gives the metric `{metric.name}` targets of one axis and predictions of two")
    if isinstance(metric, MetricSpec) and metric.class_name and _crosses_rows(metric.class_name, metric.config):
        raise Unfusable(f"Keras compares all rows in the metric `{metric.name}` of targets with one axis")


@lru_cache(maxsize=256)
def _crosses_rows(class_name: str, config: tuple[Any, ...]) -> bool:
    import keras

    metric = getattr(keras.metrics, class_name)(**dict(config))
    if not hasattr(metric, "_fn"):
        return False
    truth, prediction = np.array([0.0, 1.0, 1.0], "float32"), np.array([[0.2], [0.4], [0.9]], "float32")
    try:
        flat, shaped = (
            keras.ops.convert_to_numpy(metric._fn(one, prediction, **metric._fn_kwargs))
            for one in (truth, truth[:, None])
        )
    except ValueError:
        return True
    return flat.shape != shaped.shape or not np.allclose(flat, shaped)


@dataclass(frozen=True, kw_only=True)
class RowMetric:
    """A metric of the rows of an epoch.

    Attributes:
        rows: `rows(target, prediction)` gives `(member, batch, width)` numbers to be added up over the rows.
        finish: From their sums `(member, width)` and the number of rows to `(member,)`.
        width: How many there are.
        by_batch: Whether a batch counts once, however many rows it has, as Keras has it for single numbers.
    """

    rows: Callable[[Tensor, Tensor], Tensor]
    finish: Callable[[Tensor, Tensor], Tensor]
    width: int = 1
    by_batch: bool = False

    @property
    def minds_mask(self) -> bool:
        """Whether Keras leaves out what a mask of the predictions does."""
        return self.finish is _mean

    @property
    def is_mean(self) -> bool:
        """Whether it is a mean over the rows, or the root of one."""
        return self.finish in (_mean, _root)


def metric_functions(keys: Sequence[Key], outputs: int) -> list[RowMetric]:
    """The metrics of a program. What accuracy means follows from the shapes of target and output, as in Keras."""
    return [_plain(key[0], outputs) if len(key) == 1 else _of_class(key[1], dict(key[2]), outputs) for key in keys]


def _mean(sums: Tensor, n_rows: Tensor) -> Tensor:
    return sums[:, 0] / n_rows


def _root(sums: Tensor, n_rows: Tensor) -> Tensor:
    from keras import ops

    return ops.sqrt(sums[:, 0] / n_rows)


def _single(rows: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """From `(member, batch)` to `(member, batch, 1)`."""
    return lambda target, prediction: rows(target, prediction)[..., None]


def _plain(name: str, outputs: int) -> RowMetric:
    from keras import ops

    def per_row(values: Tensor) -> Tensor:
        return ops.mean(values, axis=-1)

    def accuracy(target: Tensor, prediction: Tensor) -> Tensor:
        # Keras goes by shapes: one output is binary; class numbers are sparse; anything else is one-hot.
        if outputs > 1:
            sparse = len(target.shape) == 1 or target.shape[-1] == 1
            label = ops.cast(ops.reshape(target, (-1,)), "int32") if sparse else ops.argmax(target, axis=-1)
            hit = ops.equal(ops.argmax(prediction, axis=-1), ops.cast(label, "int32")[None])
            return ops.cast(hit, prediction.dtype)
        label = ops.cast(prediction > 0.5, prediction.dtype)
        return per_row(ops.cast(ops.equal(ops.expand_dims(target, 0), label), prediction.dtype))

    def absolute(target: Tensor, prediction: Tensor) -> Tensor:
        return per_row(ops.abs(prediction - ops.expand_dims(target, 0)))

    def squared(target: Tensor, prediction: Tensor) -> Tensor:
        return per_row(ops.square(prediction - ops.expand_dims(target, 0)))

    functions = {"accuracy": accuracy, "mae": absolute, "mse": squared, "rmse": squared}
    return RowMetric(rows=_single(functions[name]), finish=_root if name == "rmse" else _mean)


def _of_class(class_name: str, config: dict[str, Any], outputs: int) -> RowMetric:
    if class_name == OWN:
        by_batch = bool(config.get("batch_mean"))
        own = own_rows(config["function"], batch_mean=by_batch)
        return RowMetric(rows=_single(_on_all(own)), finish=_mean, by_batch=by_batch)
    if class_name == "AUC":
        return _auc(int(config.get("num_thresholds", 200)), config.get("curve", "ROC"))
    if class_name in ("Precision", "Recall"):
        return _of_counts(class_name)
    if class_name in ("F1Score", "FBetaScore"):
        return _f_score(outputs, float(config.get("beta", 1.0)), config.get("threshold"), config["average"])
    if class_name == "R2Score":
        return _r2(outputs)
    if class_name == "RootMeanSquaredError":
        return _plain("rmse", 1)
    return RowMetric(rows=_single(_keras_function(class_name, config)), finish=_mean)


def _on_all(rows: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """With the targets of each member."""
    from keras import ops

    def on_all(target: Tensor, prediction: Tensor) -> Tensor:
        return rows(ops.broadcast_to(target[None], (prediction.shape[0], *target.shape)), prediction)

    return on_all


def _keras_function(class_name: str, config: dict[str, Any]) -> Callable[[Tensor, Tensor], Tensor]:
    """Keras's own function of a row, which wants all rows along one axis."""
    import keras
    from keras import ops

    metric = getattr(keras.metrics, class_name)(**config)
    function, settings = metric._fn, metric._fn_kwargs

    def rows(target: Tensor, prediction: Tensor) -> Tensor:
        members, batch, _ = prediction.shape
        every = ops.broadcast_to(target[None], (members, *target.shape))
        flat = ops.reshape(every, (members * batch, *target.shape[1:]))
        values = function(flat, as_made(class_name, folded(prediction)), **settings)
        return ops.reshape(ops.cast(values, prediction.dtype), (members, batch))

    return rows


def _labels(target: Tensor, prediction: Tensor) -> Tensor:
    """Truth as 0 and 1, `(1, batch, output)`."""
    from keras import ops

    truth = ops.reshape(target, (target.shape[0], -1))
    return ops.cast(ops.cast(truth, "bool"), prediction.dtype)[None]


def _divided(numerator: Tensor, denominator: Tensor) -> Tensor:
    from keras import ops

    return ops.divide_no_nan(numerator, denominator)


def _of_counts(class_name: str) -> RowMetric:
    """Precision or recall at the threshold 0.5: right ones among those that are claimed, or among those that are."""
    from keras import ops

    def rows(target: Tensor, prediction: Tensor) -> Tensor:
        truth = _labels(target, prediction)
        claimed = ops.cast(prediction > 0.5, prediction.dtype)
        of = claimed if class_name == "Precision" else ops.broadcast_to(truth, prediction.shape)
        return ops.stack([ops.sum(truth * claimed, axis=-1), ops.sum(of, axis=-1)], axis=-1)

    return RowMetric(rows=rows, finish=lambda sums, _: _divided(sums[:, 0], sums[:, 1]), width=2)


def _f_score(outputs: int, beta: float, threshold: float | None, average: str) -> RowMetric:
    """The weighted harmonic mean of precision and recall, of all classes or averaged over them."""
    from keras import config, ops

    def rows(target: Tensor, prediction: Tensor) -> Tensor:
        truth = ops.cast(ops.reshape(target, (target.shape[0], -1)), prediction.dtype)[None]
        if threshold is None:  # the likeliest class
            most = ops.max(prediction, axis=-1, keepdims=True)
            claimed = ops.logical_and(prediction >= most, ops.abs(prediction) > 1e-9)
        else:
            claimed = prediction > threshold
        claimed = ops.cast(claimed, prediction.dtype)
        return ops.concatenate([claimed * truth, claimed * (1 - truth), (1 - claimed) * truth], axis=-1)

    def finish(sums: Tensor, _: Tensor) -> Tensor:
        right, wrong, missed = (sums[:, i * outputs : (i + 1) * outputs] for i in range(3))
        if average == "micro":
            right, wrong, missed = (ops.sum(one, axis=1, keepdims=True) for one in (right, wrong, missed))
        tiny = config.epsilon()
        precision, recall = right / (right + wrong + tiny), right / (right + missed + tiny)
        score = precision * recall / (beta**2 * precision + recall + tiny) * (1 + beta**2)
        if average != "weighted":
            return ops.mean(score, axis=1)
        of_class = right + missed
        return ops.sum(score * of_class / (ops.sum(of_class, axis=1, keepdims=True) + tiny), axis=1)

    return RowMetric(rows=rows, finish=finish, width=3 * outputs)


def _r2(outputs: int) -> RowMetric:
    """One less the squared errors as a share of the squared deviations of the targets; the mean over the outputs."""
    from keras import ops

    def rows(target: Tensor, prediction: Tensor) -> Tensor:
        truth = ops.broadcast_to(ops.reshape(target, (1, target.shape[0], -1)), prediction.shape)
        return ops.concatenate([truth, ops.square(truth), ops.square(truth - prediction)], axis=-1)

    def finish(sums: Tensor, n_rows: Tensor) -> Tensor:
        total, squares, errors = (sums[:, i * outputs : (i + 1) * outputs] for i in range(3))
        score = 1 - errors / (squares - total * (total / n_rows))
        return ops.mean(ops.where(ops.isinf(score), 0.0, score), axis=1)

    return RowMetric(rows=rows, finish=finish, width=3 * outputs)


def _auc(thresholds: int, curve: str) -> RowMetric:
    """The area under a curve through evenly spaced thresholds, from counts of predictions between them."""
    from keras import ops

    def rows(target: Tensor, prediction: Tensor) -> Tensor:
        truth = _labels(target, prediction)[..., None]
        bucket = ops.relu(ops.ceil(ops.clip(prediction, 0.0, 1.0) * (thresholds - 1)) - 1)[..., None]
        inside = ops.equal(bucket, ops.arange(thresholds, dtype=prediction.dtype))
        own = ops.cast(inside, prediction.dtype)
        return ops.concatenate([ops.sum(own * truth, axis=2), ops.sum(own * (1 - truth), axis=2)], axis=-1)

    def above(counts: Tensor) -> Tensor:
        """How many lie above each threshold."""
        return ops.flip(ops.cumsum(ops.flip(counts, axis=1), axis=1), axis=1)

    def finish(sums: Tensor, _: Tensor) -> Tensor:
        tp, fp = above(sums[:, :thresholds]), above(sums[:, thresholds:])
        positive, negative = tp[:, :1], fp[:, :1]
        if curve == "ROC":
            x, y = _divided(fp, negative), _divided(tp, positive)
            return ops.sum((x[:, :-1] - x[:, 1:]) * (y[:, :-1] + y[:, 1:]) / 2.0, axis=1)
        # Davis and Goadrich, "The relationship between Precision-Recall and ROC curves", ICML 2006.
        claimed = tp + fp
        d_tp, d_claimed = tp[:, :-1] - tp[:, 1:], claimed[:, :-1] - claimed[:, 1:]
        slope = _divided(d_tp, ops.maximum(d_claimed, 0.0))
        intercept = tp[:, 1:] - slope * claimed[:, 1:]
        both = ops.logical_and(claimed[:, :-1] > 0, claimed[:, 1:] > 0)
        ratio = ops.where(both, _divided(claimed[:, :-1], claimed[:, 1:]), 1.0)
        return ops.sum(_divided(slope * (d_tp + intercept * ops.log(ratio)), positive), axis=1)

    return RowMetric(rows=rows, finish=finish, width=2 * thresholds)
