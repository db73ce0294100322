"""What training and compiling cost, as estimates that the plan weighs against each other."""

from __future__ import annotations

import math

import numpy as np

from unitune.engine.lift.base import Node

# Core seconds of compiling, as measured: a program of one hidden layer, each further node, each further activation.
COMPILE_S = 1.5
COMPILE_NODE_S = 0.2
COMPILE_FUNCTION_S = 0.2
# The calls of a step's kernels, whatever the size of the tile.
STEP_S = 6e-6
STEP_NODE_S = 2e-6


def compile_cost(n_nodes: int, n_functions: int) -> float:
    """An estimate in core seconds of compiling a program with so many nodes, and functions in its activations.

    Example:
        >>> compile_cost(4, 1)
        1.5
    """
    return COMPILE_S + COMPILE_NODE_S * max(0, n_nodes - 4) + COMPILE_FUNCTION_S * max(0, n_functions - 1)


def step_cost(n_nodes: int) -> float:
    """An estimate in core seconds of what a training step costs beside its members."""
    return STEP_S + STEP_NODE_S * n_nodes


def _width_in(node: Node, widths: np.ndarray, features: tuple[int, ...]) -> int:
    first = node.inputs[0]
    return int(widths[first]) if first >= 0 else features[-1 - first]


def _positions(node: Node) -> int:
    return math.prod(node.shape[:-1])


def _parameters(node: Node, width_in: int, width: int) -> int:
    """The numbers of the first weight, where its layer is a product."""
    fixed = math.prod(axis for axis in node.weights[0].axes if isinstance(axis, int)) if node.weights else 1
    return fixed * width_in * int(width)


def member_cost(nodes: tuple[Node, ...], widths: np.ndarray, features: tuple[int, ...], batch: int) -> float:
    """An estimate in seconds of one training step of one member at these (padded) widths, on one core.

    Measured with XLA on an AVX-512 core: 90 GFLOP/s in matrix products, half a nanosecond for an activation with its
    gradient, 0.3 for a parameter with its optimizer state. The first product needs no gradient of its input.
    """
    seconds = 1.0e-6
    for node, width in zip(nodes, widths, strict=True):
        size = batch * _positions(node) * width
        if node.work:
            width_in = _width_in(node, widths, features)
            products = 4.0 if node.inputs[0] < 0 else 6.0
            seconds += products * batch * node.work * width_in * width / 90e9
            if node.work > _positions(node):
                # Patches are written, read twice, and their gradient is added up again.
                seconds += 1.5e-9 * batch * node.work * width_in
            seconds += 0.3e-9 * _parameters(node, width_in, width)
        elif node.kind == "Activation":
            seconds += 0.5e-9 * size
        elif node.random:
            seconds += 3.0e-9 * size
        else:
            seconds += 1.5e-9 * size
    return float(seconds)


def member_bytes(
    nodes: tuple[Node, ...], widths: np.ndarray, features: tuple[int, ...], batch: int, itemsize: int = 4
) -> int:
    """About how much memory one step of one member touches: weights with two slots and a gradient, activations."""
    total = 0
    for node, width in zip(nodes, widths, strict=True):
        if node.work:
            width_in = _width_in(node, widths, features)
            total += 4 * _parameters(node, width_in, int(width))
        total += 2 * batch * _positions(node) * int(width)
    return total * itemsize
