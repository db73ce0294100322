"""Many trials as one population: proposed and built one by one, trained together by the fused engine.

The oracle is asked for a trial, its model is built, what the model asked for is told to the oracle, and then comes the
next, exactly as in a search of one trial after another; only training waits until a batch is together. Where
`HyperModel.fit` is the user's own, it runs in a thread of its own up to its call of `model.fit`, waits there for the
batch, and goes on with the history. Only one such thread runs at a time.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.engine.lift.base import Unfusable
from unitune.engine.vmap.engine import joined, why_solo
from unitune.engine.worth import NOT_WORTH_COMPILING
from unitune.errors import FusionError, SpaceError
from unitune.keras_tuner import errors
from unitune.keras_tuner.engine import tuner_utils
from unitune.keras_tuner.engine.executions import Execution, executions_of
from unitune.keras_tuner.engine.fit_call import FitCall, Rows, read_fit
from unitune.keras_tuner.engine.progress import Progress
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.models import backend
from unitune.models.blueprint import Source
from unitune.models.shapes import as_shapes
from unitune.models.source import BuiltModel, LiveModel
from unitune.records import Array, Member
from unitune.tuner.collect import FASTEST_FIRST
from unitune.tuner.hypermodel import overrides_fit
from unitune.tuner.light_build import light_variables, watched_weights

if TYPE_CHECKING:
    from unitune.keras_tuner.engine.tuner import Tuner

logger = logging.getLogger(__name__)

MEMBERS_PER_BATCH = 1_000
IDLE_S = 0.01


def why_one_by_one(tuner: Tuner) -> str:
    """Why no trial of a tuner can be fused; empty where some may."""
    from unitune.keras_tuner.engine.tuner import Tuner as Plain

    if tuner.engine == "solo":
        return '`engine="solo"` was asked for'
    if tuner.distribution_strategy is not None:
        return "there is a `distribution_strategy`"
    if not getattr(type(tuner).run_trial, "_fuses", type(tuner).run_trial is Plain.run_trial):
        return "`run_trial` is overridden"
    for name in (
        "_build_and_fit_model",
        "load_model",
        "on_epoch_begin",
        "on_epoch_end",
        "on_batch_begin",
        "on_batch_end",
    ):
        own = getattr(type(tuner), name)
        if own is not getattr(Plain, name) or name in vars(tuner):
            return f"`{name}` is overridden"
    return ""


def _first_epoch(trial: Trial) -> int:
    """The epoch up to which `Hyperband` has trained a trial's network before."""
    return int(trial.hyperparameters.values.get("tuner/initial_epoch", 0))


class _GoSolo(BaseException):
    """Unwinds the user's `fit`: the trial is run by Keras. Not an `Exception`, which the user's code may catch."""


@dataclass(kw_only=True, eq=False)
class _Fitted:
    """What `fit` returned, for the tuner and for the user's own `fit`."""

    history: dict[str, list[float]]
    epoch: list[int]
    params: dict[str, Any] = field(default_factory=dict)
    model: Any = None


@dataclass(kw_only=True, eq=False)
class _Run:
    """One execution of a trial in a batch."""

    trial: Trial
    execution: Execution
    call: FitCall | None
    user: _UserFit | None = None
    result: Any = None
    weights: tuple[Array, ...] | None = None
    value: float = float("nan")
    engine: str = "fused"
    engine_reason: str = ""


class _UserFit:
    """The user's own `HyperModel.fit`, up to its call of `model.fit` and on from there."""

    def __init__(self, tuner: Tuner, trial: Trial, model: Any, execution: Execution) -> None:
        self.model = model
        self.request: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.finished = False
        self._answer: Any = None
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._fit: Callable[[], Any] = lambda: tuner.hypermodel.fit(
            trial.hyperparameters, model, *execution.args, **execution.kwargs
        )
        self._thread = threading.Thread(target=self._run, name="unitune-fit", daemon=True)

    def start(self) -> None:
        """Runs it until it calls `model.fit` or ends."""
        self.model.fit = self._wait
        self._thread.start()
        self._mine.acquire()

    def go_on(self, answer: Any) -> None:
        """Lets it go on, with a history or an exception from its call of `model.fit`."""
        self._answer = answer
        self.model.__dict__.pop("fit", None)
        self._theirs.release()
        self._mine.acquire()

    def _wait(self, *args: Any, **kwargs: Any) -> Any:
        self.request = (args, kwargs)
        self.model.__dict__.pop("fit", None)  # the model is read now, and a `fit` of its own is not to be fused
        self._mine.release()
        self._theirs.acquire()
        # A second training would begin with another optimizer than this one ended with.
        self.model.fit = self._again
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    def _again(self, *args: Any, **kwargs: Any) -> Any:
        raise _GoSolo("`HyperModel.fit` calls `model.fit` more than once")

    def _run(self) -> None:
        try:
            self.result = self._fit()
        except BaseException as error:
            self.error = error
        finally:
            self.finished = True
            self.model.__dict__.pop("fit", None)
            self._mine.release()


class Population:
    """One call of `Tuner.search`.

    Args:
        tuner: Whose search it is.
        args, kwargs: The arguments of `search`.
    """

    def __init__(self, tuner: Tuner, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self._tuner, self._oracle = tuner, tuner.oracle
        self._args, self._kwargs = tuple(args), dict(kwargs)
        self._engine = FusedEngine(probes=False, leaves=True, weighs=tuner.engine == "auto")
        self._user_fit = overrides_fit(tuner.hypermodel)
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._kept: dict[str, _Run] = {}
        self._per_trial = len(list(executions_of(tuner, self._args, self._kwargs)))
        self._limit = max(1, MEMBERS_PER_BATCH // max(1, self._per_trial))
        self._progress = Progress(tuner, self._per_trial)

    def search(self) -> None:
        """Runs batches until the oracle has no more trials."""
        tuner = self._tuner
        tuner.on_search_begin()
        verbose, self._oracle.verbose = self._oracle.verbose, 0  # a bar instead of a page for each trial
        self._verbose = bool(verbose)
        try:
            with self._progress.shown(self._verbose and tuner.progress):
                while self._batch():
                    pass
        finally:
            self._oracle.verbose = verbose
            tuner.on_search_end()
        self._write_weights()
        self._warn()
        tuner._warn_if_nothing()

    # A batch ----------------------------------------------------------------------------------------------------

    def _batch(self) -> bool:
        """Gathers and trains a batch; False once there is nothing more."""
        oracle, tuner = self._oracle, self._tuner
        waiting: list[tuple[Trial, list[_Run]]] = []
        rows = Rows()
        limit = min(self._limit, getattr(oracle, "trials_at_once", self._limit))
        status = TrialStatus.RUNNING
        begun = 0
        try:
            with oracle.saving_once():
                while len(waiting) < limit:
                    tuner.pre_create_trial()
                    trial = oracle.create_trial(tuner.tuner_id if not waiting else f"{tuner.tuner_id}.{len(waiting)}")
                    status = trial.status
                    if status != TrialStatus.RUNNING:
                        break
                    begun += 1
                    tuner.on_trial_begin(trial)
                    runs = self._prepare(trial, rows)
                    if runs is not None:
                        oracle.trial_built(trial)
                        waiting.append((trial, runs))
                self._train([run for _, runs in waiting for run in runs], rows)
                for trial, runs in waiting:
                    self._finish(trial, runs)
        finally:
            for _, runs in waiting:
                for run in runs:
                    if run.user is not None and not run.user.finished:
                        run.user.go_on(_GoSolo())
        tuner.save()
        if begun:
            return True
        if status == TrialStatus.IDLE:
            time.sleep(IDLE_S)
            return True
        return False

    def _prepare(self, trial: Trial, rows: Rows) -> list[_Run] | None:
        """Builds a trial's models; None where it is over already: it failed, or was run by Keras."""
        runs: list[_Run] = []
        try:
            for execution in self._executions(trial):
                runs.append(self._read(trial, execution, runs, rows))
            self._check_lifts(runs, rows)
        except (Unfusable, _GoSolo) as error:
            reason = str(error)
        except errors.FatalError:
            self._abandon(runs)
            raise
        except Exception as error:
            self._abandon(runs)
            self._fail(trial, error)
            return None
        else:
            self._oracle.update_space(trial.hyperparameters)
            return runs
        # Not within `except`: what the user's code may raise now has nothing to do with it.
        self._abandon(runs)
        self._solo(trial, reason)
        return None

    def _executions(self, trial: Trial) -> Iterator[Execution]:
        kwargs = self._tuner._fit_kwargs(trial, {"verbose": 0, **self._kwargs, "callbacks": None})
        given = self._kwargs.get("callbacks") or []
        for execution in executions_of(self._tuner, self._args, kwargs):
            callbacks = self._tuner._deepcopy_callbacks(given)
            yield replace(execution, kwargs={**execution.kwargs, "verbose": 0, "callbacks": callbacks})

    def _read(self, trial: Trial, execution: Execution, before: Sequence[_Run], rows: Rows) -> _Run:
        first = before[0] if before else None
        if first is not None and first.call is not None and self._repeats(first.call):
            # The same network with another seed: there is nothing to build.
            call = replace(first.call, replays=self._copied(first, execution))
            return _Run(trial=trial, execution=execution, call=call)
        if self._user_fit:
            return self._read_user_fit(trial, execution, rows)
        try:
            with light_variables():
                return self._read_built(trial, execution, rows, light=True)
        except (errors.FatalError, errors.FailedTrialError, Unfusable, SpaceError):
            raise
        except Exception as error:
            logger.debug("trial %s is built with its weights: %r", trial.trial_id, error)
        # The user's function may look at weights, which were not there; or it raises, and now does so in earnest.
        return self._read_built(trial, execution, rows, light=False)

    def _read_built(self, trial: Trial, execution: Execution, rows: Rows, *, light: bool) -> _Run:
        with watched_weights() as assigned:
            model = self._tuner._try_build(trial.hyperparameters)
            call = read_fit(
                model,
                execution.args,
                execution.kwargs,
                rows=rows,
                objective=self._oracle.objective,
                assigned=assigned,
                light=light,
                first_epoch=_first_epoch(trial),
            )
        build = partial(self._tuner._try_build, trial.hyperparameters.copy())
        return _Run(trial=trial, execution=execution, call=_with_source(call, BuiltModel(build, call.input_shape)))

    def _read_user_fit(self, trial: Trial, execution: Execution, rows: Rows) -> _Run:
        with watched_weights() as assigned:
            model = self._tuner._try_build(trial.hyperparameters)
            user = _UserFit(self._tuner, trial, model, execution)
            user.start()
        if user.error is not None:
            raise user.error
        if user.request is None:
            # It needed no training of a model: there is nothing to wait for.
            return _Run(trial=trial, execution=execution, call=None, user=user)
        args, kwargs = user.request
        try:
            call = read_fit(
                model,
                args,
                kwargs,
                rows=rows,
                objective=self._oracle.objective,
                assigned=assigned,
                first_epoch=_first_epoch(trial),
            )
        except BaseException:
            user.go_on(_GoSolo())
            raise
        return _Run(
            trial=trial, execution=execution, call=_with_source(call, LiveModel(model, call.input_shape)), user=user
        )

    def _repeats(self, call: FitCall) -> bool:
        return not self._user_fit and call.initial_weights is None and not self._tuner.folds

    def _copied(self, first: _Run, execution: Execution) -> Any:
        assert first.call is not None
        kinds = {type(replay.callback) for replay in first.call.replays}
        mine = [callback for callback in execution.kwargs["callbacks"] if type(callback) in kinds]
        return tuple(replace(old, callback=new) for old, new in zip(first.call.replays, mine, strict=True))

    def _check_lifts(self, runs: Sequence[_Run], rows: Rows) -> None:
        """Refuses a trial of which the engine cannot train a member together with others."""
        jobs = [self._job(run) for run in runs if run.call is not None]
        _, _, refused = read_jobs(jobs, rows.splits)
        for job, reason in refused:
            further = why_solo(job, rows.splits[job.split])
            if further is not None or self._tuner.engine == "fused":
                raise Unfusable(joined(reason, further or ""))

    def _job(self, run: _Run) -> Job:
        execution, call = run.execution, run.call
        assert call is not None
        return Job(
            member=Member(trial=0, fold=execution.fold, repeat=execution.repeat, seed=execution.seed),
            split=call.split,
            blueprint=call.blueprint,
            training=call.training,
            initial_weights=call.initial_weights,
        )

    def _train(self, runs: Sequence[_Run], rows: Rows) -> None:
        runs = [run for run in runs if run.call is not None]
        if not runs:
            return
        jobs = [self._job(run) for run in runs]
        of_job = {id(job): run for job, run in zip(jobs, runs, strict=True)}
        for outcome in self._engine.train(jobs, rows.splits):
            for position, job in enumerate(outcome.jobs):
                run = of_job[id(job)]
                call = run.call
                assert call is not None
                n = int(outcome.n_epochs[position])
                first = min(call.first_epoch, n)
                history: dict[str, list[float]] = {}
                for prefix, values in (("", outcome.train), ("val_", outcome.validation)):
                    if prefix and not call.validates:
                        continue
                    for name in sorted(("loss", *call.metrics)):  # the order in which `fit` logs
                        column = outcome.metrics.index(name if name == "loss" else call.metrics[name].engine_name)
                        history[prefix + name] = [float(v) for v in values[position, first:n, column]]
                if call.logs_rate:
                    history["learning_rate"] = [float(v) for v in outcome.learning_rate[position, first:n]]
                run.result = _Fitted(history=history, epoch=list(range(first, n)), params={"epochs": n})
                run.weights = tuple(outcome.weights[position])
                run.engine, run.engine_reason = outcome.engine, outcome.engine_reason
                self._progress.member(outcome.failures[position])

    def _finish(self, trial: Trial, runs: Sequence[_Run]) -> None:
        """Scores a trial whose members were trained."""
        tuner = self._tuner
        results = []
        try:
            for run in runs:
                if run.engine == "solo":
                    raise _GoSolo(run.engine_reason)
                for replay in run.call.replays if run.call is not None else ():
                    replay.run(run.result.history, run.result.epoch, self._folder(run), partial(self._trained, run))
                results.append(run.result if run.user is None else self._after_fit(run))
            self._oracle.update_space(trial.hyperparameters)
            tuner_utils.validate_trial_results(results, self._oracle.objective, "HyperModel.fit()")
            tuner._take_results(trial, results, "HyperModel.fit()")
            trial.status = TrialStatus.COMPLETED
            slowest = max(runs, key=lambda run: FASTEST_FIRST.index(run.engine))
            trial.engine, trial.engine_reason = slowest.engine, slowest.engine_reason
            if trial.engine != "fused":
                self._reasons[trial.engine, trial.engine_reason] += 1
        except _GoSolo as reason:
            self._abandon(runs)
            self._solo(trial, str(reason))
            return
        except errors.FatalError:
            raise
        except Exception as error:
            self._abandon(runs)
            self._fail(trial, error)
            return
        tuner.on_trial_end(trial)
        self._keep(trial, runs, results)
        self._progress.trial(trial)

    def _trained(self, run: _Run) -> Any:
        """A run's model with the weights that were kept."""
        assert run.call is not None
        assert run.weights is not None
        model = self._tuner._try_build(run.trial.hyperparameters) if run.user is None else run.user.model
        if not model.built:
            model.build((None, *run.call.input_shape))  # a Sequential, which has one input
        model.set_weights(list(run.weights))
        return model

    def _after_fit(self, run: _Run) -> Any:
        """What the user's `fit` returns, once it has its history and a trained model."""
        user = run.user
        assert user is not None
        if not user.finished and run.call is not None:
            history: Any = backend.ensure().callbacks.History()
            history.history, history.epoch, history.params = run.result.history, run.result.epoch, run.result.params
            history.set_model(self._trained(run))
            user.go_on(history)
        if user.error is not None:
            raise user.error
        return user.result

    def _folder(self, run: _Run) -> Path | None:
        for replay in run.call.replays if run.call is not None else ():
            if type(replay.callback).__name__ == "TensorBoard":
                return Path(
                    self._tuner._get_tensorboard_dir(replay.callback.log_dir, run.trial.trial_id, run.execution.number)
                )
        return None

    # Other ends of a trial --------------------------------------------------------------------------------------

    def _abandon(self, runs: Sequence[_Run]) -> None:
        for run in runs:
            if run.user is not None and not run.user.finished:
                run.user.go_on(_GoSolo())

    def _fail(self, trial: Trial, error: Exception) -> None:
        self._oracle.verbose = int(self._verbose)
        try:
            self._tuner._note_failure(trial, error)
        finally:
            self._oracle.verbose = 0
        self._tuner.on_trial_end(trial)
        self._progress.trial(trial)

    def _solo(self, trial: Trial, reason: str) -> None:
        """Trains a trial with Keras."""
        if self._tuner.engine == "fused":
            raise FusionError(
                '`engine="fused"` needs every trial to have a fused form',
                f"trial {trial.trial_id} has none: {reason}",
                'Use `engine="auto"` to train those with plain `fit`.',
            )
        trial.engine, trial.engine_reason = "solo", reason
        if reason != NOT_WORTH_COMPILING:  # nothing that anybody need change
            self._reasons["solo", reason] += 1
        self._tuner._try_run_and_update_trial(trial, *self._args, **{"verbose": 0, **self._kwargs})
        self._tuner.on_trial_end(trial)
        self._progress.trial(trial, members=self._per_trial)

    # Weights ----------------------------------------------------------------------------------------------------

    def _keep(self, trial: Trial, runs: Sequence[_Run], results: Sequence[Any]) -> None:
        """Keeps the weights of a trial while it is among the best; of its executions those of the best one."""
        objective = self._oracle.objective
        if trial.status != TrialStatus.COMPLETED:
            return
        for run, result in zip(runs, results, strict=True):
            metrics = tuner_utils.convert_to_metrics_dict(result, objective)
            run.value = objective.get_value(metrics) if objective.has_value(metrics) else float("nan")
        sign = -1.0 if objective.direction == "max" else 1.0
        best = min(runs, key=lambda run: (np.isnan(run.value), sign * run.value))
        self._kept[trial.trial_id] = replace_user(best)
        if len(self._kept) > max(1, self._tuner.keep):
            among = {one.trial_id for one in self._oracle.get_best_trials(max(1, self._tuner.keep))}
            self._kept = {key: run for key, run in self._kept.items() if key in among}

    def _write_weights(self) -> None:
        best = {one.trial_id for one in self._oracle.get_best_trials(max(1, self._tuner.keep))}
        for trial_id, run in self._kept.items():
            if trial_id in best and run.weights is not None and run.call is not None:
                arrays = {f"w{number}": np.asarray(weight) for number, weight in enumerate(run.weights)}
                shapes = as_shapes(run.call.input_shape)
                arrays["input_shape"] = np.array(shapes[0] if len(shapes) == 1 else ())
                np.savez(Path(self._tuner.get_trial_dir(trial_id)) / "weights.npz", **arrays)  # type: ignore[arg-type]

    def _warn(self) -> None:
        total = len(self._oracle.trials)
        for engine, how in (("vmapped", "vmapped, not fused"), ("solo", "trained with plain `fit`")):
            own = [(reason, count) for (name, reason), count in self._reasons.most_common() if name == engine]
            if own:
                said = "; ".join(f"{count}: {reason}" for reason, count in own)
                n = sum(count for _, count in own)
                warnings.warn(f"{n} of {total} trials were {how} ({said}).", UserWarning, stacklevel=4)


def _with_source(call: FitCall, source: Source) -> FitCall:
    return replace(call, blueprint=replace(call.blueprint, source=source))


def replace_user(run: _Run) -> _Run:
    """The run without the user's model and thread, which would be kept alive."""
    return replace(run, user=None, result=None, execution=replace(run.execution, args=(), kwargs={}))
