"""Layers with `trainable=False`: their weights stay as they are, and cost no penalty."""

from __future__ import annotations

from dataclasses import replace

from unitune.engine.lift.base import Node

_OF_BATCHES = "in inference"
"""What is added to what a normalization knows that no longer goes by its batch."""


def frozen(node: Node) -> Node:
    """A node of a layer that is not trained.

    Keras adds no penalty of weights that are not trained and constrains none of them, and has a `BatchNormalization`
    act as in inference.
    """
    weights = tuple(replace(one, trainable=False, constraint=None) for one in node.weights)
    numbers = {
        name: value for name, value in node.numbers.items() if name.rpartition("_")[0] not in {w.name for w in weights}
    }
    static = (*node.static, _OF_BATCHES) if node.kind == "BatchNormalization" else node.static
    return replace(node, weights=weights, numbers=numbers, static=static)
