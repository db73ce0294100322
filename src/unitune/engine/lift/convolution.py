"""Convolutions: the patches under the kernel, laid out by shifts, times the kernels as matrices.

A convolution with a member axis would be a grouped convolution, which XLA runs slowly on CPU, its gradient above all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.activation import activation_key, activation_node
from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, Weight, lift
from unitune.engine.lift.penalty import penalties, refuse, trained
from unitune.engine.lift.windows import Window, shifts, window_of
from unitune.models.shape_rules import RULES, Shape, per_axis

_NUMBERS = (1, 2, 3)


def _specs(config: Mapping[str, Any], shape: Shape) -> Shape:
    """The output's shape.

    Raises:
        Unfusable: For the other order of axes, and for what no rule covers.
    """
    try:
        return RULES[config["class_name"]](config, shape)[1]
    except (KeyError, ValueError) as error:
        raise Unfusable(f"`{error.args[0]}` has no fused form") from None


def _with_activation(config: Mapping[str, Any], node: Node) -> list[Node]:
    return [node, activation_node(activation_key(config.get("activation")), node.shape)]


@lift(*(f"Conv{n}D" for n in _NUMBERS))
class Convolution:
    """`y = activation(conv(x, kernel) + bias)`, channels last."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """A product, then its activation."""
        name = config["class_name"]
        refuse(name, config, "lora_rank", "quantization_config")
        groups = int(config.get("groups", 1))
        out = _specs(config, shape)
        rank = len(shape) - 1
        size = per_axis(config["kernel_size"], rank)
        window = window_of(config, size, per_axis(config.get("strides", 1), rank), shape)
        weights = [trained(config, "kernel", (*size, "in" if groups == 1 else shape[-1] // groups, "out"))]
        if config.get("use_bias", True):
            weights.append(trained(config, "bias", ("out",)))
        node = Node(
            kind="Conv2D",
            shape=out,
            static=(window, groups),
            exact_width=groups > 1,  # padded channels would move to other groups
            weights=tuple(weights),
            numbers=penalties(config, weights),
            layout="own",
            work=math.prod(out[:-1]) * math.prod(size) / groups,
        )
        return _with_activation(config, node)

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """`(member, batch * place, size * in) x (member, size * in, out)`; with groups, this for each of them."""
        from keras import ops

        window, groups = node.static
        kernel = weights[0]
        members, batch = x.shape[:2]
        # All members see the same rows, so the patches of an input are laid out once.
        source = x[:1] if node.inputs[0] < 0 else x
        places = batch * node.positions
        if groups == 1:
            matrix = ops.reshape(kernel, (members, -1, node.width))
            patches = ops.concatenate(shifts(window, source, 0.0), axis=-1)
            patches = ops.reshape(patches, (source.shape[0], places, matrix.shape[1]))
        else:
            matrix = ops.reshape(kernel, (members, -1, groups, node.width // groups))
            matrix = ops.transpose(matrix, (0, 2, 1, 3))
            apart = (source.shape[0], places, groups, node.width_in // groups)
            patches = ops.concatenate([ops.reshape(one, apart) for one in shifts(window, source, 0.0)], axis=-1)
            patches = ops.transpose(patches, (0, 2, 1, 3))
        if source.shape[0] != members:
            patches = ops.broadcast_to(patches, (members, *patches.shape[1:]))
        y = ops.matmul(patches, matrix)
        if groups > 1:
            y = ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (members, places, node.width))
        if len(weights) > 1:
            y = y + weights[1][:, None, :]
        return ops.reshape(y, (members, batch, *node.shape)), weights


def _depthwise(window: Window, x: Tensor, kernel: Tensor) -> Tensor:
    """`(member, batch, ..., in, times)`: each channel with its own kernels `(member, size..., in, times)`."""
    from keras import ops

    total = None
    offsets = itertools.product(*(range(size) for size in window.size))
    for part, offset in zip(shifts(window, x, 0.0), offsets, strict=True):
        own = kernel[(slice(None), *offset)]
        own = ops.reshape(own, (own.shape[0],) + (1,) * (len(part.shape) - 2) + tuple(own.shape[1:]))
        term = ops.expand_dims(part, -1) * own
        total = term if total is None else total + term
    return total


@lift("DepthwiseConv1D", "DepthwiseConv2D")
class DepthwiseConvolution:
    """Each channel convolved by itself."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """A product, then its activation. More than one output for a channel is not padded."""
        out = _specs(config, shape)
        rank, times = len(shape) - 1, int(config.get("depth_multiplier", 1))
        size = per_axis(config["kernel_size"], rank)
        window = window_of(config, size, per_axis(config.get("strides", 1), rank), shape)
        weights = [trained(config, "kernel", (*size, "in", times), prefix="depthwise")]
        if config.get("use_bias", True):
            weights.append(trained(config, "bias", ("in",) if times == 1 else (out[-1],)))
        node = Node(
            kind="DepthwiseConv2D",
            shape=out,
            static=(window,),
            weights=tuple(weights),
            numbers=penalties(config, weights, {"kernel": "depthwise"}),
            layout="in" if times == 1 else "own",
            exact_width=times != 1,
        )
        return _with_activation(config, node)

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """A sum over the places of the kernel."""
        from keras import ops

        y = _depthwise(node.static[0], x, weights[0])
        y = ops.reshape(y, (*x.shape[:2], *node.shape))
        if len(weights) > 1:
            y = y + ops.reshape(weights[1], (x.shape[0],) + (1,) * (len(y.shape) - 2) + (-1,))
        return y, weights


@lift("SeparableConv1D", "SeparableConv2D")
class SeparableConvolution:
    """A depthwise convolution, then a product of the channels."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node for both, then the activation."""
        out = _specs(config, shape)
        rank, times = len(shape) - 1, int(config.get("depth_multiplier", 1))
        size = per_axis(config["kernel_size"], rank)
        window = window_of(config, size, per_axis(config.get("strides", 1), rank), shape)
        between = "in" if times == 1 else shape[-1] * times
        weights = [
            trained(config, "kernel", (*size, "in", times), prefix="depthwise"),
            trained(config, "pointwise", (*(1 for _ in size), between, "out")),
        ]
        if config.get("use_bias", True):
            weights.append(trained(config, "bias", ("out",)))
        node = Node(
            kind="SeparableConv2D",
            shape=out,
            static=(window,),
            weights=tuple(weights),
            numbers=penalties(config, weights, {"kernel": "depthwise"}),
            layout="own",
            exact_width=times != 1,
            work=math.prod(out[:-1]),
        )
        return _with_activation(config, node)

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The product is over the last axis."""
        from keras import ops

        members, batch = x.shape[:2]
        y = _depthwise(node.static[0], x, weights[0])
        matrix = ops.reshape(weights[1], (members, -1, node.width))
        y = ops.matmul(ops.reshape(y, (members, batch * node.positions, matrix.shape[1])), matrix)
        if len(weights) > 2:
            y = y + weights[2][:, None, :]
        return ops.reshape(y, (members, batch, *node.shape)), weights


@lift(*(f"Conv{n}DTranspose" for n in _NUMBERS))
class TransposedConvolution:
    """The gradient of a convolution: each place is spread over the places under the kernel."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """A product, then its activation."""
        out = _specs(config, shape)
        rank = len(shape) - 1
        size, strides = per_axis(config["kernel_size"], rank), per_axis(config.get("strides", 1), rank)
        weights: list[Weight] = [trained(config, "kernel", (*size, "out", "in"))]
        if config.get("use_bias", True):
            weights.append(trained(config, "bias", ("out",)))
        node = Node(
            kind="Conv2DTranspose",
            shape=out,
            static=(size, strides, config.get("padding", "valid").lower()),
            weights=tuple(weights),
            numbers=penalties(config, weights),
            layout="own",
            work=math.prod(shape[:-1]) * math.prod(size),
        )
        return _with_activation(config, node)

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """One product for each place of the kernel, set apart by the strides and added up."""
        from keras import ops

        size, strides, padding = node.static
        kernel = weights[0]
        members, batch = x.shape[:2]
        places = x.shape[2:-1]
        flat = ops.reshape(x, (members, -1, x.shape[-1]))
        full = tuple((n - 1) * s + k for n, s, k in zip(places, strides, size, strict=True))
        total = None
        for offset in itertools.product(*(range(k) for k in size)):
            y = ops.matmul(flat, ops.swapaxes(kernel[(slice(None), *offset)], 1, 2))
            y = ops.reshape(y, (members, batch, *places, node.width))
            for axis, stride in enumerate(strides):
                y = _set_apart(y, axis + 2, stride)
            room = [(o, f - o - y.shape[axis + 2]) for axis, (o, f) in enumerate(zip(offset, full, strict=True))]
            y = ops.pad(y, [(0, 0), (0, 0), *room, (0, 0)])
            total = y if total is None else total + y
        y = _cut(total, node.shape[:-1], full, size, strides, padding)
        if len(weights) > 1:
            y = y + ops.reshape(weights[1], (members,) + (1,) * (len(y.shape) - 2) + (-1,))
        return y, weights


def _set_apart(y: Tensor, axis: int, stride: int) -> Tensor:
    """Zeros between the places of an axis: `stride - 1` of them."""
    from keras import ops

    if stride == 1:
        return y
    n = y.shape[axis]
    y = ops.expand_dims(y, axis + 1)
    y = ops.pad(y, [(0, stride - 1) if i == axis + 1 else (0, 0) for i in range(len(y.shape))])
    shape = (*y.shape[:axis], n * stride, *y.shape[axis + 2 :])
    y = ops.reshape(y, shape)
    return y[(*(slice(None) for _ in range(axis)), slice(0, (n - 1) * stride + 1))]


def _cut(y: Tensor, wanted: Shape, full: Shape, size: Shape, strides: Shape, padding: str) -> Tensor:
    """The part of the full result that Keras keeps: `"same"` cuts the kernel's overhang, less on the left."""
    from keras import ops

    cuts: list[slice] = []
    room: list[tuple[int, int]] = []
    for n, f, k, s in zip(wanted, full, size, strides, strict=True):
        start = max(k - s, 0) // 2 if padding == "same" else 0
        stop = min(start + n, f)
        cuts.append(slice(start, stop))
        room.append((0, n - (stop - start)))
    y = y[(slice(None), slice(None), *cuts)]
    return ops.pad(y, [(0, 0), (0, 0), *room, (0, 0)]) if any(b for _, b in room) else y
