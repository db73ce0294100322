"""Layers that put several tensors together, or set one in another shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, lift
from unitune.models.shape_rules import MERGING, Shape, broadcast, concatenated_axis


@lift(*MERGING)
class Merging:
    """Sum, mean, product, difference, largest or smallest, place by place."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """One node; inputs of unequal rank are lined up as Keras does it, and then not padded."""
        if len({len(shape) for shape in shapes}) > 1:
            raise Unfusable(f"`{config['class_name']}` of tensors of different rank has no fused form")
        return [Node(kind="Add", shape=broadcast(shapes), static=(config["class_name"],))]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Any, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """In the order of the inputs."""
        from keras import ops

        name = node.static[0]
        inputs = x if isinstance(x, list) else [x]
        join = {"Maximum": ops.maximum, "Minimum": ops.minimum, "Multiply": ops.multiply, "Subtract": ops.subtract}
        total = inputs[0]
        for one in inputs[1:]:
            total = join.get(name, ops.add)(total, one)
        return (total / len(inputs) if name == "Average" else total), weights


@lift("Concatenate")
class Concatenate:
    """Tensors one after another along an axis."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """One node; along the last axis the widths are joined, along another they must lie alike."""
        axis = concatenated_axis(config, len(shapes[0]))
        out = list(shapes[0])
        out[axis] = sum(shape[axis] for shape in shapes)
        last = axis == len(out) - 1
        return [Node(kind="Concatenate", shape=tuple(out), static=(axis + 2,), layout="join" if last else "in")]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Any, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The member's axis comes first, so the axis moves by one."""
        from keras import ops

        return (ops.concatenate(x, axis=node.static[0]) if isinstance(x, list) else x), weights


@lift("Flatten")
class Flatten:
    """A row's axes as one."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """No node on flat rows. A padded width is repeated once for each place."""
        if config.get("data_format") == "channels_first" and len(shape) > 1:
            raise Unfusable("`Flatten(data_format='channels_first')` has no fused form")
        return [] if len(shape) == 1 else [Node(kind="Flatten", shape=(math.prod(shape),), layout="repeat")]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The last axis is the fastest, as in Keras."""
        from keras import ops

        return ops.reshape(x, (*x.shape[:2], node.width)), weights


@lift("Identity")
class Identity:
    """Nothing."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """No node at all."""
        return []

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Never called."""
        raise NotImplementedError
