"""Losses and per-epoch metrics of stacked predictions: Keras's own functions, which reduce the last axis only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from unitune.engine.lift.base import Key, Tensor, Unfusable

# Losses that Keras computes row by row over the last axis.
_ROWWISE = {
    "binary_crossentropy": "BinaryCrossentropy",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "categorical_focal_crossentropy": "CategoricalFocalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "mean_squared_error": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "huber": "Huber",
    "log_cosh": "LogCosh",
    "poisson": "Poisson",
    "kl_divergence": "KLDivergence",
    "hinge": "Hinge",
    "squared_hinge": "SquaredHinge",
    "categorical_hinge": "CategoricalHinge",
}
_SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "logcosh": "log_cosh",
}
_CLASSES = {class_name: name for name, class_name in _ROWWISE.items()}
METRICS = frozenset({"accuracy", "mae", "mse", "rmse"})
_METRIC_NAMES = {
    "acc": "accuracy",
    "accuracy": "accuracy",
    "mae": "mae",
    "mean_absolute_error": "mae",
    "mse": "mse",
    "mean_squared_error": "mse",
    "rmse": "rmse",
    "root_mean_squared_error": "rmse",
}


def loss_key(loss: Any) -> Key:
    """A loss as `(name, settings)`.

    Raises:
        Unfusable: If Keras has no row-wise form of it.
    """
    settings: dict[str, Any] = {}
    if isinstance(loss, str):
        name = _CLASSES.get(loss, loss)
    elif hasattr(loss, "get_config") and type(loss).__name__ in _CLASSES:
        name = _CLASSES[type(loss).__name__]
        settings = {k: v for k, v in loss.get_config().items() if k not in ("name", "dtype", "fn")}
        if settings.pop("reduction", "sum_over_batch_size") != "sum_over_batch_size":
            raise Unfusable(f"`{type(loss).__name__}` with another reduction than the mean has no fused form")
        if settings.get("ignore_class") is not None:
            raise Unfusable("`ignore_class` has no fused form")
        if settings.get("axis", -1) != -1:
            raise Unfusable("a loss over another axis than the last has no fused form")
    else:
        name = getattr(loss, "__name__", type(loss).__name__)
        if not (getattr(loss, "__module__", "") or "").startswith("keras."):
            raise Unfusable(f"the loss `{name}` is a function of your own")
    name = _SHORT.get(name, name)
    if name not in _ROWWISE:
        raise Unfusable(f"the loss `{name}` has no fused form")
    return (name, tuple(sorted(settings.items())))


def metric_name(metric: str) -> str:
    """The metric's canonical name.

    Raises:
        Unfusable: If it is not computed per epoch in programs.
    """
    try:
        return _METRIC_NAMES[metric]
    except (KeyError, TypeError):
        raise Unfusable(f"the metric `{metric}` has no fused form") from None


def loss_function(key: Key) -> Callable[[Tensor, Tensor], Tensor]:
    """`f(target, prediction)` on `(member, batch, output)`, giving `(member, batch)`."""
    import keras

    name, settings = key
    loss = getattr(keras.losses, _ROWWISE[name])(**dict(settings))
    return loss.call  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class RowMetric:
    """A metric as a mean over rows: `rows(target, prediction)` gives `(member, batch)`; then a root, or not."""

    rows: Callable[[Tensor, Tensor], Tensor]
    root: bool = False


def metric_functions(names: Sequence[str], outputs: int) -> list[RowMetric]:
    """The metrics of a program. What accuracy means follows from the shapes of target and output, as in Keras."""
    return [_metric(name, outputs) for name in names]


def _metric(name: str, outputs: int) -> RowMetric:
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
    return RowMetric(rows=functions[name], root=name == "rmse")
