"""What a lift needs: the form in which a layer of yours acts on all members at once (`unitune.register_lift`)."""

from unitune.engine.lift import (
    Context,
    Lift,
    Node,
    ProgramNode,
    Unfusable,
    Weight,
    along_width,
    folded,
    masked,
    register_lift,
    unfolded,
)

__all__ = [
    "Context",
    "Lift",
    "Node",
    "ProgramNode",
    "Unfusable",
    "Weight",
    "along_width",
    "folded",
    "masked",
    "register_lift",
    "unfolded",
]
