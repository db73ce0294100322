"""Trials in stages: folds one after another, or epochs; a rule decides who goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.around import Around
from unitune.engine.contract import Engine, Job, Outcome, Take
from unitune.errors import OptionError
from unitune.records import Array, Trial, sign_of
from unitune.search import Halving, Racing, Strategy
from unitune.stats import tied_by_rows, tied_with_best
from unitune.stats.ties import LEVEL
from unitune.store import MemberBlock
from unitune.store.members import only, pick
from unitune.store.run import ranked
from unitune.tuner.halved import halved
from unitune.tuner.predictions import predictions_of
from unitune.tuner.problem import Problem
from unitune.tuner.recorder import Finished, Work, never, trained

Evaluate = Callable[[Work], Finished]
"""Trains a batch, as `unitune.tuner.recorder.trained` does."""


def evaluation_of(strategy: Strategy, problem: Problem) -> Evaluate:
    """How the trials of a strategy are trained.

    Raises:
        OptionError: The folds do not allow it.
    """
    referee = strategy.referee
    if isinstance(referee, Racing):
        if problem.n_members < 3:
            raise OptionError(
                '`strategy="racing"` needs three folds or repeats',
                f"got {problem.n_members}",
                "Raise `folds` or `repeats`.",
            )
        return Race(referee, problem)
    if isinstance(referee, Halving):
        return partial(halved, referee)
    return trained


class Among(Around):
    """An engine that trains some of the jobs that it is given, and plans all: the same programs for every stage."""

    def __init__(self, engine: Engine, jobs: Sequence[Job]) -> None:
        super().__init__(engine)
        self._jobs = jobs

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Take | None = None,
    ) -> Iterator[Outcome]:
        """Trains these jobs."""
        wanted = {job.member for job in jobs}

        def granted(asked: Sequence[Job]) -> list[bool]:
            ours = [job.member in wanted for job in asked]
            if take is None or not any(ours):
                return ours
            mine = iter(take([job for job, is_ours in zip(asked, ours, strict=True) if is_ours]))
            return [is_ours and next(mine) for is_ours in ours]

        return self.inner.train(self._jobs, splits, should_stop=should_stop, take=granted)


class Race:
    """Trains folds one after another; trials that are shown to be worse than the best are dropped on the way.

    A batch is raced to its end: what is decided must not depend on time.

    Args:
        racing: The strategy.
        problem: What the trials are scored on.
    """

    def __init__(self, racing: Racing, problem: Problem) -> None:
        self._racing = racing
        self._problem = problem
        self._best: Trial | None = None
        self._blocks: list[MemberBlock] = []

    def __call__(self, work: Work) -> Finished:
        """Members as they come, each time with the trials that are finished with them."""
        jobs, collector, batch, recorder = work.jobs, work.collector, work.batch, work.recorder
        n_members, metric = collector.n_members, collector.objective
        alive = np.arange(len(batch.numbers))
        blocks = self._racing.blocks(n_members)
        among = Among(work.engine, jobs)
        # Later batches are compared with the best of the earlier ones, too.
        seen = [] if self._best is None else [only(block, [self._best.number]) for block in self._blocks]
        ended: list[Trial] = [] if self._best is None else [self._best]
        for places in blocks:
            chosen = [jobs[index * n_members + place] for index in alive.tolist() for place in places]
            for block, finished in trained(replace(work, engine=among, jobs=chosen, should_stop=never)):
                seen.append(block)
                ended += finished
                yield block, finished
            done = places.stop
            if (batch.missing[alive] != n_members - done).any() or done == n_members:  # interrupted, or at the end
                break
            failed = np.array([index in batch.failures for index in alive.tolist()])
            values = batch.scores["validation", metric][alive][:, :done]
            worse, p, best = self._worse(batch.numbers[alive], np.where(failed[:, None], np.nan, values), seen, blocks)
            gone = failed | worse
            reasons = [
                f"after {done} of {n_members} folds: {metric} {value:.4g}, where the best has {best:.4g} ({chance})"
                for value, chance in zip(
                    values[gone].mean(axis=1).tolist(), [f"p = {one:.2g}" for one in p[gone].tolist()], strict=True
                )
            ]
            stopped = collector.stop(batch, alive[gone], reasons, done)
            alive = alive[~gone]
            recorder.stop(stopped)
            if stopped:
                yield pick(seen[-1], np.zeros(len(seen[-1].trial), bool)), stopped
            if not len(alive):
                break
        first = ranked(ended, self._problem.objective, self._problem.direction)[:1]
        self._best = first[0] if first and first[0].state == "complete" else None
        self._blocks = seen

    def _worse(
        self, numbers: Array, values: Array, blocks: Sequence[MemberBlock], looks: Sequence[object]
    ) -> tuple[Array, Array, float]:
        """Which trials are worse than the best so far.

        Args:
            numbers: `(trial,)`.
            values: `(trial, member)` scores of the members that were trained; NaN for trials that failed.
            blocks: The members.
            looks: Of which the last is not looked at.

        Returns:
            `(trial,)` booleans; `(trial,)` p values; and the mean of the best on these members.
        """
        problem = self._problem
        sign = sign_of(problem.direction)
        earlier = self._best
        if earlier is not None:
            known = earlier.scores[problem.objective].values[: values.shape[1]]
            numbers, values = np.append(numbers, earlier.number), np.concatenate([values, [known]])
        means = values.mean(axis=1)
        p = np.full(len(numbers), np.nan)
        fine = np.flatnonzero(np.isfinite(means))
        if not len(fine):
            return np.zeros(len(numbers), bool), p, float("nan")
        best = int(fine[np.argmax(sign * means[fine])])
        predictions = predictions_of(problem, blocks, numbers[fine].tolist())
        options: dict[str, Any] = {
            "validation_ratio": problem.validation_ratio,
            "level": LEVEL / max(1, len(looks) - 1),
            "best": int(np.flatnonzero(fine == best)[0]),
        }
        if predictions is not None and predictions.n_trials == len(fine):
            ties = tied_by_rows(predictions, problem.objective, problem.direction, seed=problem.seed, **options)
        else:
            ties = tied_with_best(values[fine], problem.direction, **options)
        worse = np.zeros(len(numbers), bool)
        worse[fine] = ~ties.tied
        p[fine] = ties.p
        worse &= sign * (means[best] - means) > 0
        n = len(numbers) - (earlier is not None)
        return worse[:n], p[:n], float(means[best])
