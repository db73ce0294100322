"""What the loop keeps of a search while it runs. Without a store: nothing (see `unitune.tuner.store_recorder`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unitune.data.arrays import Split
from unitune.engine.contract import Engine, Job
from unitune.records import Array, Trial
from unitune.store import MemberBlock
from unitune.store.members import Key
from unitune.tuner.checkpoints import Checkpoint, Round
from unitune.tuner.collect import Batch, Collector


class Recorder:
    """Keeps nothing."""

    keeps = False

    def take(self, jobs: Sequence[Job]) -> Sequence[bool]:
        """Which of these jobs are to be trained now: those that are neither recorded nor another driver's."""
        return [True] * len(jobs)

    def agree(self, n: int) -> int:
        """How many configurations the strategy is asked for next: `n`, or as many as it was asked for before."""
        return n

    def begin(
        self,
        numbers: Sequence[int],
        configurations: Sequence[Mapping[str, Any]],
        counts: Sequence[int],
        logits: Sequence[bool],
    ) -> None:
        """Keeps trials that are about to be trained: their settings, parameters, and whether they give logits."""

    def recorded(self, jobs: Sequence[Job]) -> list[MemberBlock]:
        """The members of these jobs that were trained in an earlier session or by another driver, and not yet given."""
        return []

    def record(self, block: MemberBlock, finished: Sequence[Trial], weights: Sequence[Sequence[Array]] = ()) -> None:
        """Keeps members that were trained, the trials that are finished with them, and perhaps the members' weights."""

    def complete(self, finished: Sequence[Trial]) -> None:
        """Keeps trials that members complete which were found recorded."""

    def stop(self, trials: Sequence[Trial]) -> None:
        """Keeps what became of trials that were stopped before all their members were trained."""

    def rounds(self, first: int) -> list[Round]:
        """The rounds of halving that the batch which begins with this trial has been through."""
        return []

    def checkpoints(self, first: int, last: int) -> dict[Key, tuple[int, Mapping[str, Any]]]:
        """Of the unfinished members of the trials from `first` to `last` the epoch and the arrays of a checkpoint."""
        return {}

    def keep_checkpoints(self, checkpoints: Mapping[Key, Checkpoint]) -> None:
        """Keeps where members stand that may go on."""

    def keep_rounds(self, first: int, rounds: Sequence[Round]) -> None:
        """Keeps the rounds of a batch, once their members' checkpoints are kept."""

    def drop_checkpoints(self, keys: Sequence[Key]) -> None:
        """Forgets members that are finished."""

    def wait_for_others(self, jobs: Sequence[Job], should_stop: Callable[[], bool]) -> bool:
        """Waits while other drivers train these jobs; whether there is more to take from them, or to take over."""
        return False

    def flush(self, patience_s: float | None = None) -> None:
        """Waits until everything is kept."""


Finished = Iterator[tuple[MemberBlock, list[Trial]]]
"""Members as they come, each time with the trials that are finished with them."""


def never() -> bool:
    """That there is no reason to stop."""
    return False


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """A batch of trials to train.

    Attributes:
        engine: Trains what is not recorded.
        jobs, splits: What to train, and its rows.
        collector, batch: Score it, and put trials together.
        recorder: Keeps it.
        should_stop: Whether to end early, asked between outcomes.
        interrupted: Whether to start nothing more, asked before anything starts.
    """

    engine: Engine
    jobs: Sequence[Job]
    splits: Sequence[Split]
    collector: Collector
    batch: Batch
    recorder: Recorder
    should_stop: Callable[[], bool] = never
    interrupted: Callable[[], bool] = never


def trained(work: Work) -> Finished:
    """Trains a batch, or finds it recorded."""
    jobs, collector, batch, recorder = work.jobs, work.collector, work.batch, work.recorder
    left = len(jobs)

    def take(jobs: Sequence[Job]) -> Sequence[bool]:
        return [False] * len(jobs) if work.interrupted() else recorder.take(jobs)

    def stops() -> bool:
        return work.interrupted() or work.should_stop()

    planned = False
    while True:
        for block in recorder.recorded(jobs):
            left -= len(block.trial)
            finished = collector.enter(batch, block)
            recorder.complete(finished)
            yield block, finished
        # What is recorded as a whole is planned all the same: later jobs are trained in its programs.
        if stops() or (planned and not left):
            return
        planned = True
        for outcome in work.engine.train(jobs, work.splits, should_stop=stops, take=take):
            block = collector.score(batch, outcome)
            finished = collector.enter(batch, block)
            recorder.record(block, finished, outcome.weights)
            left -= len(block.trial)
            yield block, finished
        if not left or not recorder.wait_for_others(jobs, stops):
            return
