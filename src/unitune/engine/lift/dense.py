"""Dense layers: one matrix product for all members."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.activation import activation_key, activation_node
from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, lift
from unitune.engine.lift.penalty import penalties, refuse, trained
from unitune.models.shape_rules import RULES, Shape, einsum_sizes


@lift("Dense")
class Dense:
    """`y = activation(x @ kernel + bias)`, over the last axis."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """A product, then its activation."""
        refuse("Dense", config, "lora_rank", "quantization_config")
        out = (*shape[:-1], int(config["units"]))
        use_bias = bool(config.get("use_bias", True))
        weights = [trained(config, "kernel", ("in", "out"))]
        if use_bias:
            weights.append(trained(config, "bias", ("out",)))
        node = Node(
            kind="Dense",
            shape=out,
            static=(use_bias,),
            weights=tuple(weights),
            numbers=penalties(config, weights),
            layout="own",
            work=math.prod(shape[:-1]),
        )
        return [node, activation_node(activation_key(config.get("activation")), out)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """`(member, batch, in) x (member, in, out)`; padded units get zero from zero weights."""
        from keras import ops

        y = x
        if len(x.shape) > 3:
            y = ops.reshape(x, (x.shape[0], -1, x.shape[-1]))
        y = ops.matmul(y, weights[0])
        if len(weights) > 1:
            y = y + weights[1][:, None, :]
        return (ops.reshape(y, (*x.shape[:-1], y.shape[-1])) if len(x.shape) > 3 else y), weights


@lift("EinsumDense")
class EinsumDense:
    """A product by an equation; its widths are never padded."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """A product, then its activation."""
        refuse("EinsumDense", config, "lora_rank", "quantization_config")
        specs, out = RULES["EinsumDense"](config, shape)
        weights = [trained(config, name, size) for name, size, _, _ in specs]
        sizes, _, kernel, result = einsum_sizes(config, shape)
        node = Node(
            kind="EinsumDense",
            shape=out,
            static=(config["equation"].replace(" ", ""),),
            weights=tuple(weights),
            numbers=penalties(config, weights),
            layout="own",
            exact_width=True,
            work=math.prod(out) * math.prod(sizes[k] for k in kernel if k not in result) / (shape[-1] * out[-1]),
        )
        return [node, activation_node(activation_key(config.get("activation")), out)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The member is one more letter of the equation."""
        from keras import ops

        terms, result = node.static[0].split("->")
        taken, kernel = terms.split(",")
        member = next(letter for letter in "ZYXWVUTSRQPONM" if letter not in node.static[0])
        y = ops.einsum(f"{member}{taken},{member}{kernel}->{member}{result}", x, weights[0])
        if len(weights) > 1:
            bias = weights[1]
            bias = ops.reshape(bias, (bias.shape[0],) + (1,) * (len(y.shape) - len(bias.shape)) + tuple(bias.shape[1:]))
            y = y + bias
        return y, weights


@lift("Embedding")
class Embedding:
    """A row of a table for each number."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node; the length of the rows is a width."""
        refuse("Embedding", config, "lora_rank", "quantization_config")
        weights = (trained(config, "embeddings", (int(config["input_dim"]), "out")),)
        numbers = penalties(config, weights)
        return [
            Node(
                kind="Embedding",
                shape=(*shape, int(config["output_dim"])),
                static=(_ROW_BY_ROW,) if _by_row(numbers) else (),
                weights=weights,
                numbers=numbers,
                layout="own",
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """One table of all members' rows: member m's number i is row `m * input_dim + i`."""
        from keras import ops

        table = weights[0]
        members, width = x.shape[0], table.shape[-1]
        size = math.prod(table.shape[:-1]) // members  # the members' tables may lie in one already
        # Numbers that are out of range must not read a neighbour's rows.
        places = ops.clip(ops.cast(x, "int32"), 0, size - 1)
        first = ops.reshape(ops.arange(members, dtype="int32") * size, (members,) + (1,) * (len(x.shape) - 1))
        flat = table if len(table.shape) == 2 else ops.reshape(table, (members * size, width))
        return ops.take(flat, places + first, axis=0), weights


_ROW_BY_ROW = "row by row"


def _by_row(numbers: Mapping[str, float]) -> bool:
    """Whether the gradient of a table is a list of rows, one for each number that was looked up.

    So it is on TensorFlow, where Keras's optimizers square it row by row; a penalty on the table adds them up before.
    """
    import keras

    return str(keras.backend.backend()) == "tensorflow" and not any(numbers.values())


def is_table_by_row(node: Node | ProgramNode) -> bool:
    """Whether a node is such a table, and is trained."""
    return _ROW_BY_ROW in node.static and node.weights[0].trainable
