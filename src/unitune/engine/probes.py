"""Probes: what is measured inside the networks while they train. They measure; `diagnosis` judges.

Activations are looked at on the validation rows after each epoch, gradients and updates at the epoch's last step, so
that probes cost little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unitune.engine.lift.base import ProgramNode, Tensor

# For each activation layer: the share of units that are zero on every row; the share of outputs beyond 95 % of a
# bounded activation's range; the mean output. For each dense layer, at the epoch's last step: the norms of the
# kernel's gradient and of the kernel, and the update's norm over the kernel's.
PROBES = ("dead_units", "saturated", "mean_activation", "gradient_norm", "weight_norm", "update_ratio")
_DEAD = 1e-7


def activation_probe(node: ProgramNode, output: Tensor, row_mask: Tensor, hyper: Any, old: Any) -> Any:
    """Adds a block of rows to an activation's sums."""
    from keras import ops

    rows = row_mask[None, :, None]
    if node.padded:
        rows = ops.logical_and(rows, hyper["unit_mask"][node.index])
    size = ops.where(rows, ops.abs(output), 0.0)
    centre, half = hyper["bounds"][node.index]
    far = ops.abs(output - centre[:, None, None]) > 0.95 * half[:, None, None]
    saturated = ops.where(ops.logical_and(rows, far), 1.0, 0.0)
    return {
        "active": ops.logical_or(old["active"], ops.max(size, axis=1) > _DEAD),
        "saturated": old["saturated"] + ops.cast(ops.sum(saturated, axis=(1, 2)), output.dtype),
        "total": old["total"] + ops.sum(ops.where(rows, output, 0.0), axis=(1, 2)),
    }


def update_probe(
    products: Sequence[ProgramNode],
    weight_nodes: Sequence[Any],
    trainable: Sequence[int],
    gradients: Sequence[Tensor],
    old: Sequence[Tensor],
    new: Sequence[Tensor],
) -> Tensor:
    """`(3, member, layer)`: norms of the kernels' gradients, of the kernels, and of their updates over the kernels'."""
    from keras import ops

    place_of = {index: place for place, index in enumerate(trainable)}
    rows: list[list[Tensor]] = [[], [], []]
    for product in products:
        index = next(i for i, (node, _) in enumerate(weight_nodes) if node.index == product.index)
        size = _norm(old[index])
        rows[0].append(_norm(gradients[place_of[index]]))
        rows[1].append(size)
        rows[2].append(_norm(new[index] - old[index]) / ops.maximum(size, 1e-12))
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=0)


def _norm(weight: Tensor) -> Tensor:
    from keras import ops

    return ops.sqrt(ops.sum(ops.square(weight), axis=(1, 2)))
