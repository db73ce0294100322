"""The weights of a network, their shapes and initializers: what Keras would create, without Keras."""

from __future__ import annotations

from typing import Any, NamedTuple

from unitune.errors import OptionError
from unitune.models.blueprint import Blueprint, LayerSpec
from unitune.models.shape_rules import RULES, Shape, Weights


class WeightSpec(NamedTuple):
    """One array of `keras.Model.get_weights()`: the number of its layer in the blueprint, its name and shape."""

    layer: int
    name: str
    shape: Shape
    initializer: Any
    trainable: bool


KNOWN_LAYERS = frozenset(RULES)
"""Names of the classes in `keras.layers` whose weights are known without Keras."""


def is_known(layer: LayerSpec) -> bool:
    """Whether the layer's weights are known without Keras."""
    return layer.class_name in RULES and not {"class", "layer"} & layer.config.keys() and not layer.config.get("renorm")


def as_shapes(input_shape: tuple[Any, ...]) -> tuple[Shape, ...]:
    """The shape of a row for each input: `input_shape` is one shape, or a tuple of them.

    Example:
        >>> as_shapes((30,)), as_shapes(((30,), (8, 8)))
        (((30,),), ((30,), (8, 8)))
    """
    if input_shape and all(isinstance(item, list | tuple) for item in input_shape):
        return tuple(tuple(item) for item in input_shape)
    return (tuple(input_shape),)


def weight_specs(blueprint: Blueprint, input_shape: tuple[Any, ...]) -> list[WeightSpec]:
    """The weights of a blueprint in the order of `keras.Model.get_weights()`.

    Args:
        blueprint: A network of known layers.
        input_shape: Of one row: `(feature,)`, or `(rows, columns, channel)`; for several inputs a tuple of shapes.

    Raises:
        KeyError: A layer is not among `KNOWN_LAYERS`.
        OptionError: The blueprint has no layers (a template that could not be read).

    Example:
        >>> chain = Blueprint(layers=(LayerSpec(class_name="Dense", config={"units": 2}),))
        >>> [(w.name, w.shape) for w in weight_specs(chain, (3,))]
        [('kernel', (3, 2)), ('bias', (2,))]
    """
    if not blueprint.layers:
        raise OptionError("the weights of a template are known to Keras alone", "got a blueprint without layers")
    weights, _ = _walk(blueprint, input_shape)
    specs: list[WeightSpec] = []
    for number, layer in enumerate(blueprint.layers):
        frozen = layer.config.get("trainable") is False
        specs.extend(
            WeightSpec(number, name, size, init, on and not frozen) for name, size, init, on in weights.get(number, [])
        )
    return specs


def output_shape(blueprint: Blueprint, input_shape: tuple[Any, ...]) -> Shape:
    """The shape of one row of the output: `(output,)`; of several outputs, that of the last.

    Raises:
        KeyError: A layer is not among `KNOWN_LAYERS`.
    """
    return _walk(blueprint, input_shape)[1][blueprint.output]


def output_shapes(blueprint: Blueprint, input_shape: tuple[Any, ...]) -> list[Shape]:
    """The shape of one row of each output.

    Raises:
        KeyError: A layer is not among `KNOWN_LAYERS`.
    """
    shapes = _walk(blueprint, input_shape)[1]
    return [shapes[value] for value in blueprint.outputs or (blueprint.output,)]


def _walk(blueprint: Blueprint, input_shape: tuple[Any, ...]) -> tuple[dict[int, Weights], list[Shape]]:
    """The weights of each layer, and the shapes of all values."""
    values = list(as_shapes(input_shape))
    weights: dict[int, Weights] = {}
    for call in blueprint.graph:
        layer = blueprint.layers[call.layer]
        if not {"class", "layer"} & layer.config.keys():
            unnamed = call.inputs[: len(call.inputs) - len(call.named)]
            own, shape = RULES[layer.class_name](layer.config, *(values[i] for i in unnamed))
        elif layer.config.get("weightless") and call.shape is not None:
            own, shape = [], call.shape
        else:
            raise KeyError(layer.class_name)
        weights.setdefault(call.layer, own)
        values.append(shape)
    return weights, values
