"""Layers that draw at random while training, with the very random numbers that Keras draws for each member."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, lift, masked
from unitune.engine.lift.optimizer import shaped
from unitune.engine.lift.penalty import refuse
from unitune.models.shape_rules import Shape, channels_last


def _rate(layer: str, config: Mapping[str, Any]) -> float:
    refuse(layer, config, "noise_shape")
    rate = float(config["rate"])
    if rate >= 1.0:
        raise Unfusable(f"`{layer}(rate=1)` has no fused form")
    return rate


@lift("Dropout")
class Dropout:
    """Zeroes a share `rate` of the inputs and scales the rest by `1 / (1 - rate)`."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node; the rate may differ by member."""
        return [Node(kind="Dropout", shape=shape, numbers={"rate": _rate("Dropout", config)}, random=True)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """A member with rate 0 passes unchanged, bit for bit."""
        from keras import ops

        if not context.training or "rate" not in node.used:
            return x, weights
        scale = shaped(context.numbers[node.index, "scale"], x)
        return ops.where(context.keep(node, node.shape), x * scale, 0.0), weights


@lift("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
class SpatialDropout:
    """Drops whole feature maps."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node."""
        try:
            channels_last("SpatialDropout", config)
        except KeyError as error:
            raise Unfusable(f"`{error.args[0]}` has no fused form") from None
        return [
            Node(kind="SpatialDropout1D", shape=shape, numbers={"rate": _rate("SpatialDropout", config)}, random=True)
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """One number for a row's feature map."""
        from keras import ops

        if not context.training or "rate" not in node.used:
            return x, weights
        scale = shaped(context.numbers[node.index, "scale"], x)
        kept = context.keep(node, (1,) * (len(node.shape) - 1) + (node.width,))
        return ops.where(kept, x * scale, 0.0), weights


@lift("AlphaDropout")
class AlphaDropout:
    """Dropout that keeps mean and variance for selu (Klambauer et al., 2017)."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node, with the factor and the shift that follow from the rate."""
        rate = _rate("AlphaDropout", config)
        low = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
        factor = ((1 - rate) * (1 + rate * low**2)) ** -0.5
        numbers = {"rate": rate, "factor": factor, "shift": -factor * low * rate}
        return [Node(kind="AlphaDropout", shape=shape, static=(low,), numbers=numbers, random=True)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """On every backend Keras compares uniform numbers with the rate here."""
        from keras import ops

        if not context.training or "rate" not in node.used:
            return x, weights
        rate, factor = (shaped(context.numbers[node.index, name], x) for name in ("rate", "factor"))
        kept = context.draw("uniform", node, node.shape) >= rate
        y = factor * ops.where(kept, x, node.static[0])
        if "shift" in node.used:
            y = y + shaped(context.numbers[node.index, "shift"], x)
        return masked(node, ops.where(rate > 0, y, x), context), weights


@lift("GaussianDropout", "GaussianNoise")
class Gaussian:
    """Normal noise that multiplies, or is added."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node with the noise's standard deviation."""
        multiplies = config["class_name"] == "GaussianDropout"
        if multiplies:
            rate = _rate("GaussianDropout", config)
            stddev = math.sqrt(rate / (1.0 - rate))
        else:
            stddev = float(config["stddev"])
        return [Node(kind="GaussianNoise", shape=shape, static=(multiplies,), numbers={"stddev": stddev}, random=True)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """A member without noise passes unchanged."""
        from keras import ops

        if not context.training or "stddev" not in node.used:
            return x, weights
        stddev = shaped(context.numbers[node.index, "stddev"], x)
        noise = context.draw("normal", node, node.shape) * stddev
        y = x * (noise + 1.0) if node.static[0] else x + noise
        return masked(node, ops.where(stddev > 0, y, x), context), weights
