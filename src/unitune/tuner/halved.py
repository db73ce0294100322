"""Successive halving: a few epochs for every trial of a batch, more for the best of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.contract import Engine, Job
from unitune.records import Trial
from unitune.search import Halving, Place
from unitune.store import MemberBlock
from unitune.store.members import pick
from unitune.tuner.collect import STOPPED, Batch, Collector
from unitune.tuner.recorder import Recorder

TRIALS_PER_ROUND = 256


@dataclass(kw_only=True, eq=False)
class _Running:
    """A trial on its way.

    Attributes:
        jobs: Its members.
        rungs: After how many epochs it is looked at, from where it begins.
        place: Its bracket, and the rung that it has reached, from -1.
        states: What each member needs to go on; None where it is done.
        pieces: For each member the block that it came in last, and its position there.
    """

    jobs: Sequence[Job]
    rungs: tuple[int, ...]
    place: Place
    states: list[object | None]
    pieces: list[tuple[MemberBlock, int] | None]

    def next_jobs(self) -> list[Job]:
        """The members that go on to the next rung."""
        until = self.rungs[self.place.rung + 1]
        return [
            replace(job, until=until, state=state)
            for job, state, piece in zip(self.jobs, self.states, self.pieces, strict=True)
            if piece is None or state is not None
        ]

    def take(self, place: int, block: MemberBlock, position: int, state: object | None) -> None:
        """Notes how far a member has come."""
        self.pieces[place], self.states[place] = (block, position), state

    def scores(self, metric: str) -> list[float]:
        """Of its members, at the weights that they would keep now; NaN of those that failed."""
        return [
            float("nan") if block.failure[position] else float(block.scores[f"validation_{metric}"][position])
            for block, position in self.trained
        ]

    @property
    def trained(self) -> list[tuple[MemberBlock, int]]:
        """The pieces that there are."""
        return [piece for piece in self.pieces if piece is not None]

    @property
    def is_over(self) -> bool:
        """Whether no member can go on, or one has failed."""
        failed = any(block.failure[position] for block, position in self.trained)
        return failed or not any(state is not None for state in self.states)


def halved(
    halving: Halving,
    engine: Engine,
    jobs: Sequence[Job],
    splits: Sequence[Split],
    *,
    collector: Collector,
    batch: Batch,
    recorder: Recorder,
    should_stop: Callable[[], bool] = lambda: False,
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[MemberBlock, list[Trial]]]:
    """Trains a batch in rounds: trials that may go on, and new ones, together.

    What is decided depends on the scores of earlier rounds and not on time. All programs are planned at the beginning,
    so that no round compiles. Members are recorded once their trial is finished; a batch that was cut off begins anew.
    """
    given = recorder.recorded(jobs)
    if sum(len(block.trial) for block in given) == len(jobs):
        for block in given:
            yield block, collector.enter(batch, block)
        return
    running = _begin(halving, engine, jobs, splits, collector=collector, batch=batch)
    new = list(running)

    def end(numbers: Sequence[int], reason: str = "") -> Iterator[tuple[MemberBlock, list[Trial]]]:
        for block in _blocks([running.pop(number) for number in numbers], reason):
            finished = collector.enter(batch, block)
            recorder.record(block, finished)
            yield block, finished

    while running and not interrupted():
        waiting = {number: one.place for number, one in running.items() if one.place.rung >= 0}
        chosen = halving.go_on(waiting, last=not new)
        begun, new = new[: max(0, TRIALS_PER_ROUND - len(chosen))], new[max(0, TRIALS_PER_ROUND - len(chosen)) :]
        chosen += begun
        if not chosen:
            break
        stage = [job for number in chosen for job in running[number].next_jobs()]
        n_trained = 0
        for outcome in engine.train(stage, splits, should_stop=interrupted):
            block = collector.score(batch, outcome)
            n_trained += len(outcome.jobs)
            for position, job in enumerate(outcome.jobs):
                place = job.member.repeat * collector.n_folds + job.member.fold
                state = outcome.states[position] if outcome.states else None
                running[job.member.trial].take(place, block, position, state)
        if n_trained < len(stage):
            return
        over = []
        for number in chosen:
            one = running[number]
            one.place = replace(one.place, rung=one.place.rung + 1)
            halving.reached(number, one.place, float(np.mean(one.scores(collector.objective))))
            if one.is_over:
                over.append(number)
        yield from end(over)
    if interrupted():
        return
    by_epochs: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, one in running.items():
        by_epochs[one.rungs[one.place.rung], one.rungs[-1]].append(number)
    for (epochs, of), numbers in by_epochs.items():
        yield from end(numbers, f"{STOPPED} after {epochs} of {of} epochs: others were better")


def _begin(
    halving: Halving,
    engine: Engine,
    jobs: Sequence[Job],
    splits: Sequence[Split],
    *,
    collector: Collector,
    batch: Batch,
) -> dict[int, _Running]:
    """The trials before their first epoch, by number."""
    prepare = getattr(engine, "prepare", None)
    states = [None] * len(jobs) if prepare is None else prepare(jobs, splits)
    n_members = collector.n_members
    running = {}
    for index, number in enumerate(batch.numbers.tolist()):
        own = slice(index * n_members, (index + 1) * n_members)
        bracket = halving.bracket(number)
        running[number] = _Running(
            jobs=jobs[own],
            rungs=halving.rungs(jobs[own][0].training.epochs, bracket),
            place=Place(bracket=bracket, rung=-1),
            states=list(states[own]),
            pieces=[None] * n_members,
        )
    return running


def _blocks(trials: Sequence[_Running], reason: str) -> Iterator[MemberBlock]:
    """The members of some trials, with their last state, in the blocks in which they came."""
    places: dict[int, list[int]] = defaultdict(list)
    blocks: dict[int, MemberBlock] = {}
    for one in trials:
        for block, position in one.trained:
            blocks[id(block)] = block
            places[id(block)].append(position)
    for key, positions in places.items():
        chosen = np.zeros(len(blocks[key].trial), bool)
        chosen[positions] = True
        block = pick(blocks[key], chosen)
        if reason:  # its predictions have no part in the choice
            block = replace(block, failure=[reason] * len(block.trial), predictions=None, predicted=None)
        yield block
