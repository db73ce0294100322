"""A member's network as nodes, and what else decides which program can train it."""

from __future__ import annotations

from dataclasses import dataclass

from unitune.engine.lift.base import Key, Node
from unitune.engine.lift.optimizer import OptimizerReading
from unitune.engine.lift.widths import Layout
from unitune.engine.program_key import OutputKey


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A network as nodes, in an order in which they can be computed.

    Attributes:
        nodes: The calls of layers.
        layouts: How the width of each node's output is put together.
        exact: Nodes and inputs whose own width must not be padded.
        outputs: The nodes whose outputs are the network's.
        masks: For each output the node of its mask; empty where none has any.
    """

    nodes: tuple[Node, ...]
    layouts: tuple[Layout, ...]
    exact: frozenset[int]
    outputs: tuple[int, ...]
    masks: tuple[int | None, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """One network and its training, as the plan sees them.

    Attributes:
        graph: The layers.
        optimizer: Settings sorted into equal and varying ones.
        outputs: The outputs, with the keys of their losses and metrics.
        loss_weights: `(output,)`, by which the losses are multiplied.
        weighs_losses: Whether they are.
        settings: Of Keras, at present.
        group: What must be equal for two members to share a program as they are.
        family: What must be equal for them to share one at all, in which some have layers or optimizers that others do
            not (`unitune.engine.stretch`).
        widths: `(node,)`, true widths.
        functions: The activations' keys, in the order of the activation nodes.
    """

    graph: Graph
    optimizer: OptimizerReading
    outputs: tuple[OutputKey, ...]
    loss_weights: tuple[float, ...]
    weighs_losses: bool
    settings: Key
    group: Key
    family: Key
    widths: tuple[int, ...]
    functions: tuple[Key, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The graph's nodes."""
        return self.graph.nodes
