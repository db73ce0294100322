"""Members of similar widths, and the program that fits them exactly."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from unitune.engine.contract import Job
from unitune.engine.cost import compile_cost, member_cost
from unitune.engine.graph import Reading
from unitune.engine.lift.base import Key, ProgramNode
from unitune.engine.lift.several_optimizers import optimizer_nodes
from unitune.engine.lift.widths import layout_width
from unitune.engine.program_key import ProgramKey
from unitune.engine.reading import weight_order
from unitune.models.shape_rules import Shape
from unitune.records import Array

BLOCK_ROWS = 64
MAX_CHUNK = 200
_FEW_ROWS = 8192


@dataclass(frozen=True, kw_only=True)
class RowSizes:
    """The sizes of the data, over all splits of a run.

    Attributes:
        train: `(split,)` training rows.
        validation: `(split,)` validation rows.
        inputs: `(split,)`, for each input the shape of a row.
        weighted: Whether any split has row weights.
        dtype: Floating type of the features.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    inputs: tuple[tuple[Shape, ...], ...]
    weighted: bool
    dtype: str

    @property
    def features(self) -> tuple[int, ...]:
        """The width of each input: the most features of any split."""
        widths = [[shape[-1] for shape in own] for own in self.inputs]
        return tuple(max(filled) for filled in zip_longest(*widths, fillvalue=0))

    def inputs_of(self, split: int, exact: Collection[int]) -> tuple[Shape, ...]:
        """The padded shape of a row of each input, for members on this split.

        Args:
            split: Others may have rows of other shapes, where a part of a network is computed once, say.
            exact: Inputs (`-1 - k`) whose width is not padded to that of the widest split of the same form.
        """
        own = self.inputs[split]
        alike = [other for other in self.inputs if [one[:-1] for one in other] == [one[:-1] for one in own]]
        return tuple(
            shape if -1 - k in exact else (*shape[:-1], max(other[k][-1] for other in alike))
            for k, shape in enumerate(own)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Bucket:
    """Members of one group, with the widths that they are padded to."""

    members: Array
    widths: Array


def buckets_of(
    readings: Sequence[Reading], members: Array, steps: Mapping[int, int], rows: RowSizes, batch: int
) -> list[Bucket]:
    """Cuts a group wherever a second program saves more than it costs; the cut is at a width of one layer."""
    widths = np.array([readings[i].widths for i in members])
    weight = np.array([steps[int(i)] for i in members], float)
    nodes = readings[members[0]].nodes
    # An activation counts once for each layer in which it occurs, less the one that every layer has.
    in_layers = {placed for i in members for placed in enumerate(readings[i].functions)}
    price = compile_cost(nodes, len(in_layers) - len(readings[members[0]].functions) + 1)

    def cost(chosen: Array) -> float:
        padded = widths[chosen].max(axis=0)
        return member_cost(nodes, padded, rows.features, batch) * float(weight[chosen].sum())

    def cut(chosen: Array, here: float) -> list[Array]:
        best_gain, best = price, None
        for layer, node in enumerate(nodes):
            if node.layout != "own":
                continue
            values = np.unique(widths[chosen, layer])
            for value in values[:-1][:: max(1, len(values) // 32)]:
                low = widths[chosen, layer] <= value
                gain = here - cost(chosen[low]) - cost(chosen[~low])
                if gain > best_gain:
                    best_gain, best = gain, (chosen[low], chosen[~low])
        if best is None:
            return [chosen]
        return cut(best[0], cost(best[0])) + cut(best[1], cost(best[1]))

    everyone = np.arange(len(members))
    return [
        Bucket(members=members[chosen], widths=widths[chosen].max(axis=0)) for chosen in cut(everyone, cost(everyone))
    ]


def key_of(
    jobs: Sequence[Job],
    readings: Sequence[Reading],
    bucket: Bucket,
    size: int,
    rows: RowSizes,
    probes: bool,
    backend: str,
) -> ProgramKey:
    """The program that fits a bucket exactly, in tiles of `size` members; the rest as in `make_plan`."""
    members, widths = bucket.members.tolist(), bucket.widths
    first = readings[members[0]]
    training = jobs[members[0]].training
    own = np.array([readings[i].widths for i in members])
    nodes: list[ProgramNode] = []
    inputs = rows.inputs_of(jobs[members[0]].split, first.graph.exact)
    padded = {-1 - k: shape[-1] for k, shape in enumerate(inputs)}
    padded |= {index: int(width) for index, width in enumerate(widths)}
    shapes: dict[int, Shape] = {-1 - k: shape for k, shape in enumerate(inputs)}
    activation = 0
    for index, node in enumerate(first.nodes):
        layout = first.graph.layouts[index]
        width = layout_width(layout, padded)
        names = sorted({name for i in members for name in readings[i].nodes[index].numbers})
        used = frozenset(name for name in names if any(readings[i].nodes[index].numbers.get(name) for i in members))
        functions: tuple[Key, ...] = ()
        if node.kind == "Activation":
            functions = tuple(sorted({readings[i].functions[activation] for i in members}, key=repr))
            activation += 1
        nodes.append(
            ProgramNode(
                index=index,
                kind=node.kind,
                inputs=node.inputs,
                in_shapes=tuple(shapes[i] for i in node.inputs),
                shape=(*node.shape[:-1], width),
                layout=layout,
                static=node.static,
                weights=node.weights,
                padded=bool((own[:, index] < width).any()),
                used=used,
                functions=functions,
                random=node.random,
                owner=node.owner,
            )
        )
        shapes[index] = nodes[-1].shape
    epochs = [jobs[i].training.epochs for i in members]
    early = [jobs[i].training.each_stopping for i in members]
    stopping = any(early) or len(set(epochs)) > 1
    longest = max(epochs)
    may_end = any(one.patience < n for own, n in zip(early, epochs, strict=True) for one in own)
    chunk = longest if longest <= MAX_CHUNK and not may_end else min(MAX_CHUNK, max(5, math.ceil(longest / 8)))
    # A mask's share of the loss is that of a whole batch.
    masked = any(output.mask is not None for output in first.outputs)
    block = training.batch_size * max(1, BLOCK_ROWS // training.batch_size) if masked else BLOCK_ROWS
    most = max(n + v for n, v in zip(rows.train, rows.validation, strict=True))
    return ProgramKey(
        nodes=tuple(nodes),
        weight_order=tuple(weight_order(first.nodes)),
        outputs=first.outputs,
        weighs_losses=first.weighs_losses,
        optimizers=optimizer_nodes([readings[i].optimizer for i in members]),
        members=size,
        inputs=tuple(
            (shape, dtype or rows.dtype) for shape, dtype in zip(inputs, input_types(jobs[members[0]]), strict=True)
        ),
        batch_size=training.batch_size,
        train_rows=padded_rows(max(rows.train), training.batch_size),
        all_rows=padded_rows(most, block),
        block_rows=block,
        chunk=chunk,
        weighted=rows.weighted,
        stopping=stopping,
        further_stops=len(training.further_stopping),
        plateau=training.plateau is not None,
        probes=probes,
        dtype=rows.dtype,
        backend=backend,
        settings=first.settings,
    )


def padded_rows(n_rows: int, unit: int) -> int:
    """Room for some rows, in whole units, and of few sizes, so that other data find the same program.

    Rows that are not there are not computed: they cost memory alone, at most an eighth, and none beyond 8,192 rows.

    Example:
        >>> padded_rows(455, 32), padded_rows(500, 32), padded_rows(100_000, 32)
        (480, 512, 100000)
    """
    units = math.ceil(n_rows / unit)
    if n_rows <= _FEW_ROWS:
        step = 2 ** max(0, units.bit_length() - 4)
        units = math.ceil(units / step) * step
    return units * unit


def input_types(job: Job) -> tuple[str, ...]:
    """The type of each input, where it is not that of the rows."""
    return tuple(spec.dtype for spec in job.blueprint.inputs) or ("",)
