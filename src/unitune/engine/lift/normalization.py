"""Normalisation layers: statistics over real rows and real units only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, Weight, lift
from unitune.engine.lift.penalty import constraint_key


def _refuse(layer: str, config: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if config.get(name):
            raise Unfusable(f"`{layer}({name}=...)` has no fused form")
    axis = config.get("axis", -1)
    if axis not in (-1, 1, [-1], [1], (-1,), (1,)):
        raise Unfusable(f"`{layer}(axis={axis})` has no fused form")


@lift("BatchNormalization")
class BatchNormalization:
    """Statistics of the batch in training, moving ones otherwise; biased variance, as Keras has it."""

    def read(self, config: Mapping[str, Any], width: int) -> list[Node]:
        """One node; gamma and beta are trained, the moving statistics are not."""
        _refuse("BatchNormalization", config, ("synchronized", "renorm", "gamma_regularizer", "beta_regularizer"))
        center, scale = bool(config.get("center", True)), bool(config.get("scale", True))
        static = (
            center,
            scale,
            float(config.get("momentum", 0.99)),
            float(config.get("epsilon", 1e-3)),
            constraint_key(config.get("gamma_constraint")),
            constraint_key(config.get("beta_constraint")),
        )
        if static[4] or static[5]:
            raise Unfusable("constraints on `BatchNormalization` have no fused form")
        trained = tuple(Weight(axes=("out",)) for used in (scale, center) if used)
        moving = (Weight(axes=("out",), trainable=False), Weight(axes=("out",), trainable=False))
        return [
            Node(kind="BatchNormalization", width_in=width, width=width, static=static, weights=(*trained, *moving))
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Rows that only fill the last batch up are left out of the statistics."""
        from keras import ops

        center, scale, momentum, epsilon = node.static[:4]
        *trained, moving_mean, moving_variance = weights
        if context.training:
            rows = context.row_mask[None, :, None]
            mean = ops.sum(ops.where(rows, x, 0.0), axis=1) / context.n_rows
            deviation = ops.where(rows, x - mean[:, None, :], 0.0)
            variance = ops.sum(ops.square(deviation), axis=1) / context.n_rows
            new_mean = moving_mean * momentum + mean * (1.0 - momentum)
            new_variance = moving_variance * momentum + variance * (1.0 - momentum)
            weights = (*trained, new_mean, new_variance)
        else:
            mean, variance = moving_mean, moving_variance
        factor = ops.rsqrt(variance + epsilon)
        if scale:
            factor = factor * trained[0]
        shift = -mean * factor
        if center:
            shift = shift + trained[-1]
        return x * factor[:, None, :] + shift[:, None, :], weights


@lift("LayerNormalization")
class LayerNormalization:
    """Mean and variance over a row's real units."""

    def read(self, config: Mapping[str, Any], width: int) -> list[Node]:
        """One node."""
        _refuse("LayerNormalization", config, ("rms_scaling", "gamma_regularizer", "beta_regularizer"))
        if config.get("gamma_constraint") or config.get("beta_constraint"):
            raise Unfusable("constraints on `LayerNormalization` have no fused form")
        center, scale = bool(config.get("center", True)), bool(config.get("scale", True))
        return [
            Node(
                kind="LayerNormalization",
                width_in=width,
                width=width,
                static=(center, scale, float(config.get("epsilon", 1e-3))),
                weights=tuple(Weight(axes=("out",)) for used in (scale, center) if used),
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Padded units are zero, so sums are right; the divisor is the true width."""
        from keras import ops

        center, scale, epsilon = node.static
        if node.padded:
            # They hold zero already, but the mean would pass them a gradient.
            x = ops.where(context.unit_mask[node.index], x, 0.0)
        width = context.true_width[node.index] if node.padded else float(node.width)
        mean = ops.sum(x, axis=-1, keepdims=True) / width
        deviation = x - mean
        if node.padded:
            deviation = ops.where(context.unit_mask[node.index], deviation, 0.0)
        variance = ops.sum(ops.square(deviation), axis=-1, keepdims=True) / width
        y = deviation * ops.rsqrt(variance + epsilon)
        if scale:
            y = y * weights[0][:, None, :]
        if center:
            y = y + weights[-1][:, None, :]
        return y, weights
