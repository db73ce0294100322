"""PReLU: a rectifier whose negative slope is learned, one for each unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Weight, lift
from unitune.engine.lift.penalty import refuse
from unitune.models.shape_rules import RULES, Shape


@lift("PReLU")
class PReLU:
    """`max(0, x) + alpha * min(0, x)`."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node with `alpha` as its weight; axes that share a slope have size 1 there."""
        refuse("PReLU", config, "alpha_regularizer", "alpha_constraint")
        ((_, size, _, _),), _ = RULES["PReLU"](config, shape)
        axes = (*size[:-1], "in" if size[-1] == shape[-1] else 1)
        return [Node(kind="PReLU", shape=shape, weights=(Weight(axes=axes),))]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """As Keras writes it: `relu(x) - alpha * relu(-x)`."""
        from keras import ops

        alpha = ops.expand_dims(weights[0], 1)
        return ops.relu(x) - alpha * ops.relu(-x), weights
