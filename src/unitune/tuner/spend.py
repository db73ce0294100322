"""`spend="ties"`: what is left of the budget goes to repeats of the trials that are tied with the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unitune.engine.contract import Engine
from unitune.errors import OptionError
from unitune.models.metrics import ATTAINABLE
from unitune.records import Score, Trial
from unitune.report.progress import Listener
from unitune.result import ties_of
from unitune.stats import summarise, tied_after_endless_repeats
from unitune.store.run import ranked
from unitune.tuner.loop import Network, Searched, jobs_of, tell_members
from unitune.tuner.predictions import out_of_fold
from unitune.tuner.problem import Problem
from unitune.tuner.recorder import Recorder, trained

MOST_REPEATS = 10
KEPT_FOR_TIES = 1 / 3
"""The share of the budget that a search which would use all of it leaves for ties."""


def check_spend(spend: Any) -> None:
    """Refuses what is no way to spend.

    Raises:
        OptionError: It is not `"ties"`.
    """
    if spend not in (None, "ties"):
        raise OptionError('`spend` must be "ties"', f"got {spend!r}", "Leave it out to search only.")


def spend_on_ties(
    problem: Problem,
    found: Searched,
    *,
    network: Callable[[Mapping[str, Any]], Network],
    engine: Engine,
    trials: int | None,
    time_limit_s: float | None,
    started: float,
    listeners: Sequence[Listener],
    recorder: Recorder,
    interrupted: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Repeats the tied trials, round by round, until they are told apart, the budget is gone, or it would not help.

    A round trains each tied trial once more on new folds and seeds. At most 10 repeats are added.

    Args:
        problem: What the search was about.
        found: What it left behind; its trials, members and folds are extended.
        network, engine, listeners, recorder, interrupted: As in the search.
        trials: The budget in trials, of which those that were searched are spent; a trial is worth `n_members` members.
        time_limit_s, started: The budget in seconds, and when it began to run.

    Returns:
        `rounds`, `members` and `reason`, a sentence that says why it ended.
    """
    members_left = float("inf") if trials is None else (trials - len(found.trials)) * problem.n_members
    rounds = members = 0
    slowest = 0.0  # seconds a member, of the rounds so far

    def spent(reason: str) -> dict[str, Any]:
        return {"rounds": rounds, "members": members, "reason": reason}

    if found.interrupted:
        return spent("")
    while True:
        if interrupted():
            found.interrupted = True
            return spent("Stopped by the user while the tied trials were repeated.")
        tied = _tied(problem, found)
        if not tied:
            return spent("")
        if len(tied) == 1:
            after = f" after {rounds} more repeats" if rounds else ""
            return spent(f"The tied set is settled{after}: one trial is left.")
        if rounds and not _would_settle(problem, found, tied):
            return spent(f"{len(tied)} trials stay tied, and more repeats would not tell them apart.")
        if rounds >= MOST_REPEATS:
            return spent(f"{len(tied)} trials are still tied after {rounds} more repeats, which is the most.")
        per_round = len(tied) * problem.n_folds
        late = time_limit_s is not None and (
            time.perf_counter() - started + (slowest or _seconds_per_member(found)) * per_round > time_limit_s
        )
        if per_round > members_left or late:
            return spent(f"{len(tied)} trials are still tied, and the budget is spent.")
        number = problem.repeats + rounds
        further = problem.repeat(number)
        if further is None:
            return spent("")
        begun = time.perf_counter()
        try:
            _repeat(
                further,
                found,
                tied,
                network=network,
                engine=engine,
                listeners=listeners,
                recorder=recorder,
                interrupted=interrupted,
            )
        except KeyboardInterrupt:
            found.interrupted = True
            return spent("Stopped by the user while the tied trials were repeated.")
        rounds, members = rounds + 1, members + per_round
        members_left -= per_round
        slowest = max(slowest, (time.perf_counter() - begun) / per_round)


def _seconds_per_member(found: Searched) -> float:
    blocks = found.blocks
    return sum(float(block.elapsed_s.sum()) for block in blocks) / max(1, sum(len(block.trial) for block in blocks))


def _tied(problem: Problem, found: Searched) -> list[Trial]:
    """The trials that are tied with the best, best first."""
    order = [t for t in ranked(found.trials, problem.objective, problem.direction) if t.state == "complete"]
    if not order:
        return []
    ties = ties_of(
        order,
        out_of_fold(problem, found),
        problem.objective,
        problem.direction,
        validation_ratio=problem.validation_ratio,
        seed=problem.seed,
    )
    # One that was told apart before and could be taken for tied now is not let in again: it lacks the repeats between.
    most = max((len(trial.scores[problem.objective].values) for trial in order), default=0)
    return [
        trial
        for trial, is_tied in zip(order, ties.tied, strict=True)
        if is_tied and len(trial.scores[problem.objective].values) == most
    ]


def _would_settle(problem: Problem, found: Searched, tied: Sequence[Trial]) -> bool:
    """Whether any of the tied would be told apart by endless repeats, going by the differences so far."""
    predictions = out_of_fold(problem, found)
    numbers = [trial.number for trial in tied]
    if predictions is None or not set(numbers) <= set(predictions.numbers.tolist()):
        return True
    still = tied_after_endless_repeats(
        predictions.only(numbers),
        problem.objective,
        problem.direction,
        best=0,
        validation_ratio=problem.validation_ratio,
        seed=problem.seed,
    )
    return not bool(still.all())


def _repeat(
    problem: Problem,
    found: Searched,
    tied: Sequence[Trial],
    *,
    network: Callable[[Mapping[str, Any]], Network],
    engine: Engine,
    listeners: Sequence[Listener],
    recorder: Recorder,
    interrupted: Callable[[], bool],
) -> None:
    """Trains trials once more, on the problem's folds, and extends what was found. All or nothing."""
    collector = problem.collector()
    tied = sorted(tied, key=lambda trial: trial.number)
    networks = [network(trial.configuration) for trial in tied]
    numbers = [trial.number for trial in tied]
    batch = collector.start(
        numbers, [t.configuration for t in tied], [t.n_parameters for t in tied], [one.logits for one in networks]
    )
    seeds = {(fold, repeat): seed for fold, repeat, seed in problem.places}
    again: dict[int, Trial] = {}
    for block, finished in trained(
        engine,
        jobs_of(problem, networks, numbers),
        problem.splits,
        collector=collector,
        batch=batch,
        recorder=recorder,
        interrupted=interrupted,
    ):
        tell_members(listeners, block, seeds)
        again |= {trial.number: trial for trial in finished}
    if len(again) < len(tied):
        raise KeyboardInterrupt
    found.trials[:] = [
        extended(trial, again[trial.number], problem) if trial.number in again else trial for trial in found.trials
    ]
    found.blocks += collector.blocks
    found.more_folds += problem.folds


def extended(trial: Trial, more: Trial, problem: Problem) -> Trial:
    """A trial with the members of a further repeat; failed where one of these failed."""
    elapsed_s = trial.elapsed_s + more.elapsed_s
    if more.state != "complete":
        return replace(trial, state="failed", failure=more.failure, scores={}, elapsed_s=elapsed_s)
    scores = {}
    for metric, score in trial.scores.items():
        other = more.scores[metric]
        values = (*score.values, *other.values)
        summary = summarise(
            np.array(values),
            validation_ratio=problem.validation_ratio,
            attainable=ATTAINABLE.get(metric, (-np.inf, np.inf)),
        )
        weights = len(score.values), len(other.values)
        scores[metric] = Score(
            metric=metric,
            mean=float(summary.mean),
            std=float(summary.std),
            low=float(summary.low),
            high=float(summary.high),
            train=float(np.average([score.train, other.train], weights=weights)),
            values=values,
        )
    return replace(trial, scores=scores, elapsed_s=elapsed_s)
