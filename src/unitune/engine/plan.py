"""The plan: which members share a program and a tile, from an estimate of compile time against wasted arithmetic.

Members that can share a program at all form a group. A group is cut into buckets of similar widths, each padded to its
widest member; a bucket is cut into tiles that fit a core's cache and hold rows of one split. Each further program
costs about a second to compile, so a cut is made only where it saves more arithmetic than that.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unitune.engine.contract import Job
from unitune.engine.lift.base import Key, Node, ProgramNode
from unitune.engine.lift.optimizer import join_optimizers
from unitune.engine.program import ProgramKey
from unitune.engine.reading import Reading, member_bytes, member_cost
from unitune.records import Array

# Measured on one core: a program of one hidden layer, each further node, each further block of activations.
COMPILE_S = 0.6
COMPILE_NODE_S = 0.07
COMPILE_RUN_S = 0.06
TILE_BYTES = 3 * 2**20
MAX_TILE = 64
BLOCK_ROWS = 128
MAX_CHUNK = 200


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The sizes of the data, over all splits of a run.

    Attributes:
        train: `(split,)` training rows.
        validation: `(split,)` validation rows.
        features: Most features of any split.
        weighted: Whether any split has row weights.
        dtype: Floating type of the features.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    features: int
    weighted: bool
    dtype: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """Members that one call trains. `slots[i]` is the index of a job, or -1 for a slot that only fills the tile up."""

    key: ProgramKey
    split: int
    slots: Array
    expected_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Programs and tiles for a list of jobs, and what they are expected to cost.

    Attributes:
        tiles: In the order in which they should start.
        compile_s: Expected seconds of compiling, on one core.
        run_s: Expected seconds of training, on one core.
        waste: Share of the arithmetic that is spent on padded units and empty slots.
        n_members: Members in all tiles.
        threads: Threads that the plan counts on.
    """

    tiles: tuple[Tile, ...]
    compile_s: float
    run_s: float
    waste: float
    n_members: int
    threads: int
    compiled: frozenset[ProgramKey] = field(default_factory=frozenset)

    @property
    def n_programs(self) -> int:
        """How many programs there are, compiled already or not."""
        return len({tile.key for tile in self.tiles})

    def __str__(self) -> str:
        known = len({tile.key for tile in self.tiles} & self.compiled)
        reused = f" ({known} compiled before)" if known else ""
        return (
            f"{self.n_members:,} members in {self.n_programs} program{'s' * (self.n_programs != 1)}{reused} and "
            f"{len(self.tiles)} tile{'s' * (len(self.tiles) != 1)}; {self.waste:.0%} padding; "
            f"about {(self.compile_s + self.run_s) / self.threads:.1f} s on {self.threads} "
            f"thread{'s' * (self.threads != 1)}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bucket:
    """Members of one group, with the widths that they are padded to."""

    members: Array
    widths: Array


def make_plan(
    jobs: Sequence[Job],
    readings: Sequence[Reading],
    rows: Rows,
    *,
    threads: int,
    probes: bool,
    backend: str,
    compiled: frozenset[ProgramKey] = frozenset(),
) -> Plan:
    """Plans the training of jobs that can all be fused.

    Args:
        jobs: The members.
        readings: One for each job.
        rows: Sizes of the data.
        threads: Tiles that run at a time.
        probes: Whether probes are taken.
        backend: Of the programs.
        compiled: Programs that this process has already.
    """
    groups: dict[Key, list[int]] = defaultdict(list)
    for index, reading in enumerate(readings):
        groups[reading.group].append(index)
    tiles: list[Tile] = []
    useful = 0.0
    for indices in groups.values():
        members = np.array(indices)
        steps = _steps(jobs, members, rows)
        for bucket in _buckets(readings, members, steps, rows, jobs[indices[0]].training.batch_size, threads):
            tiles += _tiles(jobs, readings, bucket, steps, rows, threads, probes, backend)
        batch = jobs[indices[0]].training.batch_size
        for index in indices:
            reading = readings[index]
            cost = member_cost(reading.nodes, np.array(reading.widths), rows.features, batch)
            useful += cost * steps[index]
    new = {tile.key for tile in tiles} - compiled
    run_s = sum(tile.expected_s for tile in tiles)
    return Plan(
        tiles=tuple(_interleave(tiles)),
        compile_s=sum(_compile_s(len(key.nodes), _n_runs(key)) for key in new),
        run_s=run_s,
        waste=max(0.0, 1.0 - useful / run_s) if run_s else 0.0,
        n_members=len(jobs),
        threads=threads,
        compiled=compiled,
    )


def _steps(jobs: Sequence[Job], members: Array, rows: Rows) -> dict[int, int]:
    """Training steps of each member, if it runs to its last epoch."""
    return {
        int(i): jobs[i].training.epochs * math.ceil(rows.train[jobs[i].split] / jobs[i].training.batch_size)
        for i in members
    }


def _compile_s(n_nodes: int, n_runs: int) -> float:
    return COMPILE_S + COMPILE_NODE_S * max(0, n_nodes - 4) + COMPILE_RUN_S * max(0, n_runs - 1)


def _n_runs(key: ProgramKey) -> int:
    return sum(max(1, len(node.runs)) for node in key.nodes if node.kind == "Activation")


# Buckets of widths ----------------------------------------------------------------------------------------------


def _buckets(
    readings: Sequence[Reading], members: Array, steps: dict[int, int], rows: Rows, batch: int, threads: int
) -> list[_Bucket]:
    """Cuts a group wherever a second program saves more than it costs; the cut is at a width of one layer."""
    widths = np.array([readings[i].widths for i in members])
    weight = np.array([steps[int(i)] for i in members], float)
    nodes = readings[members[0]].nodes
    price = _compile_s(len(nodes), len({readings[i].functions for i in members}))

    def cost(chosen: Array) -> float:
        padded = widths[chosen].max(axis=0)
        return member_cost(nodes, padded, rows.features, batch) * float(weight[chosen].sum())

    def cut(chosen: Array, here: float) -> list[Array]:
        best_gain, best = price, None
        distinct = [np.unique(widths[chosen, layer]) for layer in range(widths.shape[1])]
        for layer, values in enumerate(distinct):
            if nodes[layer].kind != "Dense":
                continue
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
        _Bucket(members=members[chosen], widths=widths[chosen].max(axis=0)) for chosen in cut(everyone, cost(everyone))
    ]


# Tiles ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How a tile's slots are shared out: slots for each combination of activations, or `combos` None: any mix."""

    combos: tuple[tuple[tuple[Key, ...], int], ...] | None
    functions: tuple[tuple[Key, ...], ...]
    size: int
    n_tiles: tuple[int, ...]
    cost_s: float


def _tiles(
    jobs: Sequence[Job],
    readings: Sequence[Reading],
    bucket: _Bucket,
    steps: dict[int, int],
    rows: Rows,
    threads: int,
    probes: bool,
    backend: str,
) -> list[Tile]:
    first = jobs[bucket.members[0]]
    nodes = readings[bucket.members[0]].nodes
    batch = first.training.batch_size
    by_split: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index in bucket.members:
        by_split[jobs[index].split, jobs[index].member.seed].append(int(index))
    itemsize = 8 if rows.dtype == "float64" else 4
    footprint = member_bytes(nodes, bucket.widths, rows.features, batch, itemsize)
    largest = int(np.clip(TILE_BYTES // max(1, footprint), 4, MAX_TILE))
    mean_steps = float(np.mean([steps[int(i)] for i in bucket.members]))
    layout_groups = _layouts(readings, by_split, nodes, bucket.widths, rows, batch, largest, threads, mean_steps)
    tiles = []
    for layout, chosen in layout_groups:
        members = [index for part in chosen.values() for index in part]
        key = _key(jobs, readings, members, bucket.widths, layout, rows, probes, backend)
        alternatives = max((len(f) for f in layout.functions), default=1) if layout.combos is None else 1
        step_s = member_cost(nodes, bucket.widths, rows.features, batch, alternatives)
        for (split, _), part in chosen.items():
            ordered = sorted(part, key=lambda i: (readings[i].widths, jobs[i].training.epochs))
            for slots in fill(ordered, readings, key):
                live = [int(i) for i in slots if i >= 0]
                longest = max(steps[i] for i in live)
                tiles.append(Tile(key=key, split=split, slots=slots, expected_s=step_s * layout.size * longest))
    return tiles


def _layouts(
    readings: Sequence[Reading],
    by_split: dict[tuple[int, int], list[int]],
    nodes: tuple[Node, ...],
    widths: Array,
    rows: Rows,
    batch: int,
    largest: int,
    threads: int,
    steps: float,
) -> list[tuple[_Layout, dict[tuple[int, int], list[int]]]]:
    """The cheapest of: blocks of activations in one program; a program for each combination; selection by number."""
    counts = [Counter(readings[i].functions for i in part) for part in by_split.values()]
    combos = sorted({combo for count in counts for combo in count}, key=repr)
    most = {combo: max(count[combo] for count in counts) for combo in combos}
    functions = tuple(tuple(dict.fromkeys(combo[layer] for combo in combos)) for layer in range(len(combos[0])))
    n_compiled_nodes = len(nodes)

    def blocks(chosen: list[tuple[Key, ...]]) -> _Layout:
        best = None
        total = sum(most[combo] for combo in chosen)
        fewest = max(1, math.ceil(total / largest))
        for n_tiles in range(fewest, fewest * 2 + 3):
            slots = tuple((combo, math.ceil(most[combo] / n_tiles)) for combo in chosen)
            size = sum(n for _, n in slots)
            used = [max(math.ceil(count[combo] / n) for combo, n in slots) for count in counts]
            run = member_cost(nodes, widths, rows.features, batch) * size * steps * sum(used)
            # Tiles cannot be shared between threads: the last round may leave some idle.
            rounds = math.ceil(sum(used) / threads) * threads / max(1, sum(used))
            runs = sum(len(_runs(slots, layer)) for layer in range(len(chosen[0])))
            cost = run * rounds / threads + _compile_s(n_compiled_nodes, runs)
            if size <= 2 * largest and (best is None or cost < best.cost_s):
                best = _Layout(
                    combos=slots,
                    functions=tuple(tuple(dict.fromkeys(c[layer] for c in chosen)) for layer in range(len(chosen[0]))),
                    size=size,
                    n_tiles=tuple(used),
                    cost_s=cost,
                )
        if best is None:
            return _Layout(combos=(), functions=functions, size=0, n_tiles=(), cost_s=math.inf)
        return best

    def selected() -> _Layout:
        alternatives = max(len(f) for f in functions)
        sizes = [sum(count.values()) for count in counts]
        fewest = math.ceil(max(sizes) / largest)
        size = math.ceil(max(sizes) / fewest)
        if len(by_split) == 1 and threads > 1 and size >= 2 * threads:
            size = math.ceil(size / threads)
        used = tuple(math.ceil(n / size) for n in sizes)
        run = member_cost(nodes, widths, rows.features, batch, alternatives) * size * steps * sum(used)
        runs = sum(len(f) for f in functions)
        return _Layout(
            combos=None,
            functions=functions,
            size=size,
            n_tiles=used,
            cost_s=run / threads + _compile_s(n_compiled_nodes, runs),
        )

    together = blocks(combos)
    candidates: list[tuple[float, list[tuple[_Layout, list[tuple[Key, ...]]]]]] = [
        (together.cost_s, [(together, combos)])
    ]
    if len(combos) > 1:
        apart = [(blocks([combo]), [combo]) for combo in combos] if len(combos) <= 16 else []
        if apart:
            # Programs compile side by side on the threads.
            compile_s = sum(_compile_s(n_compiled_nodes, 1) for _ in apart)
            run_s = sum(layout.cost_s for layout, _ in apart) - compile_s
            candidates.append((run_s + compile_s / threads, apart))
        mixed = selected()
        candidates.append((mixed.cost_s, [(mixed, combos)]))
    _, best = min(candidates, key=lambda candidate: candidate[0])
    return [
        (layout, {where: [i for i in part if readings[i].functions in set(chosen)] for where, part in by_split.items()})
        for layout, chosen in best
    ]


def fill(members: Sequence[int], readings: Sequence[Reading], key: ProgramKey) -> list[Array]:
    """Members into as few tiles of a program as hold them, each where the layout has its activations.

    Returns:
        For each tile its slots: indices of members, -1 where none is left.
    """
    places: dict[Key, list[int]] = defaultdict(list)
    for place in range(key.members):
        places[layout_at(key, place)].append(place)
    waiting: dict[Key, list[int]] = defaultdict(list)
    for index in members:
        functions = readings[index].functions
        fixed = tuple(f if n.runs else None for f, n in zip(functions, activations(key), strict=True))
        waiting[fixed].append(index)
    n_tiles = max((math.ceil(len(mine) / len(places[combo])) for combo, mine in waiting.items()), default=0)
    tiles = [np.full(key.members, -1) for _ in range(n_tiles)]
    for combo, mine in waiting.items():
        room = places[combo]
        for number, index in enumerate(mine):
            tiles[number // len(room)][room[number % len(room)]] = index
    return tiles


def activations(key: ProgramKey) -> list[ProgramNode]:
    """The activation nodes of a program."""
    return [node for node in key.nodes if node.kind == "Activation"]


def layout_at(key: ProgramKey, place: int) -> tuple[Key, ...]:
    """The activations for which a slot is laid out; None where any will do."""
    return tuple(
        next((function for function, start, stop in node.runs if start <= place < stop), None)
        for node in activations(key)
    )


def _runs(slots: tuple[tuple[tuple[Key, ...], int], ...], layer: int) -> tuple[tuple[Key, int, int], ...]:
    """Contiguous members with the same activation in a layer."""
    runs: list[tuple[Key, int, int]] = []
    place = 0
    for combo, n in slots:
        key = combo[layer]
        if runs and runs[-1][0] == key:
            runs[-1] = (key, runs[-1][1], place + n)
        else:
            runs.append((key, place, place + n))
        place += n
    return tuple(runs)


def _key(
    jobs: Sequence[Job],
    readings: Sequence[Reading],
    members: list[int],
    widths: Array,
    layout: _Layout,
    rows: Rows,
    probes: bool,
    backend: str,
) -> ProgramKey:
    first = readings[members[0]]
    training = jobs[members[0]].training
    own = np.array([readings[i].widths for i in members])
    nodes: list[ProgramNode] = []
    width_in, activation = rows.features, 0
    for index, node in enumerate(first.nodes):
        width = int(widths[index])
        used = frozenset(name for name in node.numbers if any(readings[i].nodes[index].numbers[name] for i in members))
        runs: tuple[tuple[Key, int, int], ...] = ()
        functions: tuple[Key, ...] = ()
        if node.kind == "Activation":
            functions = layout.functions[activation]
            runs = _runs(layout.combos, activation) if layout.combos is not None else ()
            if len(functions) == 1:
                runs = ((functions[0], 0, layout.size),)
            activation += 1
        nodes.append(
            ProgramNode(
                index=index,
                kind=node.kind,
                width_in=width_in,
                width=width,
                static=node.static,
                weights=node.weights,
                padded=bool((own[:, index] < width).any()),
                used=used,
                runs=runs,
                functions=functions,
            )
        )
        width_in = width
    epochs = [jobs[i].training.epochs for i in members]
    early = [jobs[i].training.early_stopping for i in members]
    stopping = any(early) or len(set(epochs)) > 1
    longest = max(epochs)
    chunk = longest if longest <= MAX_CHUNK and not any(early) else min(MAX_CHUNK, max(5, math.ceil(longest / 8)))
    most = max(n + v for n, v in zip(rows.train, rows.validation, strict=True))
    return ProgramKey(
        nodes=tuple(nodes),
        optimizer=join_optimizers([readings[i].optimizer for i in members]),
        loss=first.loss,
        metrics=first.metrics,
        members=layout.size,
        features=rows.features,
        outputs=first.nodes[-1].width,
        batch_size=training.batch_size,
        train_rows=math.ceil(max(rows.train) / training.batch_size) * training.batch_size,
        all_rows=math.ceil(most / BLOCK_ROWS) * BLOCK_ROWS,
        block_rows=BLOCK_ROWS,
        chunk=chunk,
        weighted=rows.weighted,
        stopping=stopping,
        plateau=training.plateau is not None,
        probes=probes,
        dtype=rows.dtype,
        backend=backend,
    )


def _interleave(tiles: list[Tile]) -> list[Tile]:
    """Programs take turns, so that threads start by compiling different ones."""
    by_key: dict[ProgramKey, list[Tile]] = defaultdict(list)
    for tile in sorted(tiles, key=lambda tile: -tile.expected_s):
        by_key[tile.key].append(tile)
    queues = sorted(by_key.values(), key=lambda queue: -sum(tile.expected_s for tile in queue))
    order = []
    while queues:
        for queue in queues:
            order.append(queue.pop(0))
        queues = [queue for queue in queues if queue]
    return order
