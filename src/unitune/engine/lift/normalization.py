"""Normalisation layers: statistics over real rows and real units only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, Weight, along_width, lift, masked
from unitune.engine.lift.penalty import penalties, refuse, trained
from unitune.models.shape_rules import Shape


def _last_axis(layer: str, config: Mapping[str, Any], shape: Shape) -> None:
    """Refuses any axis but the last."""
    axis = config.get("axis", -1)
    axes = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
    if axes not in ((-1,), (len(shape),)):
        raise Unfusable(f"`{layer}(axis={axis})` has no fused form")


def _scale(config: Mapping[str, Any]) -> list[Weight]:
    """Gamma and beta, as far as the layer has them."""
    used = (("gamma", config.get("scale", True)), ("beta", config.get("center", True)))
    return [trained(config, name, ("in",)) for name, has in used if has]


@lift("BatchNormalization")
class BatchNormalization:
    """Statistics of the batch in training, moving ones otherwise; biased variance, as Keras has it."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node; gamma and beta are trained, the moving statistics are not."""
        refuse("BatchNormalization", config, "synchronized", "renorm")
        _last_axis("BatchNormalization", config, shape)
        center, scale = bool(config.get("center", True)), bool(config.get("scale", True))
        static = (center, scale, float(config.get("momentum", 0.99)), float(config.get("epsilon", 1e-3)))
        own = _scale(config)
        moving = (Weight(axes=("in",), trainable=False), Weight(axes=("in",), trainable=False))
        weights, numbers = (*own, *moving), penalties(config, own)
        return [Node(kind="BatchNormalization", shape=shape, static=static, weights=weights, numbers=numbers)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Rows that only fill the last batch up are left out of the statistics."""
        from keras import ops

        center, scale, momentum, epsilon, *in_inference = node.static
        *own, moving_mean, moving_variance = weights
        if context.training and not in_inference:
            axes = tuple(range(1, len(x.shape) - 1))
            rows = ops.reshape(context.row_mask, (1, -1) + (1,) * (len(x.shape) - 2))
            count = context.n_rows if len(axes) == 1 else context.n_rows * float(node.positions)
            mean = ops.sum(ops.where(rows, x, 0.0), axis=axes) / count
            deviation = ops.where(rows, x - along_width(mean, x), 0.0)
            variance = ops.sum(ops.square(deviation), axis=axes) / count
            new_mean = moving_mean * momentum + mean * (1.0 - momentum)
            new_variance = moving_variance * momentum + variance * (1.0 - momentum)
            weights = (*own, new_mean, new_variance)
        else:
            mean, variance = moving_mean, moving_variance
        factor = ops.rsqrt(variance + epsilon)
        if scale:
            factor = factor * own[0]
        shift = -mean * factor
        if center:
            shift = shift + own[-1]
        return x * along_width(factor, x) + along_width(shift, x), weights


@lift("LayerNormalization")
class LayerNormalization:
    """Mean and variance over a row's real units."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node."""
        refuse("LayerNormalization", config, "rms_scaling")
        _last_axis("LayerNormalization", config, shape)
        center, scale = bool(config.get("center", True)), bool(config.get("scale", True))
        return [
            Node(
                kind="LayerNormalization",
                shape=shape,
                static=(center, scale, float(config.get("epsilon", 1e-3))),
                weights=tuple(_scale(config)),
                numbers=penalties(config, _scale(config)),
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Padded units are zero, so sums are right; the divisor is the true width."""
        from keras import ops

        center, scale, epsilon = node.static
        # They hold zero already, but the mean would pass them a gradient.
        x = masked(node, x, context)
        width = _true_width(node, x, context)
        mean = ops.sum(x, axis=-1, keepdims=True) / width
        deviation = masked(node, x - mean, context)
        variance = ops.sum(ops.square(deviation), axis=-1, keepdims=True) / width
        y = deviation * ops.rsqrt(variance + epsilon)
        if scale:
            y = y * along_width(weights[0], y)
        if center:
            y = y + along_width(weights[-1], y)
        return y, weights


def _true_width(node: ProgramNode, x: Tensor, context: Context) -> Any:
    from keras import ops

    if not node.padded:
        return float(node.width)
    return ops.reshape(context.true_width[node.index], (-1,) + (1,) * (len(x.shape) - 1))


@lift("RMSNormalization")
class RMSNormalization:
    """Divides by the root of the mean square of a row's real units."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node."""
        _last_axis("RMSNormalization", config, shape)
        static = (float(config.get("epsilon", 1e-6)),)
        return [Node(kind="RMSNormalization", shape=shape, static=static, weights=(Weight(axes=("in",)),))]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Padded units are zero, and pass no gradient, since each is multiplied by a zero of its own."""
        from keras import ops

        mean = ops.sum(ops.square(x), axis=-1, keepdims=True) / _true_width(node, x, context)
        return x * ops.rsqrt(mean + node.static[0]) * along_width(weights[0], x), weights


@lift("GroupNormalization")
class GroupNormalization:
    """Mean and variance over a group of channels and all positions; its widths are never padded."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node."""
        _last_axis("GroupNormalization", config, shape)
        groups = int(config.get("groups", 32))
        groups = shape[-1] if groups == -1 else groups
        if shape[-1] % groups:
            raise Unfusable(f"`GroupNormalization(groups={groups})` does not divide {shape[-1]} channels")
        center, scale = bool(config.get("center", True)), bool(config.get("scale", True))
        return [
            Node(
                kind="GroupNormalization",
                shape=shape,
                static=(center, scale, float(config.get("epsilon", 1e-3)), groups),
                weights=tuple(_scale(config)),
                numbers=penalties(config, _scale(config)),
                exact_width=True,
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Channels are split into `(group, channel)`."""
        from keras import ops

        center, scale, epsilon, groups = node.static
        members, batch = x.shape[:2]
        parts = ops.reshape(x, (members, batch, math.prod(node.shape[:-1]), groups, node.width // groups))
        mean, variance = ops.moments(parts, axes=(2, 4), keepdims=True)
        y = ops.reshape((parts - mean) * ops.rsqrt(variance + epsilon), x.shape)
        if scale:
            y = y * along_width(weights[0], y)
        if center:
            y = y + along_width(weights[-1], y)
        return y, weights
