"""A search kept in a store, chunk by chunk, so that it can go on after anything.

A search that goes on walks through its loop from the start: the strategy is asked as it was asked, what is recorded
takes the place of training, and so everything that follows is as if it had never been interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from unitune.engine.contract import Job
from unitune.errors import RunFolderError
from unitune.records import Array, Trial, sign_of
from unitune.space import Space
from unitune.store.best_weights import BestWeights
from unitune.store.claims import Driver
from unitune.store.member_states import drop_states, load_state, save_states, states_of_trials
from unitune.store.members import Key, MemberBlock, keys_of, pick
from unitune.store.predictions import LEAST_TRIALS
from unitune.store.run_store import RunStore
from unitune.store.writer import Writer, patiently
from unitune.tuner.checkpoints import Checkpoint, Round, log_arrays, log_key, rounds_of
from unitune.tuner.recorder import Recorder

POLL_S = 0.2
BYTES_IN_STORE = 2**30
"""Predictions in a store grow to about this size; then those of the worse half are forgotten."""
CHECKPOINT_BYTES = 2**30
"""Checkpoints of unfinished members at most; beyond, a batch of halving goes on from an earlier round."""


class StoreRecorder(Recorder):
    """Keeps a search in a store.

    Args:
        store: The run.
        space: Of its configurations.
        driver: This process among several on the run; None where it is alone.
        elapsed_s: How long the run has taken so far.
        best: Says whose weights are kept; None keeps none.
    """

    keeps = True

    def __init__(
        self,
        store: RunStore,
        space: Space,
        *,
        driver: Driver | None = None,
        elapsed_s: Callable[[], float] = lambda: 0.0,
        best: BestWeights | None = None,
    ) -> None:
        self.store = store
        self._space = space
        self._driver = driver
        self._best = best
        self._writer = Writer(store, elapsed_s=elapsed_s)
        self._asks = 0
        self._bytes = 0
        self._checkpoint_bytes: dict[Key, int] = {}
        self._too_large = False
        self._seen: set[int] = set()
        self._waiting: list[MemberBlock] = []
        self._have: set[Key] = set()
        self._read()

    def agree(self, n: int) -> int:
        """As it was recorded; recorded now, unless there is no time for any (`n` below 1)."""
        number = self._asks + 1
        recorded: int | None = self._patiently(lambda: self.store.asked(number))
        if recorded is None:
            if n < 1:
                return n
            recorded = self._patiently(lambda: self.store.agree(number, n))
        assert recorded is not None
        self._asks = number
        return recorded

    def begin(
        self,
        numbers: Sequence[int],
        configurations: Sequence[Mapping[str, Any]],
        counts: Sequence[int],
        logits: Sequence[bool],
    ) -> None:
        """Recorded, or compared with what is."""
        rows = [
            {"configuration": self._space.labels(one), "n_parameters": n, "logits": bool(is_logits)}
            for one, n, is_logits in zip(configurations, counts, logits, strict=True)
        ]
        recorded = self._patiently(lambda: self.store.begin(numbers[0], rows))
        for number, now, then in zip(numbers, rows, recorded, strict=True):
            if now["configuration"] != then["configuration"]:
                raise RunFolderError(
                    "A search that goes on must propose what it proposed before",
                    f"trial {number} was {then['configuration']} and would be {now['configuration']}",
                    "Another version of Unitune or of what proposes made this run; start a new one.",
                )
            if now != then:
                raise RunFolderError(
                    "A search that goes on must build the networks that it built before",
                    f"trial {number} had {_described(then)} and would have {_described(now)}",
                    "Give it the function that it began with, or start another run with another `name`.",
                )

    def recorded(self, jobs: Sequence[Job]) -> list[MemberBlock]:
        """Each recorded member once."""
        wanted = {_key(job) for job in jobs}
        given, kept = [], []
        for block in self._waiting:
            mine = np.array([key in wanted for key in keys_of(block)])
            if mine.any():
                given.append(pick(block, mine))
            if not mine.all():
                kept.append(pick(block, ~mine))
        self._waiting = kept
        return given

    def record(self, block: MemberBlock, finished: Sequence[Trial], weights: Sequence[Sequence[Array]] = ()) -> None:
        """As one transaction; weights follow in one of their own."""
        self._have.update(keys_of(block))
        self._writer.add(block, finished)
        self._bytes += 0 if block.predictions is None else block.predictions.nbytes
        if self._bytes > BYTES_IN_STORE:
            self._writer.then(self._trim)
            self._bytes //= 2
        if self._best is not None and weights:
            self._writer.then(self._best.changes(self.store, keys_of(block), weights, finished))

    def _trim(self) -> None:
        """Forgets what the worse half of the trials predict, which have no part in the choice."""
        record = self.store.record
        metric, sign = record["objective"], -sign_of(record["direction"])
        means = {number: sign * scores[metric]["mean"] for number, scores in self.store.score_rows().items()}
        ranked = sorted(means, key=lambda number: (math.isnan(means[number]), means[number], number))
        worse = set(ranked[max(LEAST_TRIALS, len(ranked) // 2) :])
        self.store.trim_predictions([row.number for row in self.store.trial_rows() if row.number not in worse])

    def complete(self, finished: Sequence[Trial]) -> None:
        """Of several drivers none may have seen the last members of a trial come."""
        if self._driver is not None:
            self._writer.finish(finished)

    def stop(self, trials: Sequence[Trial]) -> None:
        """With the next chunk."""
        self._writer.finish(trials)

    def rounds(self, first: int) -> list[Round]:
        """As they were recorded."""
        found = self._patiently(lambda: load_state(self.store, log_key(first)))
        return [] if found is None else rounds_of(found[1])

    def checkpoints(self, first: int, last: int) -> dict[Key, tuple[int, Mapping[str, Any]]]:
        """As they were recorded; those that are known to be finished are left out."""
        found = self._patiently(lambda: list(states_of_trials(self.store, first, last)))
        return {key: (epoch, state) for key, epoch, state in found if key[1] >= 0 and key not in self._have}

    def keep_checkpoints(self, checkpoints: Mapping[Key, Checkpoint]) -> None:
        """With the chunks; no more once there are too many bytes of them."""
        states = {key: (one.epoch, one.arrays()) for key, one in checkpoints.items()}
        for key, (_, arrays) in states.items():
            self._checkpoint_bytes[key] = sum(_n_bytes(array) for array in arrays.values())
        self._too_large |= sum(self._checkpoint_bytes.values()) > CHECKPOINT_BYTES
        if not self._too_large:
            self._writer.then(partial(save_states, self.store, states))

    def keep_rounds(self, first: int, rounds: Sequence[Round]) -> None:
        """With the chunks."""
        if not self._too_large:
            states = {log_key(first): (0, log_arrays(rounds))}
            self._writer.then(partial(save_states, self.store, states))

    def drop_checkpoints(self, keys: Sequence[Key]) -> None:
        """With the chunks."""
        for key in keys:
            self._checkpoint_bytes.pop(key, None)
        self._writer.then(partial(drop_states, self.store, list(keys)))

    def wait_for_others(self, jobs: Sequence[Job], should_stop: Callable[[], bool]) -> bool:
        """Looks at the store every now and then."""
        driver = self._driver
        if driver is None or should_stop():
            return False
        self._writer.flush()
        while not should_stop():
            self._patiently(self._read)
            missing = [_key(job) for job in jobs if _key(job) not in self._have]
            if not missing:
                return bool(self._waiting)
            if any(self._patiently(partial(driver.claim, missing))):  # those of a driver that died
                return True
            time.sleep(POLL_S)
        return False

    def flush(self, patience_s: float | None = None) -> None:
        """Writes what could not be written yet; `SaveError` where that stays so."""
        self._writer.flush(patience_s)

    def take(self, jobs: Sequence[Job]) -> list[bool]:
        """Those that are not recorded; of several drivers, each member is claimed by one."""
        new = [_key(job) not in self._have for job in jobs]
        if self._driver is None or not any(new):
            return new
        driver = self._driver
        keys = [_key(job) for job, is_new in zip(jobs, new, strict=True) if is_new]
        granted = dict(zip(keys, self._patiently(lambda: driver.claim(keys)), strict=True))
        return [granted.get(_key(job), False) for job in jobs]

    def _read(self) -> None:
        """What the store has and this process has not."""
        for number, block in self.store.blocks(seen=self._seen):
            self._seen.add(number)
            new = np.array([key not in self._have for key in keys_of(block)])
            if new.any():
                block = pick(block, new)
                self._waiting.append(block)
                self._have.update(keys_of(block))

    def _patiently(self, do: Callable[[], Any]) -> Any:
        return patiently(do, self.store)


def _described(row: Mapping[str, Any]) -> str:
    return f"{row['n_parameters']:,} parameters" + (" and a loss that takes logits" if row["logits"] else "")


def _key(job: Job) -> Key:
    return job.member.trial, job.member.fold, job.member.repeat


def _n_bytes(value: Array | Sequence[Array]) -> int:
    return sum(map(_n_bytes, value)) if isinstance(value, list | tuple) else int(np.asarray(value).nbytes)
