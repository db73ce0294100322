"""Networks of different depth in one program: a layer that a member does not have passes its input on.

A chain of layers on flat rows, such as `Dense, Activation, Dense, Activation`, is laid into a longer one of the same
kinds, its template: from the front, and its output layer at the end. What is in between is absent. An absent dropout
has the rate 0; of any other absent layer the program takes the input in place of the output, for that member alone, so
that neither its weights, which stay zeros, nor its function have any effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from unitune.engine.graph import Graph, Reading
from unitune.engine.lift.base import Key, Node, ProgramNode
from unitune.engine.lift.widths import Layout, sources

SKIP = "skip"
"""The number of a node that is 1 for the members in which it is absent."""

_SKIPPED = frozenset({"Dense", "Activation", "BatchNormalization", "LayerNormalization"})
_PASSING = frozenset({"Dropout"})  # at the rate 0, bit for bit


def head_of(graph: Graph) -> Key | None:
    """The kinds of the nodes from the output layer on, and its width; None where a network fits into no longer one."""
    nodes, last = graph.nodes, len(graph.nodes) - 1
    chain = all(
        node.inputs == (index - 1,)
        and node.owner < 0
        and len(node.shape) == 1
        and not (node.dtype or node.exact_width)
        and node.layout in ("own", "in", "first")
        for index, node in enumerate(nodes)
    )
    if not chain or graph.outputs != (last,) or not graph.exact <= sources(graph.layouts[last]):
        return None
    return tuple(map(kind_of, nodes[_head(nodes) :])), nodes[last].width


def kind_of(node: Node | ProgramNode) -> Key:
    """What must be equal for a layer of one network to be computed as that of another."""
    return (node.kind, node.static, node.weights, node.random)


def _head(nodes: Sequence[Node | ProgramNode]) -> int:
    """The place of the output layer: the last one with weights."""
    return max((index for index, node in enumerate(nodes) if node.weights), default=0)


def _may_be_absent(kind: Key) -> bool:
    return kind[0] in _SKIPPED or kind[0] in _PASSING


def fitted(own: Sequence[Key], template: Sequence[Key]) -> list[int] | None:
    """The places of some kinds among those of a template, in their order; None where they do not fit.

    The first is never absent.

    Example:
        >>> dense, relu, drop = (("Dense", (), (), False), ("Activation", (), (), False), ("Dropout", (), (), True))
        >>> fitted([dense, relu], [dense, relu, drop, dense, relu])
        [0, 1]
    """
    places: list[int] = []
    for place, kind in enumerate(template):
        if len(places) < len(own) and kind == own[len(places)]:
            places.append(place)
        elif not _may_be_absent(kind) or place == 0:
            return None
    return places if len(places) == len(own) else None


def joined_kinds(one: Sequence[Key], two: Sequence[Key]) -> list[tuple[int, int]] | None:
    """The shortest sequence in which two others lie: the places of each of its kinds in either, -1 where it has none.

    None where something would have to be absent that cannot be.
    """
    lengths = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i in reversed(range(len(one))):
        for j in reversed(range(len(two))):
            same = one[i] == two[j]
            lengths[i][j] = 1 + lengths[i + 1][j + 1] if same else max(lengths[i + 1][j], lengths[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(one) or j < len(two):
        if i < len(one) and j < len(two) and one[i] == two[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif j == len(two) or (i < len(one) and lengths[i + 1][j] >= lengths[i][j + 1]):
            pairs.append((i, -1))
            i += 1
        else:
            pairs.append((-1, j))
            j += 1
    alone = [one[i] if i >= 0 else two[j] for i, j in pairs if i < 0 or j < 0]
    if not all(map(_may_be_absent, alone)) or (pairs and min(pairs[0]) < 0):
        return None
    return pairs


def joined_template(one: Sequence[Node], two: Sequence[Node]) -> tuple[Node, ...] | None:
    """The nodes of a network into which two others of a family can be laid; None where there is none."""
    kinds = [[kind_of(node) for node in nodes] for nodes in (one, two)]
    heads = _head(one), _head(two)
    pairs = joined_kinds(kinds[0][: heads[0]], kinds[1][: heads[1]])
    if pairs is None:
        return None
    chosen = [one[i] if i >= 0 else two[j] for i, j in pairs] + list(one[heads[0] :])
    return tuple(replace(node, inputs=(index - 1,), absent=False) for index, node in enumerate(chosen))


def laid_out(reading: Reading, template: Sequence[Node | ProgramNode]) -> Reading | None:
    """A network as one of the layers of a template, some of them absent; None where it does not fit.

    Args:
        reading: Of the member.
        template: The nodes of a program, or of what is to be one.
    """
    if len(template) == len(reading.nodes):
        return reading
    head, end = _head(reading.nodes), _head(template)
    kinds, wanted = [kind_of(node) for node in reading.nodes], [kind_of(node) for node in template]
    front = fitted(kinds[:head], wanted[:end])
    if front is None or kinds[head:] != wanted[end:] or (head == 0 and end > 0):
        return None
    own = {place: number for number, place in enumerate([*front, *range(end, len(template))])}
    nodes: list[Node] = []
    functions: list[Any] = []
    layouts: list[Layout] = []
    given = iter(reading.functions)
    for place, like in enumerate(template):
        is_own = place in own
        node = replace(reading.nodes[own[place]], inputs=(place - 1,)) if is_own else _absent(like, nodes[-1])
        if node.kind == "Activation":
            # An absent one is whatever its tile has in any case.
            functions.append(next(given) if is_own else functions[-1] if functions else None)
        layouts.append((place,) if node.layout == "own" else layouts[-1] if layouts else (-1,))
        nodes.append(node)
    first = next(function for function in functions if function is not None)
    last = len(nodes) - 1
    return replace(
        reading,
        graph=replace(
            reading.graph,
            nodes=tuple(nodes),
            layouts=tuple(layouts),
            exact=frozenset(sources(layouts[last])),
            outputs=(last,),
        ),
        outputs=tuple(replace(output, node=last) for output in reading.outputs),
        widths=tuple(node.width for node in nodes),
        functions=tuple(first if function is None else function for function in functions),
        group=(reading.family, tuple(wanted)),
    )


def _absent(like: Node | ProgramNode, before: Node) -> Node:
    """A node in whose place a member passes on what comes before."""
    return Node(
        kind=like.kind,
        shape=before.shape,
        inputs=like.inputs,
        static=like.static,
        weights=like.weights,
        numbers={SKIP: 1.0} if like.kind in _SKIPPED else {},
        layout="own" if like.kind == "Dense" else "in",
        random=like.random,
        work=like.work if isinstance(like, Node) else 0.0,
        layer=before.layer,
        absent=True,
    )
