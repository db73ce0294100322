"""The fused engine: all members as a few compiled programs; what cannot be fused runs solo, with the reason."""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.contract import Job, Outcome
from unitune.engine.lift.base import Unfusable
from unitune.engine.plan import Plan, Rows, Tile, make_plan
from unitune.engine.probes import ACTIVATION_PROBES, UPDATE_PROBES
from unitune.engine.program import Backend, Program, ProgramKey, initial_state
from unitune.engine.reading import Reader, Reading
from unitune.engine.solo import SoloEngine
from unitune.engine.tile import (
    Slots,
    fill_slots,
    hyperparameters,
    rows_of,
    schedule_of,
    stacked_weights,
    unpadded,
)
from unitune.errors import FusionError
from unitune.models.backend import backend_name, ensure

logger = logging.getLogger(__name__)


class FusedEngine:
    """Trains members together.

    Args:
        strict: Whether a member that cannot be fused is an error; otherwise it runs solo and its outcome says why.
        threads: Tiles that run at a time; by default one for each core.
        probes: Whether activations, gradients and updates are measured.
    """

    name = "fused"

    def __init__(self, *, strict: bool = False, threads: int | None = None, probes: bool = True) -> None:
        self.strict = strict
        self.threads = threads or len(os.sched_getaffinity(0))
        self.probes = probes
        self.last_plan: Plan | None = None

    def train(
        self, jobs: Sequence[Job], splits: Sequence[Split], *, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Outcome]:
        """Trains every job; outcomes come tile by tile, in the order in which they are done.

        Raises:
            FusionError: If `strict`, and some job cannot be fused.
        """
        ensure()
        fusable, readings, refused = read_jobs(jobs, splits)
        if refused and self.strict:
            job, reason = refused[0]
            without, total = len({job.member.trial for job, _ in refused}), len({job.member.trial for job in jobs})
            raise FusionError(
                '`engine="fused"` needs every trial to have a fused form',
                f"{without} of {total} trials have none; trial {job.member.trial}: {reason}",
                'Use `engine="auto"` to train those with plain `fit`.',
            )
        if fusable:
            plan = self.plan(fusable, readings, splits)
            self.last_plan = plan
            logger.info("plan: %s", plan)
            yield from _Run(fusable, readings, splits, self.threads, should_stop).outcomes(plan.tiles)
        if refused and not should_stop():
            yield from self._solo(refused, splits, should_stop)

    def plan(self, jobs: Sequence[Job], readings: Sequence[Reading], splits: Sequence[Split]) -> Plan:
        """What `train` would do with jobs that can all be fused."""
        rows = Rows(
            train=tuple(len(split.x_train) for split in splits),
            validation=tuple(len(split.x_val) for split in splits),
            features=max(split.x_train.shape[1] for split in splits),
            weighted=any(split.w_train is not None or split.w_val is not None for split in splits),
            dtype=str(splits[0].x_train.dtype),
        )
        return make_plan(
            jobs,
            readings,
            rows,
            threads=self.threads,
            probes=self.probes,
            backend=backend_name(),
            compiled=frozenset(_PROGRAMS),
        )

    def _solo(
        self, refused: Sequence[tuple[Job, str]], splits: Sequence[Split], should_stop: Callable[[], bool]
    ) -> Iterator[Outcome]:
        by_reason: dict[str, list[Job]] = defaultdict(list)
        for job, reason in refused:
            by_reason[reason].append(job)
        for reason, jobs in by_reason.items():
            for outcome in SoloEngine().train(jobs, splits, should_stop=should_stop):
                yield replace(outcome, engine_reason=reason)


def read_jobs(jobs: Sequence[Job], splits: Sequence[Split]) -> tuple[list[Job], list[Reading], list[tuple[Job, str]]]:
    """Sorts jobs into those that can be fused, with their readings, and those that cannot, with the reasons."""
    reader = Reader()
    fusable: list[Job] = []
    readings: list[Reading] = []
    refused: list[tuple[Job, str]] = []
    for job in jobs:
        x = splits[job.split].x_train
        try:
            if x.ndim != 2:
                raise Unfusable("the rows are not flat features")
            if not len(splits[job.split].x_val) and (job.training.early_stopping or job.training.plateau):
                raise Unfusable("early stopping without validation rows has no fused form")
            reading = reader.read(job, x.shape[1])
        except Unfusable as reason:
            refused.append((job, str(reason)))
            continue
        fusable.append(job)
        readings.append(reading)
    return fusable, readings, refused


# Programs are kept for the life of the process, so that a second search of the same shapes compiles nothing.
_PROGRAMS: dict[ProgramKey, Program] = {}
_LOCKS: dict[ProgramKey, threading.Lock] = defaultdict(threading.Lock)
_GUARD = threading.Lock()
_MAX_PROGRAMS = 256


def _backend(name: str) -> Backend:
    if name == "jax":
        from unitune.engine.jax import JaxBackend

        return JaxBackend()
    from unitune.engine.tensorflow import TensorFlowBackend

    return TensorFlowBackend()


def program_for(key: ProgramKey) -> Program:
    """The program of a key, made on first use."""
    with _GUARD:
        program = _PROGRAMS.pop(key, None) or Program(key, _backend(key.backend))
        _PROGRAMS[key] = program
        while len(_PROGRAMS) > _MAX_PROGRAMS:
            _PROGRAMS.pop(next(iter(_PROGRAMS)))
    return program


class _Run:
    """One call of `train`: tiles on threads, outcomes through a queue."""

    def __init__(
        self,
        jobs: Sequence[Job],
        readings: Sequence[Reading],
        splits: Sequence[Split],
        threads: int,
        should_stop: Callable[[], bool],
    ) -> None:
        self.jobs = jobs
        self.readings = readings
        self.splits = splits
        self.threads = threads
        self.should_stop = should_stop
        self._rows: dict[Any, Any] = {}
        self._rows_guard = threading.Lock()
        self._stopped = threading.Event()

    def outcomes(self, tiles: Sequence[Tile]) -> Iterator[Outcome]:
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def work(tile: Tile) -> None:
            try:
                if not self._stopped.is_set():
                    for outcome in self._train(tile):
                        done.put(outcome)
            except BaseException as error:
                done.put(error)
            finally:
                done.put(None)

        with ThreadPoolExecutor(max_workers=self.threads, thread_name_prefix="unitune-tile") as pool:
            for tile in tiles:
                pool.submit(work, tile)
            left = len(tiles)
            try:
                while left:
                    item = done.get()
                    if item is None:
                        left -= 1
                        if self.should_stop():
                            self._stopped.set()
                    elif isinstance(item, BaseException):
                        raise item
                    else:
                        yield item
            finally:
                self._stopped.set()

    def _train(self, tile: Tile) -> Iterator[Outcome]:
        """Trains a tile; one that does not fit the memory is split and run again."""
        try:
            yield self._train_slots(tile)
        except Exception as error:
            if not _out_of_memory(error) or (tile.slots >= 0).sum() < 2:
                raise
            logger.warning("a tile of %d members did not fit the memory: split", (tile.slots >= 0).sum())
            for half in _halves(tile):
                yield from self._train(half)

    def _train_slots(self, tile: Tile) -> Outcome:
        started = time.perf_counter()
        key = tile.key
        program = program_for(key)
        slots = fill_slots(tile.slots, self.jobs, self.readings, key)
        split = self.splits[tile.split]
        features = split.x_train.shape[1]
        data = self._data(tile, program)
        tensor = program.backend.tensor
        hyper = _tensors(hyperparameters(slots, program), tensor)
        state = initial_state(program, stacked_weights(slots, program, features), {})
        longest = max(job.training.epochs for job in slots.jobs)
        results, first_epoch = [], 0
        while first_epoch < longest:
            plan = schedule_of(slots, key, len(split.x_train), first_epoch)
            state, result = self._call(program, state, hyper, data, _tensors(plan, tensor))
            epochs = int(plan["epochs"])
            rates = plan["rates"][:epochs, math.ceil(len(split.x_train) / key.batch_size) - 1]
            results.append((epochs, {name: np.asarray(value) for name, value in result.items()} | {"rates": rates}))
            first_epoch += epochs
            if key.stopping and first_epoch < longest and not np.asarray(state["active"])[slots.real].any():
                plan |= {"epochs": np.int32(0), "final": np.bool_(True)}
                state, result = self._call(program, state, hyper, data, _tensors(plan, tensor))
                results[-1][1]["predictions"] = np.asarray(result["predictions"])
                break
        elapsed = time.perf_counter() - started
        return _outcome(program, slots, split, state, results, elapsed)

    def _call(self, program: Program, *arguments: Any) -> Any:
        """Runs the program; its first call, which compiles, is made by one thread alone."""
        if getattr(program, "ready", False):
            return program.run(*arguments)
        with _LOCKS[program.key]:
            result = program.run(*arguments)
            program.ready = True  # type: ignore[attr-defined]
            return result

    def _data(self, tile: Tile, program: Program) -> Any:
        """A split's rows on the device, shared by the tiles that use them."""
        key = program.key
        where = (tile.split, key.all_rows, key.features, key.weighted, key.dtype)
        with self._rows_guard:
            if where not in self._rows:
                self._rows[where] = _tensors(rows_of(self.splits[tile.split], key), program.backend.tensor)
            return self._rows[where]


def _tensors(value: Any, tensor: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _tensors(item, tensor) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_tensors(item, tensor) for item in value)
    return tensor(value)


def _halves(tile: Tile) -> list[Tile]:
    live = np.flatnonzero(tile.slots >= 0)
    halves = []
    for part in np.array_split(live, 2):
        slots = np.full_like(tile.slots, -1)
        slots[part] = tile.slots[part]
        halves.append(replace(tile, slots=slots))
    return halves


def _out_of_memory(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}"
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "ResourceExhausted" in text


def _outcome(
    program: Program, slots: Slots, split: Split, state: Any, results: list[tuple[int, Any]], elapsed_s: float
) -> Outcome:
    key = program.key
    real = slots.real
    features = split.x_train.shape[1]
    jobs = tuple(job for job, keep in zip(slots.jobs, real, strict=True) if keep)

    def joined(name: str) -> Any:
        """`(member, epoch, ...)` over all chunks."""
        return np.concatenate([result[name][:epochs] for epochs, result in results], axis=0).swapaxes(0, 1)[real]

    history = joined("history")
    rates = joined("rates")
    limit = np.array([job.training.epochs for job in jobs])
    if key.stopping:
        n_epochs = np.asarray(state["n_epochs"])[real]
        best_epoch = np.asarray(state["best_epoch"])[real]
        kept = state["kept"]
    else:
        n_epochs, best_epoch = limit.copy(), limit.copy()
        kept = list(state["weights"])
        if program.optimizer.uses_ema:
            for index, average in zip(program.trainable, state["averages"], strict=True):
                kept[index] = average
    history[np.arange(history.shape[1])[None, :] >= n_epochs[:, None]] = np.nan
    rates = rates + 0.0 * history[:, :, 0]  # NaN after a member's last epoch

    def columns(kind: str, name: str | None = None) -> Any:
        chosen = [i for i, (k, n, _) in enumerate(program.columns) if k == kind and name in (None, n)]
        return history[:, :, chosen]

    if key.plateau:
        rates = rates * columns("rate")[:, :, 0]
    train, validation = columns("train"), columns("validation")
    predictions = results[-1][1]["predictions"][real]
    n_val, n_train = len(split.x_val), len(split.x_train)
    weights = unpadded(program, slots, [np.asarray(w) for w in kept], features)
    names = ACTIVATION_PROBES + UPDATE_PROBES if key.probes else ()
    probes = {name: columns("probe", name) for name in names}
    failures = tuple(
        _failure(train[i, :, 0], int(n), predictions[i, : n_val + n_train]) for i, n in enumerate(n_epochs)
    )
    longest = int(n_epochs.max())
    return Outcome(
        jobs=jobs,
        metrics=program.metrics,
        train=train[:, :longest],
        validation=validation[:, :longest],
        learning_rate=rates[:, :longest],
        n_epochs=n_epochs,
        best_epoch=best_epoch,
        train_predictions=predictions[:, n_val : n_val + n_train],
        validation_predictions=predictions[:, :n_val],
        weights=tuple(w for w, keep in zip(weights, real, strict=True) if keep),
        failures=failures,
        elapsed_s=np.full(len(jobs), elapsed_s / max(1, len(jobs))),
        engine="fused",
        probes={name: array[:, :longest] for name, array in probes.items()},
    )


def _failure(losses: Any, n_epochs: int, predictions: Any) -> str:
    """Why a member counts as failed; empty if it does not."""
    bad = np.flatnonzero(~np.isfinite(losses[:n_epochs]))
    if len(bad):
        return f"the loss was not a finite number from epoch {bad[0] + 1} on: the member diverged"
    if not np.isfinite(predictions).all():
        return "the predictions are not finite numbers: the member diverged"
    return ""
