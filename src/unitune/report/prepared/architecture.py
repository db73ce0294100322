"""A network as a diagram: for each layer its shape and its parameters, and the block that stands for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unitune.models.blueprint import Blueprint
from unitune.models.shapes import output_shape, weight_specs

WIDTH = 430.0
ROW = 64.0
BLOCK_HEIGHT = 38.0
MIDDLE = 70.0
WIDEST = 136.0
TEXT = 158.0


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: its class, its settings in words, the shape of a row before and after it, its parameters."""

    name: str
    detail: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    n_parameters: int


@dataclass(frozen=True, kw_only=True)
class Block:
    """A layer with its place: four corners from the top left, clockwise, and the baseline of its text."""

    layer: Layer
    corners: tuple[tuple[float, float], ...]
    text: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """Blocks from the input at the top to the output, on a sheet of `width` x `height`."""

    width: float
    height: float
    blocks: tuple[Block, ...]

    @property
    def n_parameters(self) -> int:
        """Of all layers."""
        return sum(block.layer.n_parameters for block in self.blocks)


def layers_of(blueprint: Blueprint, input_shape: tuple[int, ...]) -> tuple[Layer, ...]:
    """The layers of a blueprint whose layers are all known; the input is the first.

    Args:
        blueprint: A chain of layers.
        input_shape: Of one row, as the first layer takes it.
    """
    sizes: dict[int, int] = {}
    for weight in weight_specs(blueprint, input_shape):
        sizes[weight.layer] = sizes.get(weight.layer, 0) + math.prod(weight.shape)
    found = [Layer(name="Input", detail="", before=input_shape, after=input_shape, n_parameters=0)]
    for number, spec in enumerate(blueprint.layers):
        before = found[-1].after
        after = output_shape(Blueprint(layers=(spec,)), before)
        found.append(
            Layer(
                name=spec.class_name,
                detail=_detail(spec.class_name, spec.config),
                before=before,
                after=after,
                n_parameters=sizes.get(number, 0),
            )
        )
    return tuple(found)


def n_features_of(blueprint: Blueprint, n_parameters: int) -> int | None:
    """How many features a chain takes, from how many parameters it has: they are linear in the features.

    Returns:
        None where no number of features gives that many parameters.

    Example:
        >>> from unitune.models.blueprint import LayerSpec
        >>> n_features_of(Blueprint(layers=(LayerSpec(class_name="Dense", config={"units": 4}),)), 4 * 30 + 4)
        30
    """
    one, two = (
        sum(math.prod(weight.shape) for weight in weight_specs(blueprint, (n_features,))) for n_features in (1, 2)
    )
    if two == one:
        return None
    n_features, rest = divmod(n_parameters - (2 * one - two), two - one)
    return n_features if rest == 0 and n_features > 0 else None


def diagram(layers: tuple[Layer, ...]) -> Diagram:
    """The blocks of a network: as wide, on a logarithmic scale, as the layer before and the layer itself."""
    widest = max((math.prod(layer.after) for layer in layers), default=1)

    def half(shape: tuple[int, ...]) -> float:
        share = math.log1p(math.prod(shape)) / math.log1p(max(widest, 2))
        return (18 + (WIDEST - 18) * share) / 2

    blocks = []
    for number, layer in enumerate(layers):
        top, before, after = 8 + number * ROW, half(layer.before), half(layer.after)
        blocks.append(
            Block(
                layer=layer,
                corners=(
                    (MIDDLE - before, top),
                    (MIDDLE + before, top),
                    (MIDDLE + after, top + BLOCK_HEIGHT),
                    (MIDDLE - after, top + BLOCK_HEIGHT),
                ),
                text=(TEXT, top + BLOCK_HEIGHT / 2 - 3),
            )
        )
    return Diagram(width=WIDTH, height=16 + (len(layers) - 1) * ROW + BLOCK_HEIGHT, blocks=tuple(blocks))


def shape_text(layer: Layer) -> str:
    """The shapes and parameters of a layer in words."""
    after = " × ".join(f"{size:,}" for size in layer.after)
    if layer.name == "Input":
        return f"{after} features"
    counted = f"{layer.n_parameters:,} parameter{'s' if layer.n_parameters != 1 else ''}"
    return f"{' × '.join(f'{size:,}' for size in layer.before)} → {after}, {counted}"


def _detail(name: str, config: Mapping[str, Any]) -> str:
    parts = []
    if "units" in config:
        parts.append(f"{config['units']} units" if config["units"] != 1 else "1 unit")
    activation = config.get("activation")
    if activation is not None and activation != "linear":
        parts.append(activation if isinstance(activation, str) else getattr(activation, "__name__", str(activation)))
    if name == "Dropout":
        parts.append(f"rate {config['rate']:g}")
    if "negative_slope" in config:
        parts.append(f"slope {config['negative_slope']:g}")
    return ", ".join(parts)
