"""Dense layers: one matrix product for all members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.activation import activation_key, activation_node
from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, Weight, lift
from unitune.engine.lift.penalty import constraint_key, penalty_numbers


@lift("Dense")
class Dense:
    """`y = activation(x @ kernel + bias)`."""

    def read(self, config: Mapping[str, Any], width: int) -> list[Node]:
        """A product, then its activation."""
        for name in ("activity_regularizer", "lora_rank", "quantization_config"):
            if config.get(name) is not None:
                raise Unfusable(f"`Dense({name}=...)` has no fused form")
        units = int(config["units"])
        use_bias = bool(config.get("use_bias", True))
        numbers = penalty_numbers("kernel", config.get("kernel_regularizer"))
        constraints = [constraint_key(config.get("kernel_constraint"))]
        weights = [Weight(axes=("in", "out"))]
        if use_bias:
            numbers |= penalty_numbers("bias", config.get("bias_regularizer"))
            constraints.append(constraint_key(config.get("bias_constraint")))
            weights.append(Weight(axes=("out",)))
        node = Node(
            kind="Dense",
            width_in=width,
            width=units,
            static=(use_bias, *constraints),
            weights=tuple(weights),
            numbers=numbers,
        )
        return [node, activation_node(activation_key(config.get("activation")), units)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """`(member, batch, in) x (member, in, out)`; padded units get zero from zero weights."""
        from keras import ops

        y = ops.matmul(x, weights[0])
        if len(weights) > 1:
            y = y + weights[1][:, None, :]
        return y, weights
