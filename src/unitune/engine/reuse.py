"""The programs that a search has planned before, and which of them can train what comes next.

A strategy that learns asks for some configurations at a time, and each batch differs a little in its widest layer and
in its activations. Compiling for each of them anew would take most of the search.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from unitune.engine.lift.base import Key, Node, ProgramNode
from unitune.engine.lift.optimizer import OptimizerNode
from unitune.engine.lift.several_optimizers import in_order, may_mix
from unitune.engine.lift.widths import layout_width
from unitune.engine.program_key import ProgramKey

# What the programs of a group may differ in and still be made one; `nodes` and `optimizers` have rules of their own.
_FREE = frozenset({"nodes", "optimizers", "members", "chunk", "stopping"})
_FREE_OF_NODES = frozenset({"in_shapes", "shape", "padded", "used", "functions"})


class KnownPrograms:
    """The programs that were planned so far, by what members must share to use them.

    What was decided once stays decided: a search that goes on, and plans again what it planned before, comes to the
    same programs, and so to the same bits.
    """

    def __init__(self) -> None:
        self._of_family: dict[Key, dict[ProgramKey, tuple[Node, ...]]] = defaultdict(dict)
        self._decided: dict[tuple[Key, ProgramKey], ProgramKey] = {}

    def of(self, family: Key) -> Mapping[ProgramKey, tuple[Node, ...]]:
        """The programs of a family, and their layers."""
        return self._of_family[family]

    def choose(
        self,
        family: Key,
        own: ProgramKey,
        nodes: tuple[Node, ...],
        *,
        run_s: Callable[[ProgramKey], float],
        compile_s: float,
    ) -> ProgramKey:
        """The program for members that a program of their own would fit exactly.

        Args:
            family: What the members share, as `Reading.family`.
            own: Their own program.
            nodes: Its layers.
            run_s: What training them in a program takes, in core seconds.
            compile_s: What compiling their own takes.

        Returns:
            A known program, if that ends sooner; else their own, or one that serves the known members too, where that
            costs no more than compiling again would.
        """
        decision = (family, own)
        if decision not in self._decided:
            known = self._of_family[family]
            limit = run_s(own) + compile_s
            fitting = [key for key in known if covers(key, own)]
            wider = [key for key in (joined(key, own) for key in known) if key is not None]
            # The latest of equals: it serves most.
            chosen = min(reversed(fitting), key=run_s, default=own)
            if run_s(chosen) > limit or chosen is own:
                chosen = min(reversed(wider), key=run_s, default=own)
                chosen = chosen if run_s(chosen) <= limit else own
            known.setdefault(chosen, nodes)
            self._decided[decision] = chosen
        return self._decided[decision]


def covers(key: ProgramKey, other: ProgramKey) -> bool:
    """Whether a program can train what another of its group is for, with the same result."""
    wide = joined(key, other)
    return wide is not None and replace(wide, members=key.members, chunk=key.chunk) == key


def joined(key: ProgramKey, other: ProgramKey) -> ProgramKey | None:
    """A program that can train what either of two is for, in tiles as for the second; None where the rows differ."""
    if any(getattr(key, name) != getattr(other, name) for name in _fixed(ProgramKey, _FREE)):
        return None
    families = {node.family for one in (key, other) for node in one.optimizers}
    if len(key.nodes) != len(other.nodes) or (len(families) > 1 and not all(map(may_mix, families))):
        return None
    inputs = {-1 - k: shape for k, (shape, _) in enumerate(key.inputs)}
    nodes: list[ProgramNode] = []
    for one, two in zip(key.nodes, other.nodes, strict=True):
        if any(getattr(one, name) != getattr(two, name) for name in _fixed(ProgramNode, _FREE_OF_NODES)):
            return None
        shapes = {**inputs, **{node.index: node.shape for node in nodes}}
        widths = {place: shape[-1] for place, shape in shapes.items()}
        widths.setdefault(one.index, max(one.width, two.width))
        width = layout_width(one.layout, widths)
        nodes.append(
            replace(
                one,
                in_shapes=tuple(shapes[place] for place in one.inputs),
                shape=(*one.shape[:-1], width),
                padded=one.padded or two.padded or one.width < width or two.width < width,
                used=one.used | two.used,
                functions=tuple(sorted({*one.functions, *two.functions}, key=repr)),
            )
        )
    grows = any(node.width > two.width for node, two in zip(nodes, other.nodes, strict=True))
    return replace(
        other,
        nodes=tuple(nodes),
        # What fitted the memory may not when it is wider.
        members=min(key.members, other.members) if grows else other.members,
        optimizers=_joined_optimizers(key.optimizers, other.optimizers),
        chunk=max(key.chunk, other.chunk),
        stopping=key.stopping or other.stopping,
    )


def _joined_optimizers(some: tuple[OptimizerNode, ...], others: tuple[OptimizerNode, ...]) -> tuple[OptimizerNode, ...]:
    """Of each family the one that serves both programs."""
    found = {node.family: node for node in some}
    for node in others:
        found[node.family] = _joined_optimizer(found[node.family], node) if node.family in found else node
    return in_order(found.values())


def _joined_optimizer(one: OptimizerNode, two: OptimizerNode) -> OptimizerNode:
    """Settings on which the two do not agree differ by member."""
    mine, theirs = dict(one.static), dict(two.static)
    static = {name: value for name, value in mine.items() if name in theirs and theirs[name] == value}
    varying = {*one.varying, *two.varying, *(mine.keys() ^ theirs.keys()), *(mine.keys() - static.keys())}
    return replace(
        one,
        static=tuple(sorted(static.items())),
        varying=tuple(name for name in _names(one, two) if name in varying),
        decays=one.decays or two.decays,
    )


def _names(one: OptimizerNode, two: OptimizerNode) -> list[str]:
    """The settings of two optimizers, those that differ by member already in their order."""
    return list(dict.fromkeys([*one.varying, *two.varying, *sorted(dict(one.static)), *sorted(dict(two.static))]))


def _fixed(kind: Any, free: frozenset[str]) -> list[str]:
    """The attributes in which programs, or nodes, must be equal."""
    return [field.name for field in fields(kind) if field.name not in free]
