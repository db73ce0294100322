"""What training and compiling cost, as estimates that the plan weighs against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from unitune.engine.lift.base import Node

# Core seconds of compiling, as measured: a program of one hidden layer, of which each node has a part; a node, by its
# kind; what probes add to it; each further function of an activation; each further optimizer.
COMPILE_S = 1.5
COMPILE_NODE_S = 0.08
COMPILE_PROBES_S = 0.08
COMPILE_FUNCTION_S = 0.2
COMPILE_RANDOM_S = 0.5
COMPILE_OPTIMIZER_S = 0.3
_COMPILE_KIND_S = {
    "BatchNormalization": 0.4,
    "LayerNormalization": 0.4,
    "GroupNormalization": 0.5,
    "Conv2D": 0.65,
    "Conv2DTranspose": 1.0,
    "DepthwiseConv2D": 1.0,
    "SeparableConv2D": 1.6,
    "MaxPooling2D": 0.3,
    "LSTM": 1.1,
}


@dataclass(frozen=True, kw_only=True)
class FitCost:
    """What plain `fit` takes on a backend, in core seconds as measured.

    Attributes:
        model_s: Of tracing a model.
        node_s: Of tracing a node beside; four times that where its kind is slow to trace.
        epoch_s: Of an epoch with its validation.
        step_s: Of a step, beside its arithmetic.
        compile: Compiling a program, relative to TensorFlow.
        probe: Of holding a program against the user's own model, relative to tracing that.
    """

    model_s: float
    node_s: float
    epoch_s: float
    step_s: float
    compile: float = 1.0
    probe: float = 0.5


FIT = {
    "tensorflow": FitCost(model_s=0.4, node_s=0.06, epoch_s=0.045, step_s=0.002),
    "jax": FitCost(model_s=0.6, node_s=0.07, epoch_s=0.01, step_s=0.0007, compile=0.75, probe=1.0),
}
_SLOW_TO_TRACE = frozenset({"LSTM", "BatchNormalization"})
# The calls of a step's kernels, whatever the size of the tile.
STEP_S = 6e-6
STEP_NODE_S = 2e-6


class CompiledNode(Protocol):
    """What compiling a node takes depends on."""

    @property
    def kind(self) -> str:
        """Of its lift."""
        ...

    @property
    def random(self) -> bool:
        """Whether it draws at random."""
        ...


def compile_cost(
    nodes: Sequence[CompiledNode], n_functions: int, *, probes: bool = False, n_optimizers: int = 1
) -> float:
    """An estimate in core seconds of compiling a program of these nodes, with so many functions in its activations.

    Example:
        >>> dense = Node(kind="Dense", shape=(8,)), Node(kind="Activation", shape=(8,))
        >>> compile_cost(2 * dense, 1)
        1.5
    """
    own = sum(_COMPILE_KIND_S.get(n.kind, COMPILE_RANDOM_S if n.random else COMPILE_NODE_S) for n in nodes)
    own += COMPILE_PROBES_S * len(nodes) * probes + COMPILE_OPTIMIZER_S * (n_optimizers - 1)
    return COMPILE_S - 4 * COMPILE_NODE_S + own + COMPILE_FUNCTION_S * max(0, n_functions - 1)


def trace_cost(nodes: Sequence[CompiledNode], backend: str) -> float:
    """An estimate in core seconds of what plain `fit` takes before its first step.

    Example:
        >>> trace_cost((Node(kind="Dense", shape=(8,)), Node(kind="Activation", shape=(8,))), "tensorflow")
        0.52
    """
    cost = FIT[backend]
    return cost.model_s + cost.node_s * sum(4 if n.kind in _SLOW_TO_TRACE or n.random else 1 for n in nodes)


def epochs_cost(step_s: float, backend: str, *, epochs: int, steps: int) -> float:
    """An estimate in core seconds of what plain `fit` takes for its epochs, with `steps` each of so much arithmetic."""
    cost = FIT[backend]
    return epochs * (cost.epoch_s + steps * (cost.step_s + step_s))


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
