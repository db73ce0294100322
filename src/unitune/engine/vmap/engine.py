"""The vmapped tier: members that have no fused form, trained together as `jax.vmap` of Keras's own step."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from unitune.data.arrays import Split, as_inputs, n_rows
from unitune.engine.agreement import again_differs, told
from unitune.engine.contract import Job, Outcome, Take
from unitune.engine.device import Device
from unitune.engine.lift.base import Key, in_brief
from unitune.engine.run import out_of_memory
from unitune.engine.solo import SoloEngine, quiet_arrays
from unitune.engine.vmap.alike import program_key
from unitune.engine.vmap.program import CannotVmap, VmappedProgram
from unitune.engine.vmap.train import train_tile
from unitune.models.backend import backend_name

logger = logging.getLogger(__name__)

PROGRAMS = 16  # compiled ones that are kept; each holds on to a model
ROWS_OF_SPLITS_BYTES = 2**28  # beyond which the rows of one split only are on the device


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tile:
    """Members that are trained in one call, and why they are not fused; `size` is how many the program takes."""

    key: Key
    reason: str
    jobs: tuple[Job, ...]
    splits: tuple[int, ...]
    size: int


class VmappedEngine:
    """Trains members that have no fused form: vmapped where that can be done, else with plain `fit`.

    Args:
        device: How many members a tile may have.
    """

    name = "vmapped"
    plans: tuple[str, ...] = ()

    def __init__(self, device: Device) -> None:
        self._device = device
        self._programs: OrderedDict[Key, tuple[VmappedProgram, Job]] = OrderedDict()
        self._sizes: dict[Key, set[int]] = defaultdict(set)
        self._agreement: dict[Key, str] = {}

    def train(
        self,
        refused: Sequence[tuple[Job, str]],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Take | None = None,
    ) -> Iterator[Outcome]:
        """Trains every job.

        Args:
            refused: The jobs, each with the reason why it is not fused.
            splits, should_stop, take: As in `unitune.engine.contract.Engine.train`.
        """
        further = {id(job): why_solo(job, splits[job.split]) for job, _ in refused}
        fallen: list[tuple[Job, str]] = []
        for tile in self._tiles([one for one in refused if further[id(one[0])] is None], splits):
            if should_stop():
                return
            wanted = [True] * len(tile.jobs) if take is None else take(tile.jobs)
            ours = tuple(job for job, is_wanted in zip(tile.jobs, wanted, strict=True) if is_wanted)
            if ours:
                yield from self._train(replace(tile, jobs=ours), splits, fallen)
        solo = [
            (job, joined(reason, further[id(job)] or "")) for job, reason in refused if further[id(job)] is not None
        ]
        for rest, asks in ((fallen, None), (solo, take)):
            by_reason: dict[str, list[Job]] = defaultdict(list)
            for job, reason in rest:
                by_reason[reason].append(job)
            for reason, jobs in by_reason.items():
                more = {} if asks is None else {"take": asks}
                yield from SoloEngine(reason).train(jobs, splits, should_stop=should_stop, **more)

    def _tiles(self, refused: Sequence[tuple[Job, str]], splits: Sequence[Split]) -> list[_Tile]:
        groups: dict[tuple[Key, str], list[Job]] = defaultdict(list)
        for job, reason in refused:
            groups[program_key(job, splits[job.split]), reason].append(job)
        tiles = []
        for (key, reason), members in groups.items():
            used = sorted({job.split for job in members})
            together = sum(_bytes(splits[number]) for number in used) <= ROWS_OF_SPLITS_BYTES
            for own in [used] if together else [[number] for number in used]:
                chosen = [job for job in members if job.split in own]
                count = math.ceil(len(chosen) / self._device.max_tile)
                size = self._size(key, math.ceil(len(chosen) / count))
                # Noted here, not once it is compiled: a search that goes on must plan the same without training.
                self._sizes[key].add(size)
                tiles += [
                    _Tile(key=key, reason=reason, jobs=tuple(chosen[i : i + size]), splits=tuple(own), size=size)
                    for i in range(0, len(chosen), size)
                ]
        return tiles

    def _size(self, key: Key, wanted: int) -> int:
        """The members of a tile: as many as in an earlier one, which is compiled, if that is not twice too large."""
        known = [size for size in self._sizes[key] if wanted <= size <= 2 * wanted]
        return min(known, default=wanted)

    def _train(self, tile: _Tile, splits: Sequence[Split], fallen: list[tuple[Job, str]]) -> Iterator[Outcome]:
        """One tile; its members are appended to `fallen` if they cannot be vmapped."""
        try:
            with quiet_arrays():
                self._check(tile, splits)
                program = self._program(tile.key, tile.jobs[0], splits)
                outcome = train_tile(program, tile.jobs, splits, used=tile.splits, size=tile.size)
        except CannotVmap as finding:
            further = str(finding)
        except Exception as error:
            if out_of_memory(error) and len(tile.jobs) > 1:
                half = math.ceil(len(tile.jobs) / 2)
                for part in (tile.jobs[:half], tile.jobs[half:]):
                    yield from self._train(replace(tile, jobs=part, size=half), splits, fallen)
                return
            logger.info("a model is not vmapped", exc_info=error)
            further = f"`jax.vmap` of it failed with {in_brief(error)}"
        else:
            yield replace(outcome, engine_reason=tile.reason)
            return
        fallen += [(job, joined(tile.reason, further)) for job in tile.jobs]

    def _check(self, tile: _Tile, splits: Sequence[Split]) -> None:
        """Holds the model that is vmapped against the user's own.

        Raises:
            CannotVmap: They differ.
        """
        for job in tile.jobs:
            source = job.blueprint.source
            if source is None:
                continue
            tried = tile.key if source.ships else (tile.key, id(source))
            if tried not in self._agreement:
                found = again_differs(job, splits[job.split])
                self._agreement[tried] = told(job, found) if found else ""
            if self._agreement[tried]:
                raise CannotVmap(self._agreement[tried])

    def _program(self, key: Key, job: Job, splits: Sequence[Split]) -> VmappedProgram:
        if key not in self._programs:
            # The job is kept because ids of what it holds may be in the key.
            self._programs[key] = (VmappedProgram(job, splits[job.split]), job)
            if len(self._programs) > PROGRAMS:
                self._programs.popitem(last=False)
        self._programs.move_to_end(key)
        return self._programs[key][0]


def why_solo(job: Job, split: Split) -> str | None:
    """Why a member is not to be vmapped, whatever it is made of; empty where the reason for not fusing says it."""
    training = job.training
    if backend_name() != "jax" or training.compile_options:
        return ""
    if job.blueprint.layers and job.blueprint.solo_reason:  # a step of its own, say
        return ""
    names, watched = {"loss", *training.metric_names}, training.watched
    if not n_rows(split.x_val) and any(name.startswith("val_") for name in watched):
        return ""
    if not {name.removeprefix("val_") for name in watched} <= names:
        return "a callback watches a metric that is not logged"
    if training.plateau is not None and training.schedule.name != "constant":
        return "a schedule leaves no rate for reduce-on-plateau to reduce"
    return None


def spread(refused: Sequence[tuple[Job, str]], splits: Sequence[Split], n: int) -> list[list[tuple[Job, str]]]:
    """The jobs in parts to be trained apart, by `n` workers: what can share a program, in as few as keep all busy."""
    groups: dict[Key, list[tuple[Job, str]]] = defaultdict(list)
    for job, reason in refused:
        split = splits[job.split]
        key = program_key(job, split) if why_solo(job, split) is None else ("solo", id(job))
        groups[key].append((job, reason))
    parts = []
    for group in groups.values():
        size = math.ceil(len(group) / n)
        parts += [group[first : first + size] for first in range(0, len(group), size)]
    return parts


def joined(reason: str, further: str) -> str:
    """Why not fused, and why not vmapped."""
    return f"{reason}; {further}" if further and further not in reason else reason


def _bytes(split: Split) -> int:
    return sum(array.nbytes for x in (split.x_train, split.x_val) for array in as_inputs(x))
