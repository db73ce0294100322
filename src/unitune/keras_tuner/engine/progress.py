"""The bar of a search: trials, time left and the best so far."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.records import Member, Score
from unitune.records import Trial as Record
from unitune.report.progress import Listener, Plan, make_progress


class Progress:
    """Tells Unitune's listeners of the trials of an oracle.

    Args:
        oracle: Whose trials they are.
        members_per_trial: Executions times folds.
    """

    def __init__(self, oracle: Oracle, members_per_trial: int) -> None:
        self._oracle = oracle
        self._members = members_per_trial
        self._listeners: list[Listener] = []
        self._best: Record | None = None

    @contextlib.contextmanager
    def shown(self, show: bool) -> Iterator[None]:
        """Shows the bar while inside, if it is wanted."""
        oracle = self._oracle
        self._listeners = list(make_progress(show))
        plan = Plan(
            objective=oracle.objective.name,
            direction="maximize" if oracle.objective.direction == "max" else "minimize",
            n_trials=oracle.remaining_trials(),
            members_per_trial=self._members,
            strategy=type(oracle).__name__.removesuffix("Oracle"),
            engine="fused",
            evaluation=f"{self._members} execution{'s' if self._members > 1 else ''}",
        )
        for listener in self._listeners:
            listener.on_start(plan)
        try:
            yield
        finally:
            for listener in self._listeners:
                listener.on_end()

    def member(self, failure: str) -> None:
        """A member was trained."""
        for listener in self._listeners:
            listener.on_member(Member(trial=0, fold=0, repeat=0, seed=0), failure)

    def trial(self, trial: Trial, members: int = 0) -> None:
        """A trial ended; `members` of it were not told of."""
        if not self._listeners:
            return
        for _ in range(members):
            self.member("")
        record = self._record(trial)
        oracle = self._oracle
        if record.state == "complete":
            better = oracle.objective.better_than
            name = oracle.objective.name
            if self._best is None or better(record.scores[name].mean, self._best.scores[name].mean):
                self._best = record
        for listener in self._listeners:
            listener.on_trial(record, self._best)

    def _record(self, trial: Trial) -> Record:
        number = self._oracle._display.trial_number.get(trial.trial_id, 0)
        complete = trial.status == TrialStatus.COMPLETED and trial.score is not None
        name = self._oracle.objective.name
        value = float(trial.score) if trial.score is not None else math.nan
        score = Score(
            metric=name, mean=value, std=math.nan, low=math.nan, high=math.nan, train=math.nan, values=(value,)
        )
        return Record(
            number=number,
            configuration=dict(trial.hyperparameters.values),
            state="complete" if complete else "failed",
            scores={name: score} if complete else {},
            engine=trial.engine,
            engine_reason=trial.engine_reason,
            failure="" if complete else (trial.message or trial.status).strip().splitlines()[-1],
        )
