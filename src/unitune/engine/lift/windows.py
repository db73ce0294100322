"""Windows that slide over the axes of an image or a sequence, as shifted views of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unitune.engine.lift.base import Tensor
from unitune.models.shape_rules import Shape, per_axis, window_length


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window: for each axis its size, stride and dilation, how often it fits, and the places to add at either end."""

    size: Shape
    strides: Shape
    dilation: Shape
    lengths: Shape
    room: tuple[tuple[int, int], ...]


def window_of(config: Mapping[str, Any], size: Shape, strides: Shape, shape: Shape) -> Window:
    """The window of a layer on rows of this shape."""
    padding = config.get("padding", "valid").lower()
    dilation = per_axis(config.get("dilation_rate", 1), len(size))
    lengths, room = [], []
    for n, k, s, d in zip(shape[:-1], size, strides, dilation, strict=True):
        length = window_length(n, k, s, padding, d)
        missing = max(0, (length - 1) * s + d * (k - 1) + 1 - n)
        lengths.append(length)
        if padding == "causal":
            room.append((d * (k - 1), 0))
        else:
            room.append((missing // 2, missing - missing // 2) if padding == "same" else (0, 0))
    return Window(size=size, strides=strides, dilation=dilation, lengths=tuple(lengths), room=tuple(room))


def shifts(window: Window, x: Tensor, fill: float) -> list[Tensor]:
    """For each place of the window, what lies there: `(member, batch, *lengths, width)`, the last axis fastest."""
    from keras import ops

    if any(before or after for before, after in window.room):
        x = ops.pad(x, [(0, 0), (0, 0), *window.room, (0, 0)], constant_values=fill)
    found = []
    for offset in itertools.product(*(range(k) for k in window.size)):
        cut = [slice(None), slice(None)]
        for o, s, d, n in zip(offset, window.strides, window.dilation, window.lengths, strict=True):
            cut.append(slice(o * d, o * d + (n - 1) * s + 1, s))
        found.append(x[tuple(cut)])
    return found
