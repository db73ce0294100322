"""The weights of a chain of layers, their shapes and initializers: what Keras would create, without Keras."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from unitune.errors import OptionError
from unitune.models.blueprint import Blueprint, LayerSpec

Shape = tuple[int, ...]


class WeightSpec(NamedTuple):
    """One array of `keras.Model.get_weights()`: the number of its layer in the blueprint, its name and shape."""

    layer: int
    name: str
    shape: Shape
    initializer: Any
    trainable: bool


# What a rule yields for a layer: (name, shape, initializer, trainable) of each weight, and the output's shape.
_Weights = list[tuple[str, Shape, Any, bool]]
_Rule = Callable[[Mapping[str, Any], Shape], tuple[_Weights, Shape]]


def _dense(config: Mapping[str, Any], shape: Shape) -> tuple[_Weights, Shape]:
    units = int(config["units"])
    weights: _Weights = [
        ("kernel", (shape[-1], units), config.get("kernel_initializer", "glorot_uniform"), True),
    ]
    if config.get("use_bias", True):
        weights.append(("bias", (units,), config.get("bias_initializer", "zeros"), True))
    return weights, (*shape[:-1], units)


def _scale_and_center(config: Mapping[str, Any], size: Shape) -> _Weights:
    weights: _Weights = []
    if config.get("scale", True):
        weights.append(("gamma", size, config.get("gamma_initializer", "ones"), True))
    if config.get("center", True):
        weights.append(("beta", size, config.get("beta_initializer", "zeros"), True))
    return weights


def _axis_sizes(axis: Any, shape: Shape) -> Shape:
    # Keras counts the batch as axis 0; `shape` has no batch.
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return tuple(shape[a if a < 0 else a - 1] for a in axes)


def _batch_normalization(config: Mapping[str, Any], shape: Shape) -> tuple[_Weights, Shape]:
    if config.get("renorm"):
        raise KeyError("BatchNormalization(renorm=True)")
    size = _axis_sizes(config.get("axis", -1), shape)
    weights = _scale_and_center(config, size)
    weights.append(("moving_mean", size, config.get("moving_mean_initializer", "zeros"), False))
    weights.append(("moving_variance", size, config.get("moving_variance_initializer", "ones"), False))
    return weights, shape


def _layer_normalization(config: Mapping[str, Any], shape: Shape) -> tuple[_Weights, Shape]:
    return _scale_and_center(config, _axis_sizes(config.get("axis", -1), shape)), shape


def _rms_normalization(config: Mapping[str, Any], shape: Shape) -> tuple[_Weights, Shape]:
    return [("scale", _axis_sizes(config.get("axis", -1), shape), "ones", True)], shape


def _prelu(config: Mapping[str, Any], shape: Shape) -> tuple[_Weights, Shape]:
    size = list(shape)
    shared = config.get("shared_axes") or []
    for axis in shared if isinstance(shared, list | tuple) else [shared]:
        size[axis - 1] = 1
    return [("alpha", tuple(size), config.get("alpha_initializer", "zeros"), True)], shape


def _flatten(config: Mapping[str, Any], shape: Shape) -> tuple[_Weights, Shape]:
    return [], (math.prod(shape),)


def _weightless(config: Mapping[str, Any], shape: Shape) -> tuple[_Weights, Shape]:
    return [], shape


_RULES: dict[str, _Rule] = {
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "GroupNormalization": _layer_normalization,
    "RMSNormalization": _rms_normalization,
    "PReLU": _prelu,
    "Flatten": _flatten,
    **dict.fromkeys(
        (
            "Activation",
            "ActivityRegularization",
            "AlphaDropout",
            "Dropout",
            "ELU",
            "GaussianDropout",
            "GaussianNoise",
            "LeakyReLU",
            "ReLU",
            "Softmax",
            "UnitNormalization",
        ),
        _weightless,
    ),
}

KNOWN_LAYERS = frozenset(_RULES)
"""Names of the classes in `keras.layers` whose weights are known without Keras."""


def is_known(layer: LayerSpec) -> bool:
    """Whether the layer's weights are known without Keras."""
    return layer.class_name in _RULES and not layer.config.get("renorm")


def weight_specs(blueprint: Blueprint, input_shape: Shape) -> list[WeightSpec]:
    """The weights of a blueprint in the order of `keras.Model.get_weights()`.

    Args:
        blueprint: A chain of known layers.
        input_shape: Of one row: `(feature,)`, or `(rows, columns, channel)` before a `Flatten`.

    Raises:
        KeyError: A layer is not among `KNOWN_LAYERS`.
        OptionError: The blueprint has no layers (a template that could not be read as a chain).

    Example:
        >>> chain = Blueprint(layers=(LayerSpec(class_name="Dense", config={"units": 2}),))
        >>> [(w.name, w.shape) for w in weight_specs(chain, (3,))]
        [('kernel', (3, 2)), ('bias', (2,))]
    """
    if not blueprint.layers:
        raise OptionError("the weights of a template are known to Keras alone", "got a blueprint without layers")
    shape = tuple(input_shape)
    specs: list[WeightSpec] = []
    for number, layer in enumerate(blueprint.layers):
        weights, shape = _RULES[layer.class_name](layer.config, shape)
        frozen = layer.config.get("trainable") is False
        specs.extend(WeightSpec(number, name, size, init, on and not frozen) for name, size, init, on in weights)
    return specs


def output_shape(blueprint: Blueprint, input_shape: Shape) -> Shape:
    """The shape of one row of the output: `(output,)`.

    Raises:
        KeyError: A layer is not among `KNOWN_LAYERS`.
    """
    shape = tuple(input_shape)
    for layer in blueprint.layers:
        _, shape = _RULES[layer.class_name](layer.config, shape)
    return shape
