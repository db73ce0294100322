"""Pooling: over windows, by shifts, and over all places. Padded channels stay at zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unitune.engine.lift.base import Context, Node, ProgramNode, Tensor, Unfusable, lift
from unitune.engine.lift.windows import shifts, window_of
from unitune.models.shape_rules import RULES, Shape, per_axis


def _output(config: Mapping[str, Any], shape: Shape) -> Shape:
    try:
        return RULES[config["class_name"]](config, shape)[1]
    except (KeyError, ValueError) as error:
        raise Unfusable(f"`{error.args[0]}` has no fused form") from None


@lift(*(f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)))
class Pooling:
    """The largest value, or the mean, of each window."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node."""
        rank = len(shape) - 1
        size = per_axis(config.get("pool_size", 2), rank)
        given = config.get("strides")
        out = _output(config, shape)
        window = window_of(config, size, size if given is None else per_axis(given, rank), shape)
        largest = config["class_name"].startswith("Max")
        return [Node(kind="MaxPooling2D", shape=out, static=(largest, window, shape[:-1]))]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Of equal values the first one gets the gradient, as in Keras's own kernels."""
        from keras import ops

        largest, window, places = node.static
        if largest:
            parts = shifts(window, x, -np.inf)
            y = parts[0]
            for part in parts[1:]:
                y = ops.where(part > y, part, y)
            return y, weights
        total = None
        for part in shifts(window, x, 0.0):
            total = part if total is None else total + part
        return total / _counts(window, places, x.dtype), weights


def _counts(window: Any, places: Shape, dtype: Any) -> Any:
    """How many real places lie in each window."""
    counts = np.ones((1,), "float64")
    for n, k, s, d, length, (before, _) in zip(
        places, window.size, window.strides, window.dilation, window.lengths, window.room, strict=True
    ):
        starts = np.arange(length) * s - before
        inside = [sum(0 <= start + d * i < n for i in range(k)) for start in starts]
        counts = counts[..., None] * np.array(inside, "float64")
    return counts.reshape((1, 1, *window.lengths, 1)).astype(str(dtype) if isinstance(dtype, str) else "float64")


@lift(*(f"Global{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)))
class GlobalPooling:
    """The largest value, or the mean, of each channel."""

    def read(self, config: Mapping[str, Any], shape: Shape, *mask: Shape) -> list[Node]:
        """One node; a mask says which steps count in a mean."""
        out = _output(config, shape)
        return [
            Node(
                kind="GlobalMaxPooling2D",
                shape=out,
                static=("Max" in config["class_name"], bool(config.get("keepdims"))),
                layout="first",
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Any, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Over all axes between the batch and the channels."""
        from keras import ops

        largest, keeps = node.static
        if isinstance(x, list):
            x, mask = x
            counts = ops.cast(ops.expand_dims(mask, -1), x.dtype)
            total = ops.sum(ops.where(counts > 0, x, 0.0), axis=2, keepdims=keeps)
            return total / ops.sum(counts, axis=2, keepdims=keeps), weights
        axes = tuple(range(2, len(x.shape) - 1))
        return (ops.max if largest else ops.mean)(x, axis=axes, keepdims=keeps), weights
