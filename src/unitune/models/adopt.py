"""Reads a Keras model that the user built and compiled: its layers, how it is trained, the weights it starts with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.errors import OptionError
from unitune.models import backend, optimizers, schedules
from unitune.models.activations import is_layer
from unitune.models.activations import layer_spec as activation_layer
from unitune.models.blueprint import Blueprint, LayerSpec, Schedule, Training
from unitune.models.keras_objects import layer_config
from unitune.models.shapes import KNOWN_LAYERS, is_known
from unitune.records import Array

if TYPE_CHECKING:
    import keras


def adopt(
    model: keras.Model, input_shape: tuple[int, ...] | None = None
) -> tuple[Blueprint, Training, tuple[Array, ...]]:
    """Reads a compiled model.

    A Sequential, or a Functional model that is a chain, of layers that Unitune knows becomes a blueprint of these
    layers; any other model becomes a template without layers, to be cloned. An unbuilt Sequential is built.

    Args:
        model: Compiled, with one input and one output.
        input_shape: Of one row, `(feature,)`: builds a model that has no `Input`, and is checked against one that has.

    Returns:
        The blueprint, the training (batch size and epochs at their defaults), and the weights in the order of
        `model.get_weights()`.

    Raises:
        OptionError: The model is no Keras model, is not compiled, cannot be built, or takes rows of another shape.
    """
    keras = backend.ensure()
    if not isinstance(model, keras.Model):
        raise OptionError("a model must be a `keras.Model`", f"got a {type(model).__name__}")
    if not getattr(model, "compiled", False) or model.optimizer is None or model.loss is None:
        raise OptionError(
            "a model must be compiled with an optimizer and a loss",
            f"`{model.name}` is not",
            "Call `model.compile(optimizer=..., loss=..., metrics=[...])` first.",
        )
    _build(model, input_shape)
    layers = _chain(model)
    blueprint = Blueprint(layers=() if layers is None else tuple(layers), template=model)
    return blueprint, _training(model), tuple(np.array(weight) for weight in model.get_weights())


def predicts_logits(training: Training) -> bool:
    """Whether the loss takes logits (`from_logits=True`), so that predictions must pass through a sigmoid or softmax.

    Example:
        >>> from unitune.models.blueprint import OptimizerSpec
        >>> predicts_logits(Training(optimizer=OptimizerSpec(class_name="Adam", learning_rate=0.001), loss="mse"))
        False
    """
    if not hasattr(training.loss, "get_config"):
        return False
    return bool(training.loss.get_config().get("from_logits", False))


def _build(model: Any, input_shape: tuple[int, ...] | None) -> None:
    keras = backend.ensure()
    if not isinstance(model, keras.Sequential) and not getattr(model, "inputs", None):
        raise OptionError(
            "a model must say what its layers are",
            f"`{model.name}` is a subclass with a `call` of its own, which cannot be copied for each fold",
            "Write it as a `keras.Sequential` or a functional `keras.Model(inputs, outputs)`.",
        )
    if not model.built:
        if input_shape is None:
            raise OptionError(
                "a model must know the shape of its input",
                f"`{model.name}` is not built",
                "Start it with `keras.Input((n_features,))`.",
            )
        model.build((None, *input_shape))
    inputs = model.inputs
    if len(inputs) != 1 or len(model.outputs) != 1:
        raise OptionError(
            "a model must have one input and one output",
            f"`{model.name}` has {len(inputs)} and {len(model.outputs)}",
        )
    expected = tuple(inputs[0].shape[1:])
    fits = input_shape is None or (
        len(expected) == len(input_shape)
        and all(size is None or size == given for size, given in zip(expected, input_shape, strict=True))
    )
    if not fits:
        raise OptionError(
            f"`{model.name}` takes rows of shape {expected}",
            f"the data have {input_shape}",
            "Change its `Input`, or leave it out.",
        )


def _chain(model: Any) -> list[LayerSpec] | None:
    """The layers in order, or None where the model is no chain of known layers."""
    keras = backend.ensure()
    kind = type(model)
    if kind.__module__.split(".")[0] != "keras" or kind.__name__ not in ("Sequential", "Functional"):
        return None
    own = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if not own:
        return None
    tensor = model.inputs[0]
    specs: list[LayerSpec] = []
    for layer in own:
        # A layer that is used twice, or has several inputs, has no single `input`.
        try:
            taken, given = layer.input, layer.output
        except (AttributeError, ValueError):
            return None
        if taken is not tensor:
            return None
        tensor = given
        read = _read(layer)
        if read is None:
            return None
        specs.extend(read)
    return specs if tensor is model.outputs[0] else None


def _read(layer: Any) -> list[LayerSpec] | None:
    """A layer as one spec, or two where its activation is itself a layer; None where it is unknown."""
    name = type(layer).__name__
    if name not in KNOWN_LAYERS or type(layer).__module__.split(".")[0] != "keras":
        return None
    config = layer_config(layer)
    activation = config.get("activation")
    if not is_layer(activation):
        spec = LayerSpec(class_name=name, config=config)
        return [spec] if is_known(spec) else None
    own = activation_layer(activation)
    # Keras does not count the weights of a layer that sits inside another as its activation: that is no chain.
    if own is None or not is_known(own) or own.class_name == "PReLU":
        return None
    if name == "Activation":
        return [own]
    return [LayerSpec(class_name=name, config={key: v for key, v in config.items() if key != "activation"}), own]


def _training(model: Any) -> Training:
    source = optimizers.learning_rate_schedule(model.optimizer)
    return Training(
        optimizer=optimizers.from_keras(model.optimizer),
        loss=_single(model.loss),
        metrics=tuple(dict.fromkeys(_metric_names(model))),
        schedule=Schedule() if source is None else schedules.from_keras(source),
    )


def _single(loss: Any) -> Any:
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        if len(loss) != 1:
            raise OptionError("a model must have one loss", f"got {len(loss)}")
        return loss[0]
    return loss


def _metric_names(model: Any) -> Iterable[str]:
    """The metrics given to `compile`, as names.

    The third argument of `compile` is `loss_weights`, yet many write their metrics there, as was right in Keras 2:
    names found there are taken as metrics.
    """
    compile_config = model.get_compile_config() or {}
    for entry in (compile_config.get("metrics"), compile_config.get("loss_weights")):
        yield from _flat_names(entry)


def _flat_names(entry: Any) -> Iterable[str]:
    if isinstance(entry, str):
        yield {"acc": "accuracy"}.get(entry, entry)
    elif isinstance(entry, dict) and "class_name" in entry and "config" in entry:
        name = entry["class_name"]
        if name in ("BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy", "Accuracy"):
            yield "accuracy"
        elif name in ("MeanAbsoluteError", "MeanSquaredError"):
            yield {"MeanAbsoluteError": "mae", "MeanSquaredError": "mse"}[name]
    elif isinstance(entry, dict):
        for item in entry.values():
            yield from _flat_names(item)
    elif isinstance(entry, list | tuple):
        for item in entry:
            yield from _flat_names(item)
