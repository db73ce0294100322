"""Successive halving: a few epochs for every trial of a batch, more for the best of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unitune.engine.contract import Job, MemberState, Outcome
from unitune.errors import RunFolderError
from unitune.search import Halving, Place
from unitune.store import MemberBlock
from unitune.store.members import Key, keys_of, pick
from unitune.tuner.checkpoints import Checkpoint, checkpoint_of
from unitune.tuner.collect import Collector
from unitune.tuner.recorder import Finished, Recorder, Work

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
        epochs: The rung that each member has reached, in epochs; 0 before the first.
        recorded: The members that were found finished.
    """

    jobs: Sequence[Job]
    rungs: tuple[int, ...]
    place: Place
    states: list[MemberState | None]
    pieces: list[tuple[MemberBlock, int] | None]
    epochs: list[int]
    recorded: set[int] = field(default_factory=set)

    @property
    def next_rung(self) -> int:
        """In epochs."""
        return self.rungs[self.place.rung + 1]

    def next_jobs(self) -> list[Job]:
        """The members that go on to the next rung, and have not come there in an earlier session."""
        return [
            replace(job, until=self.next_rung, state=state)
            for job, state, piece, epoch in zip(self.jobs, self.states, self.pieces, self.epochs, strict=True)
            if piece is None or (state is not None and epoch < self.next_rung)
        ]

    def take(self, place: int, block: MemberBlock, position: int, state: MemberState | None, epoch: int) -> None:
        """Notes how far a member has come."""
        self.pieces[place], self.states[place], self.epochs[place] = (block, position), state, epoch

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
        """Whether no member can go on from the rung that the trial has reached, or one has failed."""
        if any(epoch > self.rungs[self.place.rung] for epoch in self.epochs):
            return False  # an earlier session went on
        failed = any(block.failure[position] for block, position in self.trained)
        return failed or not any(state is not None for state in self.states)


def halved(halving: Halving, work: Work) -> Finished:
    """Trains a batch in rounds: trials that may go on, and new ones, together.

    What is decided depends on the scores of earlier rounds and not on time. All programs are planned at the beginning,
    so that no round compiles. Members are recorded once their trial is finished; until then the recorder has where
    they stand. A batch that was cut off walks through the rounds that it has been through, and goes on from there.
    """
    engine, jobs, splits, collector, batch = work.engine, work.jobs, work.splits, work.collector, work.batch
    recorder, interrupted = work.recorder, work.interrupted
    first, last = int(batch.numbers[0]), int(batch.numbers[-1])
    rounds = recorder.rounds(first)
    n_before = len(rounds)
    given = recorder.recorded(jobs)
    running = _begin(halving, work)
    for block in given:
        yield block, collector.enter(batch, block)
    if not rounds and sum(len(block.trial) for block in given) == len(jobs):
        return  # by a version that kept no rounds
    if recorder.keeps:
        _restore(running, given, recorder.checkpoints(first, last), collector)
    new = list(running)
    last_seen = {number: place for place, one in enumerate(rounds) for number in one}

    def end(numbers: Sequence[int], reason: str = "") -> Finished:
        ended = [running.pop(number) for number in numbers]
        for block in _blocks(ended, reason):
            finished = collector.enter(batch, block)
            recorder.record(block, finished)
            yield block, finished
        if ended:
            recorder.drop_checkpoints([_key(job) for one in ended for job in one.jobs])

    done = 0
    while running and not interrupted():
        waiting = {number: one.place for number, one in running.items() if one.place.rung >= 0}
        chosen = halving.go_on(waiting, last=not new)
        begun, new = new[: max(0, TRIALS_PER_ROUND - len(chosen))], new[max(0, TRIALS_PER_ROUND - len(chosen)) :]
        chosen += begun
        if not chosen:
            break
        if done == len(rounds):
            stage = [job for number in chosen for job in running[number].next_jobs()]
            n_trained = 0
            for outcome in engine.train(stage, splits, should_stop=interrupted):
                n_trained += len(outcome.jobs)
                _note(running, outcome, collector.score(batch, outcome), collector, recorder)
            if n_trained < len(stage):
                return
            rounds.append({one: float(np.mean(running[one].scores(collector.objective))) for one in chosen})
        elif rounds[done].keys() != set(chosen):
            raise RunFolderError(
                "A search that goes on must choose whom it chose before",
                f"trials {_shown(rounds[done])} went on and now {_shown(chosen)} would",
                "Another version of Unitune made this run; start a new one.",
            )
        scores = rounds[done]
        done += 1
        for number in chosen:
            one = running[number]
            one.place = replace(one.place, rung=one.place.rung + 1)
            halving.reached(number, one.place, scores[number])
        if done > n_before:
            recorder.keep_rounds(first, rounds)
        over = [number for number in chosen if running[number].is_over]
        # What an earlier session finished has its end where the rounds have it last.
        yield from end([number for number in over if done > n_before or last_seen[number] == done - 1])
    if interrupted():
        return
    by_epochs: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, one in running.items():
        by_epochs[one.rungs[one.place.rung], one.rungs[-1]].append(number)
    for (epochs, of), numbers in by_epochs.items():
        yield from end(numbers, f"stopped early after {epochs} of {of} epochs: others were better")


def _note(
    running: Mapping[int, _Running], outcome: Outcome, block: MemberBlock, collector: Collector, recorder: Recorder
) -> None:
    """Notes how far members have come, and has it kept."""
    kept = {}
    for position, job in enumerate(outcome.jobs):
        state = outcome.states[position] if outcome.states else None
        assert job.until is not None
        running[job.member.trial].take(
            _place(job.member.fold, job.member.repeat, collector), block, position, state, job.until
        )
        if not recorder.keeps:
            continue
        alone = np.arange(len(block.trial)) == position
        kept[_key(job)] = Checkpoint(epoch=job.until, block=pick(block, alone), state=state)
    recorder.keep_checkpoints(kept)


def _restore(
    running: Mapping[int, _Running],
    given: Sequence[MemberBlock],
    checkpoints: Mapping[Key, tuple[int, Mapping[str, Any]]],
    collector: Collector,
) -> None:
    """Puts members where an earlier session left them."""
    for block in given:
        for position, (number, fold, repeat) in enumerate(keys_of(block)):
            place = _place(fold, repeat, collector)
            running[number].take(place, block, position, None, 0)
            running[number].recorded.add(place)
    for (number, fold, repeat), (epoch, arrays) in checkpoints.items():
        one, place = running[number], _place(fold, repeat, collector)
        if place not in one.recorded:
            found = checkpoint_of(epoch, arrays, one.states[place])
            one.take(place, found.block, 0, found.state, epoch)


def _place(fold: int, repeat: int, collector: Collector) -> int:
    return repeat * collector.n_folds + fold


def _key(job: Job) -> Key:
    return job.member.trial, job.member.fold, job.member.repeat


def _shown(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _begin(halving: Halving, work: Work) -> dict[int, _Running]:
    """The trials before their first epoch, by number."""
    jobs, n_members, resumable = work.jobs, work.collector.n_members, work.engine.resumable
    states = [None] * len(jobs) if resumable is None else resumable.prepare(jobs, work.splits)
    running = {}
    for index, number in enumerate(work.batch.numbers.tolist()):
        own = slice(index * n_members, (index + 1) * n_members)
        bracket = halving.bracket(number)
        running[number] = _Running(
            jobs=jobs[own],
            rungs=halving.rungs(jobs[own][0].training.epochs, bracket),
            place=Place(bracket=bracket, rung=-1),
            states=list(states[own]),
            pieces=[None] * n_members,
            epochs=[0] * n_members,
        )
    return running


def _blocks(trials: Sequence[_Running], reason: str) -> Iterator[MemberBlock]:
    """The members of some trials, with their last state, in the blocks in which they came."""
    places: dict[int, list[int]] = defaultdict(list)
    blocks: dict[int, MemberBlock] = {}
    for one in trials:
        for place, piece in enumerate(one.pieces):
            if piece is not None and place not in one.recorded:
                blocks[id(piece[0])] = piece[0]
                places[id(piece[0])].append(piece[1])
    for key, positions in places.items():
        chosen = np.zeros(len(blocks[key].trial), bool)
        chosen[positions] = True
        block = pick(blocks[key], chosen)
        if reason:  # its predictions have no part in the choice
            block = replace(block, failure=[reason] * len(block.trial), stopped=True, predictions=None, predicted=None)
        yield block
