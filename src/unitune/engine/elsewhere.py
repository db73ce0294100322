"""Members trained by workers that share no memory with this process: each call is a few tiles of one program.

The plan is made here, for all members at once, as on local threads: the same programs, and so the same bits on the same
processor type.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from unitune.data.arrays import Split, row_shape
from unitune.engine.contract import Job, Outcome, OutOfTime, Take
from unitune.engine.device import Device, limit_memory, this_device
from unitune.engine.failed import failed_outcome
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.engine.lift.base import Lift
from unitune.engine.lift.own import adopt_lifts, users_lifts
from unitune.engine.plan import Plan, taken
from unitune.engine.program_key import Tile
from unitune.engine.reading import Reader
from unitune.engine.run import TileRun
from unitune.engine.solo import SoloEngine
from unitune.engine.vmap.engine import VmappedEngine, spread
from unitune.models.backend import backend_name, ensure
from unitune.models.blueprint import Blueprint

# A call crosses a network in 1 to 3 ms; the tiles of one take at least so long.
CALL_S = 0.25


class Pool(Protocol):
    """Workers elsewhere that run functions, as `unitune.execution.ray.RayPool`."""

    @property
    def workers(self) -> int:
        """How many there are."""
        ...

    def call(
        self,
        function: Callable[[Any, Any], Any],
        shared: Any,
        items: Sequence[tuple[Hashable, Any]],
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Any, str]]:
        """`function(shared, item)` for each item, with a key: `(place, result, reason of failure)`, in any order."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Parcel:
    """What a worker trains in one call: jobs, and tiles whose slots count within them.

    Without tiles they are not fused, for these `reasons`; without either, they are to be trained one by one.
    """

    jobs: tuple[Job, ...]
    tiles: tuple[Tile, ...] = ()
    reasons: tuple[str, ...] = ()

    def reason(self, place: int) -> str:
        """Why a job is not fused; empty where it is."""
        return self.reasons[place] if self.reasons else ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sent:
    """What the workers need for every parcel: the rows, and the lifts of the user's own layers."""

    splits: tuple[Split, ...]
    lifts: Mapping[str, tuple[str, Lift]] = field(default_factory=dict)


class ElsewhereEngine:
    """Has members trained by the workers of a pool.

    Args:
        inner: What the workers do: `FusedEngine`, or `SoloEngine`.
        pool: The workers.

    Attributes:
        plans: As of the inner engine.
    """

    resumable = None

    def __init__(self, inner: FusedEngine | SoloEngine, pool: Pool) -> None:
        self.name = inner.name
        self.plans: list[Plan] = []
        self._inner = inner
        self._pool = pool
        self._planner: FusedEngine | None = None

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Take | None = None,
    ) -> Iterator[Outcome]:
        """Trains every job; outcomes come in the order in which workers are done.

        Raises:
            FusionError: As `FusedEngine.train`.
        """
        ensure()
        parcels, here = self._parcels(jobs, splits, take)
        items = [(_affinity(parcel), _shipped(parcel)) for parcel in parcels]
        shared = Sent(splits=tuple(splits), lifts=users_lifts())
        left: list[tuple[Job, str]] = []

        def stops() -> bool:
            try:
                return should_stop()
            except OutOfTime:  # what runs on other machines is waited for
                return True

        for place, done, reason in self._pool.call(train_parcel, shared, items, should_stop=stops):
            parcel = parcels[place]
            if reason:
                yield from (
                    failed_outcome(job, splits[job.split], reason, engine=self.name, engine_reason=parcel.reason(place))
                    for place, job in enumerate(parcel.jobs)
                )
                continue
            for indices, outcome in done.outcomes:
                yield replace(outcome, jobs=tuple(parcel.jobs[i] for i in indices))
            left += [(parcel.jobs[i], why) for i, why in done.left]
        if isinstance(self._inner, FusedEngine):
            self._inner.check(jobs, left)
        for job, why in (*here, *left):
            if not stops():
                yield from SoloEngine(why).train([job], splits)

    def _plans_of(self, inner: FusedEngine) -> FusedEngine:
        """An engine that plans for as many threads as there are workers, and trains nothing."""
        here = inner.device
        if self._planner is None:
            self._planner = FusedEngine(probes=inner.probes)
        self._planner.plan_for(Device(threads=self._pool.workers, tile_bytes=here.tile_bytes, max_tile=here.max_tile))
        return self._planner

    def _parcels(
        self, jobs: Sequence[Job], splits: Sequence[Split], take: Take | None
    ) -> tuple[list[Parcel], list[tuple[Job, str]]]:
        """What the workers train, and the members of models that only this process has, with reasons."""
        if isinstance(self._inner, SoloEngine):
            granted = [job for job in jobs if take is None or take([job])[0]]
            sent = [Parcel(jobs=(job,)) for job in granted if _ships(job)]
            return sent, [(job, self._inner.reason) for job in granted if not _ships(job)]
        fusable, readings, refused = read_jobs(jobs, splits)
        self._inner.check(jobs, refused)
        parcels: list[Parcel] = []
        if fusable:
            plan = self._plans_of(self._inner).plan(fusable, readings, splits)
            self.plans.append(plan)
            tiles = plan.tiles if take is None else [one for tile in plan.tiles if (one := taken(tile, fusable, take))]
            parcels += packed(tiles, fusable)
        rest = [(job, reason) for job, reason in refused if take is None or take([job])[0]]
        for part in spread([one for one in rest if _ships(one[0])], splits, self._pool.workers):
            mine, reasons = zip(*part, strict=True)
            parcels.append(Parcel(jobs=mine, reasons=reasons))
        return parcels, [one for one in rest if not _ships(one[0])]


def packed(tiles: Sequence[Tile], jobs: Sequence[Job]) -> list[Parcel]:
    """Tiles put together until a call is worth its way, in the order of the plan; a parcel's tiles share a program."""
    waiting: dict[Hashable, list[Tile]] = defaultdict(list)
    parcels = []
    for tile in tiles:
        mine = waiting[tile.key]
        mine.append(tile)
        if sum(one.expected_s for one in mine) >= CALL_S:
            parcels.append(_parcel(waiting.pop(tile.key), jobs))
    return parcels + [_parcel(rest, jobs) for rest in waiting.values()]


def _parcel(tiles: Sequence[Tile], jobs: Sequence[Job]) -> Parcel:
    chosen = [int(i) for tile in tiles for i in tile.slots if i >= 0]
    place_of = {index: place for place, index in enumerate(chosen)}
    own = [
        replace(tile, slots=np.array([place_of[int(i)] if i >= 0 else -1 for i in tile.slots], tile.slots.dtype))
        for tile in tiles
    ]
    return Parcel(jobs=tuple(jobs[i] for i in chosen), tiles=tuple(own))


def _affinity(parcel: Parcel) -> Hashable:
    """Parcels of equal affinity need the same program."""
    return parcel.tiles[0].key if parcel.tiles else None


def _ships(job: Job) -> bool:
    """Whether another process can train it with plain `fit` as this one would."""
    return job.blueprint.source is None or job.blueprint.source.ships


def _shipped(parcel: Parcel) -> Parcel:
    """A parcel without the models that only this process has; jobs that share a blueprint go on sharing it."""
    bare: dict[int, Blueprint] = {}
    jobs = []
    for job in parcel.jobs:
        if not _ships(job):
            blueprint = bare.setdefault(id(job.blueprint), replace(job.blueprint, source=None, template=None))
            job = replace(job, blueprint=blueprint)
        jobs.append(job)
    return replace(parcel, jobs=tuple(jobs))


@dataclass(frozen=True, kw_only=True, eq=False)
class Done:
    """What came of a parcel.

    Attributes:
        outcomes: Each with the places of its jobs in the parcel, instead of the jobs.
        left: The places of jobs that their program could not train, and why.
    """

    outcomes: list[tuple[list[int], Outcome]]
    left: list[tuple[int, str]]


def train_parcel(shared: Sent, parcel: Parcel) -> Done:
    """Runs in a worker."""
    ensure()
    adopt_lifts(shared.lifts)
    splits = shared.splits
    place_of = {id(job): place for place, job in enumerate(parcel.jobs)}
    left: list[tuple[Job, str]] = []
    outcomes: Iterator[Outcome]
    if parcel.tiles:
        reader = Reader()
        readings = [reader.read(job, row_shape(splits[job.split].x_train)) for job in parcel.jobs]
        run = TileRun(parcel.jobs, readings, splits, 1, lambda: False)
        left, outcomes = run.left, run.outcomes(parcel.tiles)
    elif not parcel.reasons:
        outcomes = SoloEngine().train(parcel.jobs, splits)
    else:
        refused = list(zip(parcel.jobs, parcel.reasons, strict=True))
        outcomes = VmappedEngine(this_device(backend_name())).train(refused, splits)
    done = [([place_of[id(job)] for job in outcome.jobs], replace(outcome, jobs=())) for outcome in outcomes]
    return Done(outcomes=done, left=[(place_of[id(job)], reason) for job, reason in left])


def start_worker(backend: str, floatx: str, gpu_share: float) -> Mapping[str, str]:
    """Prepares a worker's process, and tells the versions of what computes there.

    Args:
        backend: The Keras backend of the driver.
        floatx: Its floating type.
        gpu_share: The share of a GPU that the worker may use, above 0; 0 for none.
    """
    os.environ["KERAS_BACKEND"] = backend
    if 0 < gpu_share < 1:
        limit_memory(backend, gpu_share)
    keras = ensure()
    keras.config.set_floatx(floatx)
    return versions_of_workers(backend)


def versions_of_workers(backend: str) -> dict[str, str]:
    """What must be equal in all processes that train for one search."""
    import platform
    from importlib import metadata

    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in ("unitune", "keras", "numpy"):
        found[package] = metadata.version(package)
    module = __import__(backend)
    return found | {backend: str(module.__version__)}
