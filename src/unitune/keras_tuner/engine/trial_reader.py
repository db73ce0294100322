"""A trial up to its training: its models are built, and what is to be trained of each is read."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unitune.adoption.fit_call import FitCall, read_fit
from unitune.adoption.fit_rows import Rows
from unitune.adoption.hypermodel import overrides_fit
from unitune.adoption.light_build import light_variables, watched_weights
from unitune.adoption.user_fit import UserFit
from unitune.engine.contract import Job
from unitune.engine.fused import read_jobs
from unitune.engine.lift.base import Unfusable
from unitune.engine.vmap.engine import joined, why_solo
from unitune.keras_tuner.engine import tuner_utils
from unitune.keras_tuner.engine.begun import Begun, Run
from unitune.keras_tuner.engine.executions import Execution
from unitune.keras_tuner.engine.keras_trials import KerasTrials
from unitune.keras_tuner.engine.trial import Trial
from unitune.models.source import BuiltModel, KeptModel
from unitune.records import Member


class TrialReader:
    """Reads the trials of a search.

    Args:
        tuner: Whose search it is.
        args, kwargs: The arguments of `search`.
    """

    def __init__(self, tuner: KerasTrials, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self._tuner, self._oracle = tuner, tuner.oracle
        self._args, self._kwargs = tuple(args), kwargs
        self._user_fit = overrides_fit(tuner.hypermodel)
        # A tuner of the user's own decides in `run_trial` on how a trial is trained.
        self._user_trial = not type(tuner).run_trial.__module__.startswith("unitune.")

    def read(self, begun: Begun, rows: Rows, *, keep: bool) -> None:
        """Builds a trial's models, and says in its runs what is to be trained of them.

        Args:
            begun: The trial; it gets no executions where the user's own `run_trial` comes to no training of ours.
            rows: Takes the rows.
            keep: Whether the models are kept; otherwise they are built again where they are needed.

        Raises:
            Unfusable: It has no fused form. What was built is in its runs.
        """
        trial = begun.trial
        args, kwargs = self._args, self._tuner._fit_kwargs(trial, self._kwargs)
        if self._user_trial:
            begun.waiting = self._tuner._begin_trial(trial, self._args, self._kwargs)
            if begun.waiting.request is None:
                return
            args, kwargs = begun.waiting.request
        begun.executions = list(self._tuner._executions(trial, args, kwargs))
        for execution in begun.executions:
            self._execution(begun, execution, rows, keep=keep)
        self._check_lifts(begun.runs, rows)

    def _execution(self, begun: Begun, execution: Execution, rows: Rows, *, keep: bool) -> None:
        """Builds the model of an execution, and reads how it is to be trained."""
        trial, first = begun.trial, begun.runs[0] if begun.runs else None
        run = Run(trial=trial, execution=execution)
        if first is not None and first.call is not None and self._repeats(first.call):
            # The same network with another seed: there is nothing to build.
            run.call = replace(first.call, replays=self._copied(first, execution))
            run.input_shape = first.input_shape
            begun.runs.append(run)
            return
        light = contextlib.nullcontext() if self._user_fit else light_variables()
        with self._tuner._seeding(execution), watched_weights() as assigned, light as run.light:
            run.model = self._tuner._try_build(trial.hyperparameters)
            begun.runs.append(run)
            request: Any = self._until_fit(run) if self._user_fit else (execution.args, execution.kwargs)
            if request is None:
                return  # it needed no training of a model: there is nothing to wait for
            call = read_fit(
                run.model,
                *request,
                rows=rows,
                best_by=(self._oracle.objective.name, self._oracle.objective.direction == "max"),
                assigned=assigned,
                light=run.light,
                first_epoch=_first_epoch(trial),
                # What these do is done for all members of a batch.
                passed_over=(tuner_utils.TunerCallback, tuner_utils.SaveBestEpoch),
            )
        parts = call.parts
        if parts is not None:
            source: Any = KeptModel(lambda: (run.real_model(), parts.rest)[1], _row_shapes(parts.rest))
        elif keep or run.user is not None or any(replay.needs_model for replay in call.replays):
            source = KeptModel(run.real_model, call.input_shape)
        else:
            source = BuiltModel(partial(self._tuner._try_build, trial.hyperparameters.copy()), call.input_shape)
            run.model = run.light = None
        run.call = replace(call, blueprint=replace(call.blueprint, source=source))
        run.input_shape = call.input_shape

    def _until_fit(self, run: Run) -> Any:
        """Runs the user's own `fit` up to its call of `model.fit`; None where it never comes to that."""
        execution, own = run.execution, self._tuner.hypermodel.fit
        run.user = UserFit(
            run.model, lambda: own(run.trial.hyperparameters, run.model, *execution.args, **execution.kwargs)
        )
        run.user.start()
        if run.user.error is not None:
            raise run.user.error
        return run.user.request

    def _repeats(self, call: FitCall) -> bool:
        return not self._user_fit and call.initial_weights is None and not self._tuner.folds

    def _copied(self, first: Run, execution: Execution) -> Any:
        assert first.call is not None
        kinds = {type(replay.callback) for replay in first.call.replays}
        mine = [callback for callback in execution.kwargs["callbacks"] if type(callback) in kinds]
        return tuple(replace(old, callback=new) for old, new in zip(first.call.replays, mine, strict=True))

    def _check_lifts(self, runs: Sequence[Run], rows: Rows) -> None:
        """Refuses a trial of which the engine cannot train a member together with others."""
        jobs = [job_of(run) for run in runs if run.call is not None]
        _, _, refused = read_jobs(jobs, rows.splits)
        for job, reason in refused:
            further = why_solo(job, rows.splits[job.split])
            if further is not None or self._tuner.engine == "fused":
                raise Unfusable(joined(reason, further or ""))


def job_of(run: Run) -> Job:
    """What the engine is to train of a run."""
    execution, call = run.execution, run.call
    assert call is not None
    return Job(
        member=Member(trial=0, fold=execution.fold, repeat=execution.repeat, seed=execution.seed),
        split=call.split,
        blueprint=call.blueprint,
        training=call.training,
        initial_weights=call.initial_weights,
    )


def _first_epoch(trial: Trial) -> int:
    """The epoch up to which `Hyperband` has trained a trial's network before."""
    return int(trial.hyperparameters.values.get("tuner/initial_epoch", 0))


def _row_shapes(model: Any) -> tuple[Any, ...]:
    """Of a row of each input."""
    return tuple(tuple(one.shape[1:]) for one in model.inputs)
