"""`spend="repeats"`: what is left of the budget goes to repeats of the trials for which they are worth most."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unitune.engine.contract import Engine
from unitune.models.metrics import ATTAINABLE
from unitune.options import Budget
from unitune.records import Score, Trial
from unitune.report.progress import Listener
from unitune.result import posterior_of
from unitune.space import Space
from unitune.stats import Posterior, next_repeats, repeats_to_settle, summarise
from unitune.store.run import ranked
from unitune.tuner.loop import Network, jobs_of, tell_members
from unitune.tuner.predictions import Searched, out_of_fold
from unitune.tuner.problem import Problem
from unitune.tuner.recorder import Recorder, Work, trained

MOST_ROUNDS = 20
KEPT_FOR_REPEATS = 1 / 3
"""The share of the budget that a search which would use all of it leaves for repeats."""
MOST_MODELLED = 500
"""Trials beyond these, from the best, are not repeated."""


def spend_on_repeats(
    problem: Problem,
    found: Searched,
    *,
    space: Space,
    tolerance: float | None,
    network: Callable[[Mapping[str, Any]], Network],
    engine: Engine,
    budget: Budget,
    started: float,
    listeners: Sequence[Listener],
    recorder: Recorder,
    kept_s: float = 0.0,
    interrupted: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Repeats trials, round by round, until the expected loss is within the tolerance or the budget is gone.

    A round trains those trials once more, on new folds and seeds, whose repeats take most off the expected loss for
    each network (`unitune.stats.next_repeats`). There are 20 rounds at most.

    Args:
        problem: What the search was about.
        found: What it left behind; its trials, members and folds are extended.
        space: In which its trials lie.
        tolerance: Of the expected loss, in units of the objective; the usual one if None or 0.
        network, engine, listeners, recorder, interrupted: As in the search.
        budget: In trials, of which those that were searched are spent; a trial is worth `n_members` members. And in
            seconds.
        started: When the seconds began to run.
        kept_s: Seconds of the time limit that are left for what comes after.

    Returns:
        `rounds`, `members` and `reason`, a sentence that says why it ended, and what it would have cost to go on.
    """
    trials, time_limit_s = budget.trials, budget.time_limit_s
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
            return spent("Stopped by the user while trials were repeated.")
        order = _modelled(problem, found)
        if len(order) < 2:
            return spent("")
        posterior = _posterior(problem, found, space, order)
        margin = tolerance or posterior.tolerance
        if float(posterior.expected_loss.min()) <= margin:
            after = f" after {members:,} more networks" if rounds else ""
            return spent(f"The choice is settled{after}: the expected loss is within {margin:.2g}.")
        further = next_repeats(posterior, members=problem.n_folds, tolerance=margin, seed=problem.seed)
        per_round = len(further.trials) * problem.n_folds
        late = time_limit_s is not None and (
            time.perf_counter() - started + (slowest or _seconds_per_member(found)) * per_round > time_limit_s - kept_s
        )
        if per_round > members_left or late or rounds >= MOST_ROUNDS:
            ended = f"{rounds} rounds of repeats are the most" if rounds >= MOST_ROUNDS else "The budget is spent"
            return spent(f"{ended}, and {_cost(problem, posterior, margin)}.")
        begun = time.perf_counter()
        chosen = [order[place] for place in further.trials]
        try:
            done = _repeat_each(
                problem,
                found,
                chosen,
                network=network,
                engine=engine,
                listeners=listeners,
                recorder=recorder,
                interrupted=interrupted,
            )
        except KeyboardInterrupt:
            found.interrupted = True
            return spent("Stopped by the user while trials were repeated.")
        if not done:
            return spent("")
        rounds, members = rounds + 1, members + per_round
        members_left -= per_round
        slowest = max(slowest, (time.perf_counter() - begun) / per_round)


def _modelled(problem: Problem, found: Searched) -> list[Trial]:
    complete = [trial for trial in found.trials if trial.state == "complete"]
    return ranked(complete, problem.objective, problem.direction)[:MOST_MODELLED]


def _posterior(problem: Problem, found: Searched, space: Space, order: Sequence[Trial]) -> Posterior:
    return posterior_of(
        order,
        out_of_fold(problem, found),
        problem.objective,
        problem.direction,
        space=space,
        n_folds=problem.n_folds,
        validation_ratio=problem.validation_ratio,
        seed=problem.seed,
    )


def _cost(problem: Problem, posterior: Posterior, margin: float) -> str:
    """What it would take to settle the choice."""
    worth = repeats_to_settle(posterior, members=problem.n_folds, tolerance=margin, seed=problem.seed)
    if worth is None:
        return "repeats on these rows would not bring the expected loss within the tolerance"
    networks = worth.repeats * len(worth.trials) * problem.n_folds
    return f"{networks:,} more networks would settle the choice, in four of five cases at least"


def _repeat_each(problem: Problem, found: Searched, chosen: Sequence[Trial], **how: Any) -> bool:
    """Trains each trial once more, on the folds of its own next repeat; False where there is no further repeat."""
    by_number: dict[int, list[Trial]] = {}
    for trial in chosen:
        by_number.setdefault(len(trial.scores[problem.objective].values) // problem.n_folds, []).append(trial)
    for number, those in sorted(by_number.items()):
        further = problem.repeat(number)
        if further is None:
            return False
        _repeat(further, found, those, **how)
    return True


def _seconds_per_member(found: Searched) -> float:
    blocks = found.blocks
    return sum(float(block.elapsed_s.sum()) for block in blocks) / max(1, sum(len(block.trial) for block in blocks))


def _repeat(
    problem: Problem,
    found: Searched,
    chosen: Sequence[Trial],
    *,
    network: Callable[[Mapping[str, Any]], Network],
    engine: Engine,
    listeners: Sequence[Listener],
    recorder: Recorder,
    interrupted: Callable[[], bool],
) -> None:
    """Trains trials once more, on the problem's folds, and extends what was found. All or nothing."""
    collector = problem.collector()
    chosen = sorted(chosen, key=lambda trial: trial.number)
    networks = [network(trial.configuration) for trial in chosen]
    numbers = [trial.number for trial in chosen]
    batch = collector.start(
        numbers, [t.configuration for t in chosen], [t.n_parameters for t in chosen], [one.logits for one in networks]
    )
    seeds = {(fold, repeat): seed for fold, repeat, seed in problem.places}
    again: dict[int, Trial] = {}
    work = Work(
        engine=engine,
        jobs=jobs_of(problem, networks, numbers),
        splits=problem.splits,
        collector=collector,
        batch=batch,
        recorder=recorder,
        interrupted=interrupted,
    )
    for block, finished in trained(work):
        tell_members(listeners, block, seeds)
        again |= {trial.number: trial for trial in finished}
    if len(again) < len(chosen):
        raise KeyboardInterrupt
    found.trials[:] = [
        extended(trial, again[trial.number], problem) if trial.number in again else trial for trial in found.trials
    ]
    found.blocks += collector.blocks
    known = {(fold.fold, fold.repeat) for fold in found.more_folds}
    found.more_folds += [fold for fold in problem.folds if (fold.fold, fold.repeat) not in known]


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
