"""One run of the fused engine: tiles on threads, members out of tiles as they finish.

Where members may stop early, a tile runs a chunk of epochs at a time. Once half of its members have stopped, the tile
is dissolved: those that stopped are reported, and the rest wait for the other tiles of their cohort (the same program,
rows and activations) and go on together, in fewer tiles, from the very state that they had.

What a program cannot train is no failure of its members: where it differs from the user's own model
(`unitune.engine.agreement`), or cannot be traced, compiled or run, they are left over, each with the reason.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unitune.data.arrays import Split, as_inputs, n_rows, row_shape
from unitune.engine.agreement import Seen, by_keras, by_program, difference, small_split, told
from unitune.engine.contract import Job, Outcome, Take
from unitune.engine.device import at, here
from unitune.engine.graph import Reading
from unitune.engine.lift.base import Key, in_brief
from unitune.engine.outcome import Progress, make_outcome
from unitune.engine.paused import Paused
from unitune.engine.plan import cohort, fill, halves, taken
from unitune.engine.program import Program
from unitune.engine.program_key import ProgramKey, State, Tile
from unitune.engine.programs import compile_once, program_for
from unitune.engine.state import initial_state, join_parts, part_of, tensors, to_host
from unitune.engine.tile import (
    Slots,
    alike,
    by_number,
    fill_slots,
    hyperparameters,
    laid_into,
    rows_of,
    schedule_of,
    stacked_weights,
)
from unitune.records import Array

logger = logging.getLogger(__name__)

# How often it is seen whether the time is over, and about how long a call takes, which nothing ends sooner.
POLL_S = 0.5
CALL_S = 2.0
KEPT_ROWS_BYTES = 1 << 26  # rows of splits that stay on the device though no tile uses them
_NOTHING: State = {"epochs": np.int32(0), "final": np.bool_(False)}

_Cohort = tuple[ProgramKey, Key]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Work:
    """A tile to run, from an epoch on."""

    tile: Tile
    first_epoch: int = 0

    @property
    def live(self) -> list[int]:
        return [int(i) for i in self.tile.slots if i >= 0]


class _Stopped(Exception):  # noqa: N818  (nobody waits for what this thread does)
    """The run is over."""


@dataclass(kw_only=True, eq=False)
class _Errand:
    """What a thread wants done on the thread that takes the outcomes: a user's code need not run on any other."""

    function: Callable[[], Any]
    done: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self.function()
        except Exception as error:
            self.error = error
        finally:
            self.done.set()


class TileRun:
    """One call of `FusedEngine.train`.

    Attributes:
        left: After `outcomes`: the members that their programs could not train, and why.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        readings: Sequence[Reading],
        splits: Sequence[Split],
        threads: int,
        should_stop: Callable[[], bool],
        take: Take | None = None,
        places: Sequence[str] = (),
    ) -> None:
        """`places` are the accelerators that tiles are spread over; none for the backend's own choice."""
        self._take = take
        self.left: list[tuple[Job, str]] = []
        self._agreement: dict[Any, str] = {}
        self._agreeing: dict[ProgramKey, threading.Lock] = {}
        # Each thread works at one place.
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for thread in range(threads):
            self._free.put(places[thread % len(places)] if places else "")
        self._jobs = jobs
        self._readings = readings
        self._splits = splits
        self._threads = threads
        self._should_stop = should_stop
        self._progress: dict[int, Progress] = defaultdict(Progress)
        for index, job in enumerate(jobs):
            if isinstance(job.state, Paused):
                paused = job.state
                self._progress[index] = Progress(
                    history=[*paused.history], rates=[*paused.rates], elapsed_s=paused.elapsed_s, state=paused.part
                )
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopped = threading.Event()  # nothing more starts
        self._given_up = threading.Event()  # nobody waits for what runs
        self._guard = threading.Lock()
        self._rows: dict[Any, State] = {}
        self._running: dict[_Cohort, int] = defaultdict(int)
        self._waiting: dict[_Cohort, list[tuple[int, int]]] = defaultdict(list)  # (epoch, job)

    def outcomes(self, tiles: Sequence[Tile]) -> Iterator[Outcome]:
        """Runs the tiles; outcomes come as members finish or pause. Starts no tile more once `should_stop()` is true.

        Where it raises, or nobody takes the outcomes any more, the tiles that run end after the call that they are in.

        The members of a tile have all trained the same number of epochs.
        """
        with ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="unitune-tile") as pool:
            for tile in tiles:
                self._running[self._cohort(tile)] += 1
            for tile in tiles:
                pool.submit(self._work, _Work(tile=tile, first_epoch=self._first_epoch(tile)), pool)
            left = len(tiles)
            try:
                while left:
                    try:
                        item = self._done.get(timeout=POLL_S)
                    except queue.Empty:
                        item = 0
                    if isinstance(item, int):
                        left += item
                        if self._should_stop():
                            self._stopped.set()
                    elif isinstance(item, BaseException):
                        raise item
                    elif isinstance(item, _Errand):
                        item.run()
                    elif isinstance(item, list):
                        self.left += item
                    else:
                        yield item
            finally:
                self._stopped.set()
                self._given_up.set()

    def _work(self, work: _Work, pool: ThreadPoolExecutor) -> None:
        """Runs a tile on a thread; what comes of it goes into the queue: outcomes, then how many tiles are left."""
        more: list[_Work] = []
        try:
            if not self._stopped.is_set():
                granted = self._granted(work)
                if granted is not None:
                    place = self._free.get()
                    try:
                        with at(place):
                            self._train(granted)
                    finally:
                        self._free.put(place)
        except _Stopped:
            pass
        except BaseException as error:
            self._done.put(error)
        finally:
            if not self._stopped.is_set():
                more = self._regroup(work.tile)
            for next_work in more:
                pool.submit(self._work, next_work, pool)
            self._done.put(len(more) - 1)

    def _first_epoch(self, tile: Tile) -> int:
        state = self._jobs[next(int(i) for i in tile.slots if i >= 0)].state
        return state.epoch if isinstance(state, Paused) else 0

    def _granted(self, work: _Work) -> _Work | None:
        """The work without members that are done already or someone else's; None where nothing is left."""
        if self._take is None or work.first_epoch:
            return work
        tile = taken(work.tile, self._jobs, self._take)
        return None if tile is None else replace(work, tile=tile)

    def _cohort(self, tile: Tile) -> _Cohort:
        first = next(int(i) for i in tile.slots if i >= 0)
        return tile.key, cohort(self._jobs[first], laid_into(self._readings[first], tile.key))

    def _train(self, work: _Work) -> None:
        """Trains a tile; one that does not fit the memory is split and run again; one that fails is left over."""
        done = {index: len(self._progress[index].history) for index in work.live}
        try:
            self._train_tile(work)
        except _Stopped:
            raise
        except Exception as error:
            if not out_of_memory(error) or len(work.live) < 2:
                logger.info("a program failed", exc_info=error)
                self._leave(dict.fromkeys(work.live, f"its program failed with {in_brief(error)}"))
                return
            for index, n in done.items():
                progress = self._progress[index]
                del progress.history[n:], progress.rates[n:]
            logger.warning("a tile of %d members did not fit the memory: split", len(work.live))
            for half in halves(work.tile):
                self._train(replace(work, tile=half))

    def _train_tile(self, work: _Work) -> None:
        key = work.tile.key
        program = program_for(key)
        slots = fill_slots(work.tile.slots, self._jobs, self._readings, key)
        split = self._splits[work.tile.split]
        tensor = program.backend.tensor
        data = self._data(work.tile, program)
        hyper = tensors(hyperparameters(slots, program, row_shape(split.x_train)), tensor)
        state = self._first_state(work, slots, program)
        longest = max(job.last_epoch for job in slots.jobs)
        rows = n_rows(split.x_train)
        last_step = math.ceil(rows / key.batch_size) - 1
        first_epoch = work.first_epoch
        nothing = schedule_of(slots, key, rows, first_epoch) | _NOTHING
        compile_once(program, state, hyper, data, tensors(nothing, tensor))
        if first_epoch == 0:
            wrong = self._disagreeing(work, program, data)
            if wrong:
                self._leave(wrong)
                rest = np.where(np.isin(work.tile.slots, list(wrong)), -1, work.tile.slots)
                if (rest >= 0).any():
                    self._train_tile(replace(work, tile=replace(work.tile, slots=rest)))
                return
        finished = False
        epoch_s = work.tile.expected_s / longest
        while not finished:
            if self._given_up.is_set():
                raise _Stopped
            started = time.perf_counter()
            plan = schedule_of(slots, key, rows, first_epoch, max(1, int(CALL_S / max(epoch_s, 1e-9))))
            epochs = int(plan["epochs"])
            state, result = program.run(state, hyper, data, tensors(plan, tensor))
            history = np.asarray(result["history"])[:epochs]
            first_epoch += epochs
            took = time.perf_counter() - started
            epoch_s = took / epochs
            self._note(work, history, plan["rates"][:epochs, last_step], took)
            active = np.asarray(state["active"]) if key.stopping else np.ones(key.members, bool)
            finished = first_epoch >= longest or not active[slots.real].any()
            dissolves = not finished and self._dissolves(work, active, slots)
            if (finished and not plan["final"]) or dissolves:
                plan |= _NOTHING | {"final": np.bool_(True)}
                _, result = program.run(state, hyper, data, tensors(plan, tensor))
            if dissolves:
                self._report(work, slots, program, state, result, slots.real & ~active, first_epoch)
                self._set_aside(work, slots, state, first_epoch, active)
                return
        self._report(work, slots, program, state, result, slots.real, first_epoch)

    def _leave(self, reasons: Mapping[int, str]) -> None:
        """Members that are to be trained in another way."""
        for index in reasons:
            self._progress.pop(index, None)
        self._done.put([(self._jobs[index], reason) for index, reason in reasons.items()])

    def _disagreeing(self, work: _Work, program: Program, data: State) -> dict[int, str]:
        """The members of a tile with which their program does not do what Keras does, and in what it differs.

        A function of the user's own is asked once for a program; of models that the user holds each is tried.
        """
        wrong: dict[int, str] = {}
        with self._guard:
            one_at_a_time = self._agreeing.setdefault(program.key, threading.Lock())
        with one_at_a_time:
            for index in work.live:
                source = self._jobs[index].blueprint.source
                if source is None:
                    continue
                tried = (program.key, self._readings[index].group if source.ships else id(source))
                if tried not in self._agreement:
                    self._agreement[tried] = self._differs(index, work.tile, program, data)
                if self._agreement[tried]:
                    wrong[index] = self._agreement[tried]
        return wrong

    def _differs(self, index: int, tile: Tile, program: Program, data: State) -> str:
        job, split = self._jobs[index], self._splits[tile.split]
        small = small_split(split, job)
        if small is None:
            return ""
        alone = fill_slots(
            np.array([index] + [-1] * (program.key.members - 1)), self._jobs, self._readings, program.key
        )
        mine = by_program(program, alone, split, small, data)
        try:
            theirs, first = self._on_main(lambda: by_keras(job, split, small))

            def again(**how: bool) -> Seen:
                seen: Seen = self._on_main(lambda: by_keras(job, split, small, **how)[0])
                return seen

            found = difference(mine, theirs, first, again, program.key.dtype)
        except _Stopped:
            raise
        except Exception as error:
            return f"Keras fails with {in_brief(error)}"
        if found and not all(np.isfinite(x).all() for x in as_inputs(small.x_train) if x.dtype.kind == "f"):
            return "some rows are no finite numbers, of which compiled programs make something else"
        return told(job, found) if found else ""

    def _on_main(self, function: Callable[[], Any]) -> Any:
        errand = _Errand(function=function)
        self._done.put(errand)
        while not errand.done.wait(0.05):
            if self._stopped.is_set():
                raise _Stopped
        if errand.error is not None:
            raise errand.error
        return errand.result

    def _first_state(self, work: _Work, slots: Slots, program: Program) -> State:
        if work.first_epoch == 0:
            shape = row_shape(self._splits[work.tile.split].x_train)
            return initial_state(program, stacked_weights(slots, program, shape))
        live = work.live
        fillers = iter(live * len(work.tile.slots))
        own = [self._progress[int(i) if i >= 0 else next(fillers)].state for i in work.tile.slots]
        joined: State = tensors(join_parts([part for part in own if part is not None]), program.backend.tensor)
        return joined

    def _note(self, work: _Work, history: Array, rates: Array, elapsed_s: float) -> None:
        live = work.live
        for place, index in enumerate(work.tile.slots):
            if index >= 0:
                progress = self._progress[int(index)]
                progress.history.append(history[:, place])
                progress.rates.append(rates[:, place])
                progress.elapsed_s += elapsed_s / len(live)

    def _dissolves(self, work: _Work, active: Array, slots: Slots) -> bool:
        """Whether half of the members have stopped, and there are others to go on with."""
        share = active[slots.real].mean()
        if share > 0.5:
            return False
        cohort = self._cohort(work.tile)
        with self._guard:
            return self._running[cohort] > 1 or bool(self._waiting[cohort])

    def _set_aside(self, work: _Work, slots: Slots, state: State, epoch: int, active: Array) -> None:
        host = to_host(state)
        cohort = self._cohort(work.tile)
        for place, index in enumerate(work.tile.slots):
            if index >= 0 and active[place]:
                self._progress[int(index)].state = part_of(host, place)
                with self._guard:
                    self._waiting[cohort].append((epoch, int(index)))

    def _regroup(self, tile: Tile) -> list[_Work]:
        """New tiles from the members that wait, once the last tile of their cohort has ended."""
        cohort = self._cohort(tile)
        with self._guard:
            self._running[cohort] -= 1
            if self._running[cohort] or not self._waiting[cohort]:
                return []
            waiting = self._waiting.pop(cohort)
            by_epoch: dict[int, list[int]] = defaultdict(list)
            for epoch, index in sorted(waiting):
                by_epoch[epoch].append(index)
            more = [
                _Work(tile=Tile(key=tile.key, split=tile.split, slots=slots, expected_s=0.0), first_epoch=epoch)
                for epoch, members in by_epoch.items()
                for slots in fill(members, tile.key.members)
            ]
            self._running[cohort] += len(more)
        return more

    def _report(
        self, work: _Work, slots: Slots, program: Program, state: State, result: State, chosen: Array, epoch: int
    ) -> None:
        for places in alike(slots, chosen):
            progress = [self._progress.pop(int(work.tile.slots[place])) for place in places]
            split = self._splits[work.tile.split]
            paused = self._paused(slots, program, state, places, progress, epoch)
            self._done.put(make_outcome(program, slots, split, state, result, places, progress, paused))

    def _paused(
        self, slots: Slots, program: Program, state: State, places: Array, progress: Sequence[Progress], epoch: int
    ) -> list[Paused | None]:
        """What members that were to stop before their last epoch need to go on; empty where there are none."""
        active = np.asarray(state["active"]) if program.key.stopping else np.ones(program.key.members, bool)
        goes_on = [epoch < slots.jobs[place].training.epochs and bool(active[place]) for place in places]
        if not any(goes_on):
            return []
        host = to_host(state)
        return [
            Paused(
                key=program.key,
                epoch=epoch,
                part=part_of(host, int(place)),
                history=tuple(mine.history),
                rates=tuple(mine.rates),
                elapsed_s=mine.elapsed_s,
            )
            if on
            else None
            for place, mine, on in zip(places, progress, goes_on, strict=True)
        ]

    def _data(self, tile: Tile, program: Program) -> State:
        """A split's rows on the device, shared by the tiles that use them; of large ones only the latest are kept."""
        key, split = program.key, self._splits[tile.split]
        where = (here(), tile.split, key.all_rows, key.inputs, key.weighted, key.dtype, by_number(key))
        with self._guard:
            rows = self._rows.pop(where, None) or tensors(rows_of(split, key), program.backend.tensor)
            most = max(self._threads, KEPT_ROWS_BYTES // max(1, sum(x.nbytes for x in as_inputs(split.x_train))))
            self._rows = dict([*self._rows.items(), (where, rows)][-most:])
            return rows


def out_of_memory(error: Exception) -> bool:
    """Whether a call failed for want of memory."""
    text = f"{type(error).__name__} {error}"
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "ResourceExhausted" in text
