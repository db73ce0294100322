"""Keras layers rewritten to act on a leading member axis, one file per family."""

from unitune.engine.lift import activation, dense, dropout, normalization, prelu
from unitune.engine.lift.base import Context, Lift, Node, ProgramNode, Unfusable, Weight, lift, lift_of

__all__ = [
    "Context",
    "Lift",
    "Node",
    "ProgramNode",
    "Unfusable",
    "Weight",
    "activation",
    "dense",
    "dropout",
    "lift",
    "lift_of",
    "normalization",
    "prelu",
]
