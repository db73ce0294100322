"""Losses of stacked predictions: Keras's own functions, which reduce the last axis only."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from unitune.engine.lift.base import Key, Tensor, Unfusable
from unitune.engine.own_scores import is_own, own_key, own_rows
from unitune.models.identity import NotPlain, function_name, is_kerass, read

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


def loss_key(loss: Any) -> Key:
    """A loss as `(name, settings)`.

    Raises:
        Unfusable: If Keras has no row-wise form of it, or it is not what Keras's own of that name is.
    """
    settings: dict[str, Any] = {}
    if isinstance(loss, type):
        loss = loss()  # as `compile` does
    if isinstance(loss, str):
        name = _CLASSES.get(loss, loss)
    elif inspect.isroutine(loss):
        found = function_name(loss, "losses")
        if found is None:
            own, key = own_key(loss, "loss")
            return (own, (("function", key),))
        name = found
    elif is_of_own_class(loss):
        return _own_class(loss)
    else:
        try:
            settings = read(loss, "losses", "loss")
        except NotPlain as told:
            raise Unfusable(str(told)) from None
        title = type(loss).__name__
        name = _CLASSES.get(title, title)
        reduction = settings.pop("reduction", "mean")
        if reduction == "sum":
            settings["reduction"] = reduction
        elif reduction not in ("mean", "sum_over_batch_size"):
            raise Unfusable(f"`{title}(reduction={reduction!r})` has no fused form")
        if settings.get("ignore_class") is not None:
            raise Unfusable("`ignore_class` has no fused form")
        if settings.get("axis", -1) != -1:
            raise Unfusable("a loss over another axis than the last has no fused form")
        if settings.get("dtype") is not None:
            raise Unfusable(f"`{title}(dtype={settings['dtype']!r})` has no fused form")
    name = _SHORT.get(name.lower(), name)
    if name not in _ROWWISE:
        raise Unfusable(f"the loss `{name}` has no fused form")
    return (name, tuple(sorted((key, _hashable(value)) for key, value in settings.items())))


def is_of_own_class(loss: Any) -> bool:
    """Whether a loss is of a class of the user's own, of which Keras calls `call` and does the rest."""
    import keras

    kind = type(loss)
    wraps = kind.__call__ is keras.losses.Loss.__call__ if isinstance(loss, keras.losses.Loss) else False
    return wraps and not is_kerass(loss, "losses") and "__call__" not in vars(loss) and not hasattr(loss, "_fn_kwargs")


def _own_class(loss: Any) -> Key:
    import keras

    own, key = own_key(loss.call, "loss")
    key.name = type(loss).__name__
    if loss.reduction not in ("mean", "sum_over_batch_size", "sum") or loss.dtype != keras.config.floatx():
        raise Unfusable(f"`{key.name}(reduction={loss.reduction!r}, dtype={loss.dtype!r})` has no fused form")
    reduction = (("reduction", "sum"),) if loss.reduction == "sum" else ()
    return (own, (("function", key), *reduction))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def loss_function(key: Key) -> Callable[[Tensor, Tensor], Tensor]:
    """`f(target, prediction)` on `(member, batch, output)`, giving `(member, batch)`."""
    import keras

    name, settings = key
    if is_own(key):
        return own_rows(dict(settings)["function"], batch_mean=bool(dict(settings).get("batch_mean")))
    loss = getattr(keras.losses, _ROWWISE[name])(**dict(settings))
    return lambda target, prediction: loss.call(target, as_made(name, prediction))


def as_made(name: str, prediction: Tensor) -> Tensor:
    """The prediction for a loss or metric of this name, which sees the logits that Keras's sees on TensorFlow.

    Those of Keras's own functions go with the tensor, whatever the loss; those of TensorFlow's own only if they fit.
    """
    kind, logits = getattr(prediction, "_logits_of", ("", None))
    if logits is None or kind != ("Sigmoid" if "binary" in name.lower() else "Softmax"):
        return prediction
    from keras import ops

    seen = ops.reshape(prediction, prediction.shape)  # another tensor, since other losses may not see them
    seen._keras_logits = logits
    return seen
