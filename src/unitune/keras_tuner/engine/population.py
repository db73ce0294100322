"""Many trials as one population: proposed and built one by one, trained together by the fused engine.

The oracle is asked for a trial, its model is built, what the model asked for is told to the oracle, and then comes the
next, exactly as in a search of one trial after another; only training waits until a batch is together. Where
`HyperModel.fit` or `run_trial` is the user's own, it runs up to its call of `model.fit`, waits there for the batch, and
goes on with the history (`unitune.adoption.user_fit`). A trial is on disk as soon as it is trained.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unitune.adoption.fit_rows import Rows
from unitune.data.arrays import row_shape
from unitune.engine.contract import Job, Outcome
from unitune.engine.fused import FusedEngine
from unitune.engine.lift.base import Unfusable
from unitune.engine.worth import NOT_WORTH_COMPILING
from unitune.errors import FusionError
from unitune.keras_tuner import errors
from unitune.keras_tuner.engine import tuner_utils
from unitune.keras_tuner.engine.begun import Begun, Fitted, Run
from unitune.keras_tuner.engine.kept_weights import keep
from unitune.keras_tuner.engine.keras_trials import KerasTrials
from unitune.keras_tuner.engine.progress import Progress
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.keras_tuner.engine.trial_reader import TrialReader, job_of
from unitune.models import backend
from unitune.models.shapes import as_shapes
from unitune.models.subclassed import make_weights
from unitune.tuner.collect import FASTEST_FIRST

logger = logging.getLogger(__name__)

MEMBERS_PER_BATCH = 1_000
MODELS_KEPT = 64
"""So many models of a batch are kept for whatever may still be asked of them; of any others the program is enough."""
MOST_BYTES = 2**30
"""So much memory the frozen parts of a batch's models may take."""
IDLE_S = 0.01


def why_one_by_one(tuner: KerasTrials) -> str:
    """Why no trial of a tuner can be fused; empty where some may."""
    if tuner.engine == "solo":
        return '`engine="solo"` was asked for'
    if tuner.hypermodel is None:
        return "there is no `hypermodel`"
    if tuner.distribution_strategy is not None:
        return "there is a `distribution_strategy`"
    if "run_trial" in vars(tuner) or not _comes_to_fit(type(tuner)):
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
        if own is not getattr(KerasTrials, name) or name in vars(tuner):
            return f"`{name}` is overridden"
    return ""


def _comes_to_fit(kind: type) -> bool:
    """Whether the `run_trial` of a class is `Tuner`'s, or calls that of the class above, up to `Tuner`'s."""
    for one in kind.__mro__:
        own = vars(one).get("run_trial")
        if one is KerasTrials:
            return True
        if own is not None and "run_trial" not in getattr(getattr(own, "__code__", None), "co_names", ()):
            return False
    return False


class Population:
    """One call of `Tuner.search`.

    Args:
        tuner: Whose search it is.
        args, kwargs: The arguments of `search`.
    """

    def __init__(self, tuner: KerasTrials, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self._tuner, self._oracle = tuner, tuner.oracle
        kwargs = tuner._quiet(kwargs)
        self._engine = FusedEngine(probes=False, leaves=True, weighs=tuner.engine == "auto")
        self._reader = TrialReader(tuner, args, kwargs)
        self._here: dict[str, Trial] = {}  # those of this search
        self._end: Exception | None = None  # with which the search ends, once a batch is done
        self._stops = False  # before it is
        self._per_trial = tuner._members_per_trial(args, kwargs)
        self._limit = max(1, MEMBERS_PER_BATCH // max(1, self._per_trial))
        self._progress = Progress(tuner.oracle, self._per_trial)

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
        self._warn()
        tuner._warn_if_nothing()

    # A batch ----------------------------------------------------------------------------------------------------

    def _batch(self) -> bool:
        """Gathers and trains a batch; False once there is nothing more."""
        oracle, tuner = self._oracle, self._tuner
        batch: list[Begun] = []
        rows = Rows()
        limit = min(self._limit, getattr(oracle, "trials_at_once", self._limit))
        status = TrialStatus.RUNNING
        begun = 0
        try:
            with oracle.saving_once():
                while len(batch) < limit and self._end is None and sum(map(_held, batch)) < MOST_BYTES:
                    tuner.pre_create_trial()
                    trial = oracle.create_trial(tuner.tuner_id if not batch else f"{tuner.tuner_id}.{len(batch)}")
                    status = trial.status
                    if status != TrialStatus.RUNNING:
                        break
                    begun += 1
                    self._here[trial.trial_id] = trial
                    tuner.on_trial_begin(trial)
                    try:
                        one = self._prepare(trial, rows, keep=len(batch) < MODELS_KEPT)
                    except (errors.FatalError, errors.TooManyFailures) as error:
                        self._end = error  # after those that come before are trained
                        break
                    if one is not None:
                        oracle.trial_built(trial)
                        batch.append(one)
            tuner.save()  # which makes what follows a run that can be continued
            self._train(batch, rows)
        finally:
            for one in batch:
                one.abandon()
            tuner.save()
        if self._end is not None:
            raise self._end
        if begun:
            return True
        if status == TrialStatus.IDLE:
            time.sleep(IDLE_S)
            return True
        return False

    def _prepare(self, trial: Trial, rows: Rows, *, keep: bool) -> Begun | None:
        """Builds a trial's models; None where it is over already: it failed, or was run by Keras."""
        begun = Begun(trial=trial, executions=[])
        try:
            self._reader.read(begun, rows, keep=keep)
            if not begun.executions and begun.waiting is not None:  # `run_trial` is over, and called no `fit`
                self._over(trial, partial(begun.waiting.go_on, None))
                return None
        except Unfusable as error:
            begun.reason = str(error)
        except errors.FatalError:
            begun.abandon()
            raise
        except Exception as error:
            begun.abandon()
            self._fail(trial, error)
            return None
        else:
            self._oracle.update_space(trial.hyperparameters)
            return begun
        # Not within `except`: what the user's code may raise now has nothing to do with it.
        self._solo(begun)
        return None

    def _train(self, batch: Sequence[Begun], rows: Rows) -> None:
        """Trains a batch; each trial ends when its last member is trained."""
        left = {id(one): one for one in batch}
        of_job = {}
        for one in batch:
            for run in one.runs:
                if run.call is not None:
                    job = job_of(run)
                    of_job[id(job)] = (job, run, one)
        jobs = [job for job, _, _ in of_job.values()]
        self._finish([left.pop(id(one)) for one in batch if one.trained])
        if not jobs:
            return
        try:
            for outcome in self._outcomes(jobs, rows):
                done: dict[int, Begun] = {}
                for position, job in enumerate(outcome.jobs):
                    _, run, one = of_job[id(job)]
                    self._take(run, outcome, position)
                    done[id(one)] = one
                # What Keras is to train waits until the programs are done.
                over = [one for one in done.values() if one.trained and not any(r.engine == "solo" for r in one.runs)]
                self._finish([left.pop(id(one)) for one in over])
        except (errors.FatalError, FusionError):
            raise
        except Exception as error:  # of the engine: no trial takes down another
            logger.warning("training a batch failed; what is left of it is trained one by one", exc_info=error)
            for one in left.values():
                one.reason = f"training it with others failed with {type(error).__name__}: {error}"
        for one in left.values():
            reasons = [run.engine_reason for run in one.runs if run.engine == "solo"]
            if not self._stops and (reasons or one.reason):
                one.reason = one.reason or reasons[0]
                self._solo(one)

    def _outcomes(self, jobs: Sequence[Job], rows: Rows) -> Iterator[Outcome]:
        """What the engine makes of jobs; rows of another shape (a window that is tuned) have programs of theirs."""
        groups: dict[Any, list[Job]] = {}
        for job in jobs:
            shapes = tuple(shape[:-1] for shape in as_shapes(row_shape(rows.splits[job.split].x_train)))
            groups.setdefault(shapes, []).append(job)
        for group in groups.values():
            numbers = sorted({job.split for job in group})  # the engine makes room for all rows that it is given
            mine = [replace(job, split=numbers.index(job.split)) for job in group]
            given = {id(own): job for own, job in zip(mine, group, strict=True)}
            splits = [rows.splits[number] for number in numbers]
            for outcome in self._engine.train(mine, splits, should_stop=lambda: self._stops):
                yield replace(outcome, jobs=tuple(given[id(own)] for own in outcome.jobs))

    def _take(self, run: Run, outcome: Outcome, position: int) -> None:
        """What an outcome says of a run."""
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
        run.result = Fitted(history=history, epoch=list(range(first, n)), params={"epochs": n})
        run.weights = tuple(outcome.weights[position])
        if call.parts is not None and run.weights:  # none where `fit` is to train it
            run.weights = call.parts.whole_weights(run.weights)
        run.engine, run.engine_reason = outcome.engine, outcome.engine_reason
        self._progress.member(outcome.failures[position])

    def _finish(self, batch: Sequence[Begun]) -> None:
        """Ends trials that are trained: their scores and weights are on disk then."""
        if not batch:
            return
        best: dict[str, Run] = {}
        with self._oracle.saving_once():
            for one in batch:
                try:
                    self._score(one, best)
                except (errors.FatalError, errors.TooManyFailures, FusionError) as error:
                    self._end, self._stops = self._end or error, True
                finally:
                    one.abandon()
        self._keep(best)

    def _score(self, begun: Begun, best: dict[str, Run]) -> None:
        tuner, trial, runs = self._tuner, begun.trial, begun.runs
        try:
            results = [self._result_of(run) for run in runs]
            self._oracle.update_space(trial.hyperparameters)
            tuner_utils.validate_trial_results(results, self._oracle.objective, "HyperModel.fit()")
            if begun.waiting is None:
                tuner._take_results(trial, results, "HyperModel.fit()")
            else:
                tuner._take_results(trial, begun.waiting.go_on(results), "Tuner.run_trial()")
            trial.status = TrialStatus.COMPLETED
            slowest = max(runs, key=lambda run: FASTEST_FIRST.index(run.engine))
            trial.engine, trial.engine_reason = slowest.engine, slowest.engine_reason
        except errors.FatalError:
            raise
        except Exception as error:
            self._fail(trial, error)
            return
        tuner.on_trial_end(trial)
        self._progress.trial(trial)
        if trial.status == TrialStatus.COMPLETED:
            best[trial.trial_id] = self._best(runs, results)

    def _result_of(self, run: Run) -> Any:
        """What the user's `fit` returns, once it has its history and a trained model."""
        call = run.call
        if call is not None:
            model = partial(self._trained, run)
            for replay in call.replays:
                replay.run(run.result.history, run.result.epoch, model)
        if run.user is None:
            return run.result
        if call is not None:
            assert run.weights is not None
            history: Any = backend.ensure().callbacks.History()
            history.history, history.epoch, history.params = run.result.history, run.result.epoch, run.result.params
            history.set_model(self._built(run))
            result = run.user.trained(history, list(run.weights))
            if run.user.refitted:
                run.engine, run.engine_reason = "solo", "`HyperModel.fit` calls `model.fit` more than once"
                self._refuse_solo(run.trial, run.engine_reason)
        else:
            result = run.user.go_on(None)
            run.engine, run.engine_reason = "solo", "`HyperModel.fit` trains in a way of its own"
        if run.call is None or run.user.refitted:
            self._tuner._keep_model(run.trial, run.real_model())
            run.weights = None
        return result

    def _trained(self, run: Run) -> Any:
        """A run's model with the weights that were kept."""
        model = self._built(run)
        model.set_weights(list(run.weights or ()))
        return model

    def _built(self, run: Run) -> Any:
        model = run.real_model()
        if model is None:
            model = self._tuner._try_build(run.trial.hyperparameters)
        make_weights(model, run.input_shape)
        return model

    # Other ends of a trial --------------------------------------------------------------------------------------

    def _fail(self, trial: Trial, error: Exception) -> None:
        self._oracle.verbose = int(self._verbose)
        try:
            self._tuner._note_failure(trial, error)
        finally:
            self._oracle.verbose = 0
        self._tuner.on_trial_end(trial)
        self._progress.trial(trial)

    def _refuse_solo(self, trial: Trial, reason: str) -> None:
        if self._tuner.engine == "fused":
            raise FusionError(
                '`engine="fused"` needs every trial to have a fused form',
                f"trial {trial.trial_id} has none: {reason}",
                'Use `engine="auto"` to train those with plain `fit`.',
            )

    def _solo(self, begun: Begun) -> None:
        """Trains a trial with Keras: what was built for it, with the user's code going on from where it is."""
        trial = begun.trial
        try:
            self._refuse_solo(trial, begun.reason)
            trial.engine, trial.engine_reason = "solo", begun.reason
            self._over(trial, partial(self._tuner._run_begun, begun))
        finally:
            begun.abandon()

    def _over(self, trial: Trial, run: Callable[[], Any]) -> None:
        """Ends a trial that no program trains."""
        try:
            self._tuner._try(trial, lambda: self._tuner._note_results(trial, run()))
            self._tuner.on_trial_end(trial)
        finally:
            self._progress.trial(trial, members=self._per_trial)

    # Weights ----------------------------------------------------------------------------------------------------

    def _best(self, runs: Sequence[Run], results: Sequence[Any]) -> Run:
        """Of the executions of a trial the best one, without what it no longer needs."""
        objective = self._oracle.objective
        for run, result in zip(runs, results, strict=True):
            metrics = tuner_utils.convert_to_metrics_dict(result, objective)
            run.value = objective.get_value(metrics) if objective.has_value(metrics) else float("nan")
        sign = -1.0 if objective.direction == "max" else 1.0
        return min(runs, key=lambda run: (np.isnan(run.value), sign * run.value))

    def _keep(self, ended: dict[str, Run]) -> None:
        """Writes the weights of trials that are among the best, and deletes those of trials that no longer are."""
        best = {one.trial_id for one in self._oracle.get_best_trials(max(1, self._tuner.keep))}
        for trial_id, run in ended.items():
            if trial_id in best and run.weights is not None:
                keep(self._tuner._weights_file(trial_id), run.weights, run.input_shape)
        for path in Path(self._tuner.project_dir).glob("trial_*/weights.npz"):
            if path.parent.name.removeprefix("trial_") not in best:
                path.unlink(missing_ok=True)

    def _warn(self) -> None:
        for engine, how in (("vmapped", "vmapped, not fused"), ("solo", "trained with plain `fit`")):
            own = Counter(one.engine_reason for one in self._here.values() if one.engine == engine)
            del own[NOT_WORTH_COMPILING]  # nothing that anybody need change
            if own:
                said = "; ".join(f"{count}: {reason}" for reason, count in own.most_common())
                total = len(self._here)
                warnings.warn(f"{own.total()} of {total} trials were {how} ({said}).", UserWarning, stacklevel=4)


def _held(begun: Begun) -> int:
    """The bytes of frozen parts that a trial holds in memory."""
    parts = [run.call.parts for run in begun.runs if run.call is not None and run.call.parts is not None]
    return 4 * sum(int(one.frozen.count_params()) for one in parts)
