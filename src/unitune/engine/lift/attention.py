"""MultiHeadAttention on sequences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, as_cast, lift
from unitune.engine.lift.optimizer import shaped
from unitune.engine.lift.penalty import penalties, refuse, trained
from unitune.models.shape_rules import RULES, Shape

_MASKS = frozenset({"query_mask", "value_mask", "key_mask", "attention_mask"})


def _seen(masks: Mapping[str, Tensor], causal: bool, shape: tuple[int, int]) -> Tensor | None:
    """What each step may see, in the form of `(member, batch, head, query, key)`; None where everything."""
    from keras import ops

    found = []
    if causal:
        t, s = shape
        found.append(ops.arange(t, dtype="int32")[:, None] >= ops.arange(s, dtype="int32")[None, :])
    for name, mask in masks.items():
        own = ops.cast(mask, "bool")
        if name != "attention_mask":
            own = ops.expand_dims(own, -1 if name == "query_mask" else -2)
        found.append(ops.expand_dims(own, 2))
    seen = found[0] if found else None
    for one in found[1:]:
        seen = ops.logical_and(seen, one)
    return seen


@lift("MultiHeadAttention")
class MultiHeadAttention:
    """Scaled dot products of queries and keys weigh the values (Vaswani et al., 2017)."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """One node. Widths that come in and go out may be padded; heads and their depth are equal in a program."""
        name = "MultiHeadAttention"
        refuse(name, config, "flash_attention", "use_gate", "sliding_window")
        if tuple(config.get("attention_axes") or (1,)) != (1,):
            raise Unfusable(f"`{name}(attention_axes=...)` has no fused form")
        arguments = dict(config.get("call_arguments", {}))
        causal = bool(arguments.pop("use_causal_mask", False))
        named = tuple(config.get("call_named", ()))
        shapes = shapes[: len(shapes) - len(named)]
        if arguments or len(shapes) not in (2, 3) or set(named) - _MASKS:
            raise Unfusable(f"`{name}` called with {', '.join(arguments) or 'these inputs'} has no fused form")
        try:
            specs, out = RULES[name](config, *shapes)
        except KeyError as error:
            raise Unfusable(f"`{error.args[0]}` has no fused form") from None
        heads, depth = int(config["num_heads"]), int(config["key_dim"])
        value_depth = int(config.get("value_dim") or depth)
        given = config.get("output_shape") is not None
        key_input = "in2" if len(shapes) == 3 else "in1"
        result: Any = "out" if given else "in"
        axes: dict[str, tuple[Any, ...]] = {
            "query": ("in", heads, depth),
            "key": (key_input, heads, depth),
            "value": ("in1", heads, value_depth),
            "attention_output": (heads, value_depth, result),
        }
        weights = []
        for spec, *_ in specs:
            part, kind = spec.split("/")
            weights.append(
                trained(
                    config,
                    kind,
                    axes[part] if kind == "kernel" else axes[part][-2:] if part != "attention_output" else (result,),
                )
            )
        rate = float(config.get("dropout", 0.0) or 0.0)
        steps, others = shapes[0][0], shapes[1][0]
        return [
            Node(
                kind=name,
                shape=out,
                static=(
                    heads,
                    as_cast(1.0 / math.sqrt(depth)),
                    value_depth,
                    bool(config.get("use_bias", True)),
                    causal,
                    named,
                    rate > 0,
                ),
                weights=tuple(weights),
                numbers={**penalties(config, weights), "rate": rate},
                layout="own" if given else "first",
                random=rate > 0,
                work=4 * heads * depth * steps * (1 + others / shapes[0][-1]) / shapes[0][-1],
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Any, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """`m` member, `b` batch, `t` query, `s` key, `n` head, `h` depth."""
        from keras import ops
        from keras.backend import standardize_dtype

        _, scale, _, use_bias, causal, named, drops = node.static
        masks = dict(zip(named, x[len(x) - len(named) :], strict=True))
        query, value, *rest = x[: len(x) - len(named)]
        key = rest[0] if rest else value
        per = 2 if use_bias else 1

        def project(tensor: Tensor, part: int, equation: str) -> Tensor:
            y = ops.einsum(equation, tensor, weights[per * part])
            if use_bias:
                bias = weights[per * part + 1]
                y = y + ops.reshape(bias, (bias.shape[0], 1, 1, *bias.shape[1:]))
            return y

        q, k, v = (project(one, i, "mbtf,mfnh->mbtnh") for i, one in enumerate((query, key, value)))
        scores = ops.einsum("mbtnh,mbsnh->mbnts", q * scale, k)
        seen = _seen(masks, causal, tuple(scores.shape[-2:]))
        if seen is not None:
            # The least number, not minus infinity: of a step that may see none, Keras takes all alike.
            scores = ops.where(seen, scores, 0.7 * float(np.finfo(standardize_dtype(scores.dtype)).min))
        shares = ops.softmax(scores, axis=-1)
        if seen is not None and drops:  # Keras then leaves nothing of a step that may see none
            shares = ops.where(seen, shares, 0.0)
        if context.training and node.random:
            kept = context.keep(node, tuple(scores.shape[2:]), along_width=False)
            shares = ops.where(kept, shares * shaped(context.numbers[node.index, "scale"], shares), 0.0)
        y = ops.einsum("mbnts,mbsnh->mbtnh", shares, v)
        return project(y, 3, "mbtnh,mnhf->mbtf"), weights
