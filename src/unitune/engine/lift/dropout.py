"""Dropout, with the very random numbers that Keras draws for each member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, lift


@lift("Dropout")
class Dropout:
    """Zeroes a share `rate` of the inputs and scales the rest by `1 / (1 - rate)`."""

    def read(self, config: Mapping[str, Any], width: int) -> list[Node]:
        """One node; the rate may differ by member."""
        if config.get("noise_shape") is not None:
            raise Unfusable("`Dropout(noise_shape=...)` has no fused form")
        rate = float(config["rate"])
        if rate >= 1.0:
            raise Unfusable("`Dropout(rate=1)` has no fused form")
        return [Node(kind="Dropout", width_in=width, width=width, numbers={"rate": rate})]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """A member with rate 0 passes unchanged, bit for bit."""
        from keras import ops

        if not context.training or "rate" not in node.used:
            return x, weights
        scale = context.numbers[node.index, "scale"][:, None, None]
        return ops.where(context.keep(node), x * scale, 0.0), weights
