"""The plan: which members share a program and a tile, from an estimate of compile time against wasted arithmetic.

Members that can share a program at all form a group. A group is cut into buckets of similar widths, each padded to its
widest member; a bucket is cut into tiles that fit a core's cache and hold rows of one split. Each further program
costs about a second to compile, so a cut is made only where it saves more arithmetic than that, and programs that were
planned before are used again where that is cheaper.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from unitune.engine.buckets import Bucket, RowSizes, buckets_of, key_of
from unitune.engine.contract import Job, Take
from unitune.engine.cost import FIT, compile_cost, epochs_cost, member_bytes, member_cost, step_cost, trace_cost
from unitune.engine.device import Device
from unitune.engine.families import Cluster, Families
from unitune.engine.graph import Reading
from unitune.engine.lift.base import Key, ProgramNode
from unitune.engine.paused import Paused
from unitune.engine.program_key import ProgramKey, Tile
from unitune.engine.programs import share_to_compile
from unitune.engine.reuse import KnownPrograms
from unitune.engine.stretch import laid_out
from unitune.engine.worth import Ledger
from unitune.models.blueprint import Training
from unitune.records import Array, counted

PATIENCES = 4
"""With early stopping networks train for about so many times their patience, where that follows from the rows."""


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
        compiled: Programs that the process has already.
        by_fit: The numbers of the jobs that are in no tile, because plain `fit` trains them sooner.
    """

    tiles: tuple[Tile, ...]
    compile_s: float
    run_s: float
    waste: float
    n_members: int
    threads: int
    compiled: frozenset[ProgramKey] = field(default_factory=frozenset)
    by_fit: tuple[int, ...] = ()

    @property
    def n_programs(self) -> int:
        """How many programs there are, compiled already or not."""
        return len({tile.key for tile in self.tiles})

    def __str__(self) -> str:
        n_fit = len(self.by_fit)
        fitted = f"{counted(n_fit, 'member')} with plain `fit`, for which compiling takes longer"
        if not self.tiles:
            return fitted
        known = len({tile.key for tile in self.tiles} & self.compiled)
        reused = f" ({known} compiled before)" if known else ""
        return (
            f"{counted(self.n_members, 'member')} in {counted(self.n_programs, 'program')}{reused} and "
            f"{counted(len(self.tiles), 'tile')}; {self.waste:.0%} padding; about "
            f"{(self.compile_s + self.run_s) / self.threads:.1f} s on {counted(self.threads, 'thread')}"
            f"{f'; {fitted}' if n_fit else ''}"
        )


def make_plan(
    jobs: Sequence[Job],
    readings: Sequence[Reading],
    rows: RowSizes,
    *,
    device: Device,
    probes: bool,
    backend: str,
    known: KnownPrograms | None = None,
    compiled: frozenset[ProgramKey] = frozenset(),
    ledger: Ledger | None = None,
) -> Plan:
    """Plans the training of jobs that can all be fused.

    Args:
        jobs: The members.
        readings: One for each job.
        rows: Sizes of the data.
        device: Limits of the tiles.
        probes: Whether probes are taken.
        backend: Of the programs.
        known: Programs that were planned before and can be used again; it learns those of this plan.
        compiled: Programs that this process has already, of which the plan says how many it uses.
        ledger: Decides which members plain `fit` trains sooner; none of them if None.
    """
    known = KnownPrograms() if known is None else known
    of_family: dict[Key, list[int]] = defaultdict(list)
    for index, reading in enumerate(readings):
        of_family[reading.family].append(index)
    tiles: list[Tile] = []
    useful_s: dict[int, float] = {}
    for family, indices in of_family.items():
        batch = jobs[indices[0]].training.batch_size
        steps = _steps(jobs, np.array(indices), rows)
        families = Families(rows.features, batch, compile=FIT[backend].compile, probes=probes)
        for cluster in families.clusters(readings, steps, known.of(family)):
            laid = _laid_out(readings, cluster)
            for bucket in buckets_of(laid, np.array(cluster.members), steps, rows, batch):
                cohorts = _cohorts(jobs, laid, bucket)
                own = key_of(
                    jobs, laid, bucket, _size(laid, bucket, cohorts, rows, device, batch), rows, probes, backend
                )
                tiles_in = partial(_tiles, jobs, laid, cohorts, steps)
                took_s = partial(_run_s, tiles_in)
                tiles += tiles_in(known.choose(family, own, cluster.nodes, run_s=took_s, compile_s=_compile_s(own)))
        for index in indices:
            reading = readings[index]
            cost = member_cost(reading.nodes, np.array(reading.widths), rows.features, batch)
            useful_s[index] = cost * steps[index]
    by_fit: set[int] = set()
    if ledger is not None:
        fit_s = partial(_fit_s, jobs, readings, rows, backend)
        by_fit = ledger.by_fit(tiles, jobs, readings, fit_s, partial(price, jobs, readings))
        tiles = [tile for tile in tiles if by_fit.isdisjoint(tile.slots.tolist())]
    new = {tile.key for tile in tiles} - compiled
    run_s = sum(tile.expected_s for tile in tiles)
    useful = sum(seconds for index, seconds in useful_s.items() if index not in by_fit)
    return Plan(
        tiles=tuple(_interleave(tiles)),
        compile_s=sum(map(_compile_s, new)),
        run_s=run_s,
        waste=max(0.0, 1.0 - useful / run_s) if run_s else 0.0,
        n_members=len(jobs) - len(by_fit),
        threads=device.threads,
        compiled=compiled,
        by_fit=tuple(sorted(by_fit)),
    )


def _laid_out(readings: Sequence[Reading], cluster: Cluster) -> Sequence[Reading]:
    """All networks, those of a cluster's members in the layers of its program."""
    if all(len(one.nodes) == len(cluster.nodes) for one in map(readings.__getitem__, cluster.members)):
        return readings
    own = {id(readings[i]): laid_out(readings[i], cluster.nodes) for i in cluster.members}
    return [own.get(id(reading)) or reading for reading in readings]


def _steps(jobs: Sequence[Job], members: Array, rows: RowSizes) -> dict[int, int]:
    """Training steps that each member is expected to take."""
    return {
        int(i): expected_epochs(jobs[i].training) * math.ceil(rows.train[jobs[i].split] / jobs[i].training.batch_size)
        for i in members
    }


def expected_epochs(training: Training) -> int:
    """All epochs, or with early stopping so many times its patience, if that is less.

    Example:
        >>> from unitune.models.blueprint import EarlyStopping, OptimizerSpec
        >>> adam = OptimizerSpec(class_name="Adam", learning_rate=0.001)
        >>> expected_epochs(Training(optimizer=adam, loss="mse", epochs=500, early_stopping=EarlyStopping(patience=10)))
        40
    """
    return min([training.epochs, *(PATIENCES * max(1, early.patience) for early in training.each_stopping)])


def _compile_s(key: ProgramKey) -> float:
    n_functions = 1 + sum(len(node.functions) - 1 for node in activations(key))
    return FIT[key.backend].compile * compile_cost(
        key.nodes, n_functions, probes=key.probes, n_optimizers=len(key.optimizers)
    )


def price(jobs: Sequence[Job], readings: Sequence[Reading], key: ProgramKey, members: Sequence[int]) -> float:
    """What is left of compiling a program for these jobs, and of holding it against the user's own models."""
    sources = [(i, source) for i in members if (source := jobs[i].blueprint.source) is not None]
    tried = len({readings[i].group if source.ships else id(source) for i, source in sources})
    probe_s = FIT[key.backend].probe * trace_cost(key.nodes, key.backend)
    return _compile_s(key) * share_to_compile(key) + tried * probe_s


def _fit_s(jobs: Sequence[Job], readings: Sequence[Reading], rows: RowSizes, backend: str, index: int) -> float:
    """What plain `fit` takes for a job."""
    training, reading = jobs[index].training, readings[index]
    return trace_cost(reading.nodes, backend) + epochs_cost(
        member_cost(reading.nodes, np.array(reading.widths), rows.features, training.batch_size),
        backend,
        epochs=expected_epochs(training),
        steps=math.ceil(rows.train[jobs[index].split] / training.batch_size),
    )


def _run_s(tiles_in: Callable[[ProgramKey], list[Tile]], key: ProgramKey) -> float:
    return sum(tile.expected_s for tile in tiles_in(key))


def activations(key: ProgramKey) -> list[ProgramNode]:
    """The activation nodes of a program."""
    return [node for node in key.nodes if node.kind == "Activation"]


# Tiles ----------------------------------------------------------------------------------------------------------


def _cohorts(jobs: Sequence[Job], readings: Sequence[Reading], bucket: Bucket) -> list[list[int]]:
    """Members that may share tiles; those that are alike in width and length end up side by side."""
    together: dict[Key, list[int]] = defaultdict(list)
    for index in bucket.members.tolist():
        together[cohort(jobs[index], readings[index])].append(index)
    return [sorted(one, key=lambda i: (jobs[i].training.epochs, readings[i].widths)) for one in together.values()]


def _size(
    readings: Sequence[Reading],
    bucket: Bucket,
    cohorts: Sequence[Sequence[int]],
    rows: RowSizes,
    device: Device,
    batch: int,
) -> int:
    """Members of a tile, in a program of the bucket's own."""
    nodes = readings[bucket.members[0]].nodes
    footprint = member_bytes(nodes, bucket.widths, rows.features, batch, 8 if rows.dtype == "float64" else 4)
    largest = max(1, min(device.max_tile, max(4, device.tile_bytes // max(1, footprint))))
    member_s = member_cost(nodes, bucket.widths, rows.features, batch)
    return _tile_size([len(members) for members in cohorts], member_s, len(nodes), largest, device.threads)


def _tiles(
    jobs: Sequence[Job],
    readings: Sequence[Reading],
    cohorts: Sequence[Sequence[int]],
    steps: dict[int, int],
    key: ProgramKey,
) -> list[Tile]:
    """The members of a bucket in tiles of one program."""
    widths = np.array([node.width for node in key.nodes])
    features = tuple(shape[-1] for shape, _ in key.inputs)
    member_s = member_cost(readings[cohorts[0][0]].nodes, widths, features, key.batch_size)
    step_s = step_cost(len(key.nodes)) + member_s * key.members
    return [
        Tile(
            key=key,
            split=jobs[members[0]].split,
            slots=slots,
            expected_s=step_s * max(steps[i] for i in slots.tolist() if i >= 0),
        )
        for members in cohorts
        for slots in fill(members, key.members)
    ]


def cohort(job: Job, reading: Reading) -> Key:
    """What members must share beside the program to be in one tile: rows, their order, and the activations."""
    return (job.split, job.member.seed, reading.functions, job.until)


def going_on(jobs: Sequence[Job], readings: Sequence[Reading]) -> list[Tile]:
    """Tiles of members that were planned before: each in its own program, with others that have trained as long."""
    together: dict[Key, list[int]] = defaultdict(list)
    for index, (job, reading) in enumerate(zip(jobs, readings, strict=True)):
        if isinstance(job.state, Paused):
            laid = laid_out(reading, job.state.key.nodes)
            assert laid is not None
            together[job.state.key, cohort(job, laid), job.state.epoch].append(index)
    return [
        Tile(key=key, split=jobs[members[0]].split, slots=slots, expected_s=0.0)
        for (key, _, _), members in together.items()
        for slots in fill(members, key.members)
    ]


def fill(members: Sequence[int], size: int) -> list[Array]:
    """Members into tiles of this size; -1 where none is left."""
    table = np.full((math.ceil(len(members) / size), size), -1)
    table.reshape(-1)[: len(members)] = members
    return list(table)


def halves(tile: Tile) -> list[Tile]:
    """A tile's members in two tiles of its program."""
    found = []
    for part in np.array_split(np.flatnonzero(tile.slots >= 0), 2):
        slots = np.full_like(tile.slots, -1)
        slots[part] = tile.slots[part]
        found.append(replace(tile, slots=slots))
    return found


def taken(tile: Tile, jobs: Sequence[Job], take: Take) -> Tile | None:
    """The tile with only the jobs that are granted; None where none is."""
    live = np.flatnonzero(tile.slots >= 0)
    granted = np.asarray(take([jobs[int(tile.slots[place])] for place in live]), dtype=bool)
    if granted.all():
        return tile
    if not granted.any():
        return None
    slots = np.full_like(tile.slots, -1)
    slots[live[granted]] = tile.slots[live[granted]]
    return replace(tile, slots=slots)


def _tile_size(counts: Sequence[int], member_s: float, n_nodes: int, largest: int, threads: int) -> int:
    """The size that makes the threads end soonest: large tiles share a step's overhead, small ones leave no gaps."""

    def seconds(size: int) -> float:
        n_tiles = sum(math.ceil(count / size) for count in counts)
        return math.ceil(n_tiles / threads) * (step_cost(n_nodes) + member_s * size)

    return min(range(1, min(largest, max(counts)) + 1), key=lambda size: (seconds(size), -size))


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
