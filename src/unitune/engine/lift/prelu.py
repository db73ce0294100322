"""PReLU: a rectifier whose negative slope is learned, one for each unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, Weight, lift


@lift("PReLU")
class PReLU:
    """`max(0, x) + alpha * min(0, x)`."""

    def read(self, config: Mapping[str, Any], width: int) -> list[Node]:
        """One node with `alpha` as its weight."""
        for name in ("alpha_regularizer", "alpha_constraint"):
            if config.get(name) is not None:
                raise Unfusable(f"`PReLU({name}=...)` has no fused form")
        if config.get("shared_axes"):
            raise Unfusable("`PReLU(shared_axes=...)` has no fused form")
        return [Node(kind="PReLU", width_in=width, width=width, weights=(Weight(axes=("out",)),))]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """As Keras writes it: `relu(x) - alpha * relu(-x)`."""
        from keras import ops

        alpha = weights[0][:, None, :]
        return ops.relu(x) - alpha * ops.relu(-x), weights


@lift("Flatten")
class Flatten:
    """On rows of features there is nothing to flatten."""

    def read(self, config: Mapping[str, Any], width: int) -> list[Node]:
        """No node at all."""
        return []

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Never called."""
        raise NotImplementedError
