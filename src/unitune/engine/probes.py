"""Probes: what is measured inside the networks while they train. They measure; `diagnosis` judges.

Activations are looked at on the validation rows after each epoch, gradients and updates at the epoch's last step, so
that probes cost little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unitune.engine.lift.base import ProgramNode, Tensor

# For each hidden activation layer: the share of units that are zero on every row; the share of outputs beyond 95 % of a
# bounded activation's range; the mean output. For each dense layer, at the epoch's last step: the norms of the
# kernel's gradient and of the kernel, and the update's norm over the kernel's.
ACTIVATION_PROBES = ("dead_units", "saturated", "mean_activation")
UPDATE_PROBES = ("gradient_norm", "weight_norm", "update_ratio")
_DEAD = 1e-7
_PACK = 2048.0  # more than the rows of a block; a product of both stays exact in float32


def activation_probe(node: ProgramNode, output: Tensor, row_mask: Tensor, hyper: Any, old: Tensor) -> Tensor:
    """Adds a block of rows to an activation's sums, `(member, 3, width)`: rows where a unit is active, rows where it
    is saturated, and its total. Sums over rows are products with the row mask; the two counts travel in one number,
    so that a block is written once and read twice."""
    from keras import ops

    dtype = output.dtype
    centre, half = hyper["bounds"][node.index][0], hyper["bounds"][node.index][1]
    rows = ops.cast(row_mask, dtype)[None, None, :]
    rows = ops.broadcast_to(rows, (output.shape[0], 1, output.shape[1]))
    if len(output.shape) > 3:
        # A filter is active on a row where it is so at any place; the others are means over places.
        axes = tuple(range(2, len(output.shape) - 1))
        some = ops.cast(ops.max(ops.abs(output), axis=axes) > _DEAD, dtype)
        full = ops.mean(ops.cast(ops.abs(output - centre) > 0.95 * half, dtype), axis=axes)
        parts = [ops.matmul(rows, one) for one in (some, full, ops.mean(output, axis=axes))]
        return old + ops.concatenate(parts, axis=1)
    active = ops.where(ops.abs(output) > _DEAD, 1.0, 0.0)
    packed = ops.cast(active + ops.where(ops.abs(output - centre) > 0.95 * half, _PACK, 0.0), dtype)
    counts = ops.matmul(rows, packed)
    saturated = ops.floor(counts / _PACK)
    return old + ops.concatenate([counts - _PACK * saturated, saturated, ops.matmul(rows, output)], axis=1)


def activation_summary(node: ProgramNode, sums: Tensor, n_rows: Tensor, hyper: Any) -> Tensor:
    """`(member, 3)`: share of dead units, share of saturated outputs, mean output, over real units only."""
    from keras import ops

    if node.padded:
        sums = ops.where(hyper["unit_mask"][node.index], sums, 0.0)
    width = hyper["true_width"][node.index][:, 0, 0]
    active = ops.sum(ops.cast(sums[:, 0] > 0, sums.dtype), axis=-1) / width
    rest = ops.sum(sums[:, 1:], axis=-1) / (width * n_rows)[:, None]
    return ops.concatenate([(1.0 - active)[:, None], rest], axis=-1)


def update_probe(
    products: Sequence[ProgramNode],
    weight_nodes: Sequence[Any],
    trainable: Sequence[int],
    gradients: Sequence[Tensor],
    old: Sequence[Tensor],
    new: Sequence[Tensor],
) -> Tensor:
    """`(member, layer, 3)`: norms of the kernels' gradients, of the kernels, and of their updates over the kernels'."""
    from keras import ops

    place_of = {index: place for place, index in enumerate(trainable)}
    columns = []
    for product in products:
        index = next(i for i, (node, _) in enumerate(weight_nodes) if node.index == product.index)
        squares = [_square(w) for w in (gradients[place_of[index]], old[index], new[index] - old[index])]
        columns.append(ops.concatenate(squares, axis=-1))
    norms = ops.sqrt(ops.stack(columns, axis=1))
    return ops.concatenate([norms[..., :2], norms[..., 2:] / ops.maximum(norms[..., 1:2], 1e-12)], axis=-1)


def _square(weight: Tensor) -> Tensor:
    """The squared norm `(member, 1)`: sums over all axes but the last, which run in vectors, then a small product.

    In one sum over all axes XLA adds number after number on CPU, which took a tenth of an epoch; and it would merge two
    sums into one.
    """
    from keras import ops

    sums = ops.sum(ops.square(weight), axis=tuple(range(1, len(weight.shape) - 1)))
    return ops.matmul(sums, ops.ones((sums.shape[-1], 1), sums.dtype))
