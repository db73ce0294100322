"""Ask, train, score, tell, record, until the strategy, a limit or the user ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from unitune.engine.contract import Engine, Job, OutOfTime
from unitune.models.blueprint import Blueprint, Training
from unitune.models.build import n_parameters
from unitune.options import Budget
from unitune.records import Array, Member, Trial, counted
from unitune.report.progress import Listener
from unitune.search import Strategy
from unitune.store import MemberBlock
from unitune.store.members import keys_of, only
from unitune.store.run import ranked
from unitune.tuner.collect import Batch
from unitune.tuner.predictions import Searched
from unitune.tuner.problem import Problem
from unitune.tuner.proposals import Proposals
from unitune.tuner.recorder import Recorder, Work
from unitune.tuner.stages import evaluation_of

MEMBERS_PER_BATCH = 10_000
MEMBERS_OF_FIRST_TIMED_BATCH = 20
GROWTH_OF_TIMED_BATCHES = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """What a configuration means: a network, how it is trained, and perhaps its own initial weights.

    `logits` says that its predictions are logits, which scoring turns into probabilities.
    """

    blueprint: Blueprint
    training: Training
    initial_weights: Sequence[Array] | None = None
    logits: bool = False


def search(
    problem: Problem,
    strategy: Strategy,
    *,
    network: Callable[[Mapping[str, Any]], Network],
    engine: Engine,
    budget: Budget,
    started: float,
    listeners: Sequence[Listener],
    size: float = float("inf"),
    kept_s: float = 0.0,
    recorder: Recorder | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Searched:
    """Runs a strategy to its end.

    Args:
        problem: Rows, folds and objective.
        strategy: Proposes the configurations.
        network: From a configuration to its network.
        engine: Trains the members.
        budget: Its limits. Nothing is started that would, going by the trials so far, end after the time, and what is
            half trained then is given up; only the first trial is trained to its end whatever it takes.
        started: When the time began to run, by `time.perf_counter`.
        listeners: Are told how it goes.
        size: How many configurations the strategy could propose, to say how many were left out.
        kept_s: Seconds of the time limit that are left for what comes after the search.
        recorder: Keeps what is trained, and gives what was trained before.
        interrupted: Whether the user asked to stop: what is being trained is finished, and nothing else is started.
    """
    trials, time_limit_s = budget.trials, budget.time_limit_s
    recorder = recorder or Recorder()
    seeds = {(fold, repeat): seed for fold, repeat, seed in problem.places}
    clock = _Clock(limit_s=None if time_limit_s is None else time_limit_s - kept_s, started=started)
    collector = problem.collector()
    found = Searched(blocks=collector.blocks)
    n_members = problem.n_members
    best: Trial | None = None
    begun = told_so_far = epochs = 0
    grows = time_limit_s is not None or budget.target_score is not None
    batch_limit = max(1, MEMBERS_PER_BATCH // n_members)
    if grows:
        batch_limit = 1 if engine.name == "solo" else max(1, MEMBERS_OF_FIRST_TIMED_BATCH // n_members)
    most = min((n for n in (trials, budget.trials_of(n_members)) if n is not None), default=None)
    proposals = Proposals(strategy)
    ended_by = ""
    cut_short = False  # something was asked for that was not trained
    held: list[dict[str, Any]] = []  # asked for, and waiting for what is left of the epochs
    evaluate = evaluation_of(strategy, problem)

    def next_batch() -> int:
        """How many configurations are to be asked for next."""
        wanted = [batch_limit, strategy.width(told_so_far), None if most is None else most - begun]
        return min(n for n in wanted if n is not None)

    try:
        while (held or not proposals.done) and (most is None or begun < most):
            if held:
                configurations = asked = held
            elif proposals.waiting:
                asked = proposals.take()
                configurations = asked[: max(0, clock.affordable(len(asked)))]
                cut_short |= len(configurations) < len(asked)
            else:
                n = recorder.agree(min(clock.affordable(batch_limit), next_batch()))
                if n < 1:
                    break
                configurations = asked = proposals.ask(n)
            networks = [network(configuration) for configuration in configurations]
            fitting = budget.n_fitting([one.training.epochs for one in networks], n_members, epochs)
            held = configurations[fitting:]
            if not fitting:
                ended_by = "epochs" if held else ""
                break
            configurations, networks = configurations[:fitting], networks[:fitting]
            counts = [n_parameters(one.blueprint, problem.input_shape) for one in networks]
            logits = [one.logits for one in networks]
            numbers = range(begun + 1, begun + 1 + len(configurations))
            recorder.begin(numbers, configurations, counts, logits)
            batch = collector.start(numbers, configurations, counts, logits)
            begun += len(configurations)
            found.logits += [number for number, is_logits in zip(numbers, logits, strict=True) if is_logits]
            if strategy.asks_ahead and not proposals.waiting and len(configurations) == len(asked) and next_batch() > 0:
                proposals.ask_ahead(recorder.agree(next_batch()))
            batch_started = time.perf_counter()
            told: list[Trial] = []
            work = Work(
                engine=engine,
                jobs=jobs_of(problem, networks, numbers),
                splits=problem.splits,
                collector=collector,
                batch=batch,
                recorder=recorder,
                should_stop=partial(_should_stop, batch, n_members, clock, found),
                interrupted=interrupted,
            )
            for block, finished in evaluate(work):
                tell_members(listeners, block, seeds)
                epochs += int(np.sum(block.n_epochs))
                for trial in finished:
                    best = ranked([trial] if best is None else [best, trial], problem.objective, problem.direction)[0]
                    found.trials.append(trial)
                    told.append(trial)
                    for listener in listeners:
                        listener.on_trial(trial, best if best.state == "complete" else None)
                clock.note(time.perf_counter() - batch_started, len(told), len(configurations))
            clock.settle()
            proposals.tell(sorted(told, key=lambda trial: trial.number))
            told_so_far += len(told)
            if interrupted():
                found.interrupted = True
            cut_short |= len(told) < len(configurations)
            if len(told) < len(configurations) or found.interrupted:
                break
            if budget.is_reached(best, problem.objective, problem.direction):
                ended_by = "target"
                break
            if grows:
                batch_limit = min(batch_limit * GROWTH_OF_TIMED_BATCHES, max(1, MEMBERS_PER_BATCH // n_members))
    except OutOfTime:
        cut_short = True
    except KeyboardInterrupt:
        found.interrupted = True
    finally:
        cut_short |= bool(proposals.waiting)
        proposals.close()
    if found.interrupted and not found.trials:
        raise KeyboardInterrupt
    found.trials.sort(key=lambda trial: trial.number)
    # Members of trials that were cut short are no part of the result.
    complete = [trial.number for trial in found.trials]
    found.blocks = [only(block, complete) for block in collector.blocks]
    found.proposing_s, found.waited_s = proposals.proposing_s, proposals.waited_s
    if (
        not found.interrupted
        and not ended_by
        and budget.member_limit is not None
        and begun == budget.trials_of(n_members)
    ):
        ended_by = "members" if begun < min(size, float("inf") if trials is None else trials) else ""
    found.left_out = _ended(found, budget, ended_by, best, problem) or _left_out(
        found, strategy, budget, size, all_trained=strategy.done and not cut_short
    )
    return found


def tell_members(listeners: Sequence[Listener], block: MemberBlock, seeds: Mapping[tuple[int, int], int]) -> None:
    """Tells listeners of members that were trained, or were found recorded; `seeds` are those of folds and repeats."""
    for (trial, fold, repeat), failure in zip(keys_of(block) if listeners else (), block.failure, strict=False):
        member = Member(trial=trial, fold=fold, repeat=repeat, seed=seeds[fold, repeat])
        for listener in listeners:
            listener.on_member(member, failure)


def jobs_of(problem: Problem, networks: Sequence[Network], numbers: Sequence[int]) -> list[Job]:
    """All members of the trials of these numbers, a trial's members one after another."""
    places = problem.places
    return [
        Job(
            member=Member(trial=number, fold=fold, repeat=repeat, seed=seed),
            split=index,
            blueprint=network.blueprint,
            training=network.training,
            initial_weights=network.initial_weights,
        )
        for number, network in zip(numbers, networks, strict=True)
        for index, (fold, repeat, seed) in enumerate(places)
    ]


def _at_boundary(batch: Batch, n_members: int) -> bool:
    """Whether no trial is half-trained, so that stopping now wastes nothing."""
    return bool(np.all((batch.missing == 0) | (batch.missing == n_members)))


def _should_stop(batch: Batch, n_members: int, clock: _Clock, found: Searched) -> bool:
    """Whether no further trial fits into the time.

    Raises:
        OutOfTime: It is over, and there are trials to choose from: what is half-trained is given up.
    """
    if clock.is_over and any(trial.state == "complete" for trial in found.trials):
        raise OutOfTime
    return _at_boundary(batch, n_members) and clock.affordable(1) < 1


def _left_out(
    found: Searched,
    strategy: Strategy,
    budget: Budget,
    size: float,
    *,
    all_trained: bool,
) -> str:
    trials, time_limit_s = budget.trials, budget.time_limit_s
    done, all_of_them = len(found.trials), size
    if trials is not None:
        size = min(size, trials)
    if found.interrupted:
        rest = f" of {size:,.0f}" if size != float("inf") else ""
        return f"Stopped by the user after {counted(done, 'trial') if not rest else f'{done:,}{rest} trials'}."
    if strategy.name == "grid" and done == trials and all_of_them > done:
        return f"{all_of_them - done:,.0f} of {all_of_them:,.0f} configurations were left out (`trials={trials}`)."
    if time_limit_s is not None and not all_trained and (trials is None or done < trials):
        late = f"would not have ended within {time_limit_s:g} s."
        if size == float("inf"):
            return f"The search was cut short after {counted(done, 'trial')}: further ones {late}"
        left = size - done
        were, they = ("was", "it") if left == 1 else ("were", "they")
        return f"{left:,.0f} of {size:,.0f} trials {were} left out: {they} {late}"
    return ""


def _ended(found: Searched, budget: Budget, ended_by: str, best: Trial | None, problem: Problem) -> str:
    """Which limit of the budget ended the search, as a sentence; empty if none."""
    done = counted(len(found.trials), "trial")
    if ended_by == "target" and best is not None:
        reached = f"{problem.objective} reached {best.scores[problem.objective].mean:.4g}"
        return f"Stopped after {done}: {reached} (`target_score={budget.target_score:g}`)."
    if ended_by == "epochs":
        return f"Stopped after {done}: the next might have exceeded the epochs (`epoch_limit={budget.epoch_limit}`)."
    if ended_by == "members":
        return (
            f"Stopped after {done}: the next would have exceeded the networks (`member_limit={budget.member_limit}`)."
        )
    return ""


class _Clock:
    """How many trials still fit into the time limit, going by those that were trained."""

    def __init__(self, *, limit_s: float | None, started: float) -> None:
        self._limit_s = limit_s
        self._started = started
        self._per_trial_s: float | None = None
        self._running: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._limit_s is not None and time.perf_counter() - self._started > self._limit_s

    def affordable(self, at_most: int) -> int:
        per_trial = self._running if self._running is not None else self._per_trial_s
        if self._limit_s is None:
            return at_most
        left = self._limit_s - (time.perf_counter() - self._started)
        if per_trial is None:
            return at_most
        return int(left / max(per_trial, 1e-9))

    def note(self, elapsed_s: float, finished: int, asked: int) -> None:
        """What the trials of the running batch cost so far."""
        if finished:
            self._running = elapsed_s / finished

    def settle(self) -> None:
        """The batch is over: its cost is what the next one is expected to take."""
        if self._running is not None:
            self._per_trial_s, self._running = self._running, None
