"""The loop of a search, one trial after another, for anything that can be given a score."""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitune.adoption.exploring import each_scope
from unitune.adoption.hypermodel import as_hypermodel
from unitune.errors import OptionError, SpaceError, users_traceback
from unitune.keras_tuner import errors
from unitune.keras_tuner.engine import tuner_utils
from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.stateful import Stateful
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.result.facts import domain_text
from unitune.space import Hyperparameter, Space
from unitune.space.hyperparameters import HyperParameters
from unitune.space.labels import label
from unitune.store.run import setting_column

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

IDLE_S = 0.01
TYPOS = (NameError, AttributeError, TypeError, ImportError)


def why_no_score(trial: Trial) -> str:
    """Why a trial has no score, in one line."""
    lines = [line.strip() for line in (trial.message or "").splitlines() if line.strip()]
    # What TensorFlow says of its graph comes after the error itself.
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return (raised or lines)[-1].rstrip(".") if lines else "its objective is not a finite number"


class BaseTuner(Stateful):
    """Runs trials that an oracle proposes. Subclasses say in `run_trial` what a trial is.

    Args:
        oracle: Proposes the trials.
        hypermodel: A function of `hp` or a `HyperModel`; not needed where `run_trial` does without.
        directory: Where projects are kept; here if not given.
        project_name: The project's folder, `"untitled_project"` if not given.
        overwrite: Whether an older project of that name is deleted; otherwise it is continued.
    """

    def __init__(
        self,
        oracle: Oracle,
        hypermodel: Any = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(oracle, Oracle):
            raise OptionError(
                "Expected `oracle` argument to be an instance of `Oracle`", f"got {oracle!r}, a {type(oracle).__name__}"
            )
        self.logger = kwargs.pop("logger", None)
        if self.logger is not None:
            warnings.warn("The argument `logger` has no effect any more.", DeprecationWarning, stacklevel=3)
        if kwargs:
            raise OptionError(f"Unrecognized arguments {sorted(kwargs)} of {type(self).__name__}")
        server = sorted(name for name in os.environ if name.startswith("KERASTUNER_ORACLE_"))
        if server:
            raise OptionError(
                "a search is not shared among processes by a server of KerasTuner's here",
                f"`{server[0]}` is set",
                'Unset it: the trials of a search are trained together anyway. `unitune.tune(..., executor="ray")` '
                "spreads a search over machines.",
            )
        self.oracle = oracle
        self.hypermodel: Any = as_hypermodel(hypermodel)
        self.directory = directory or "."
        self.project_name = project_name or "untitled_project"
        self.tuner_id = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
        oracle._set_project_dir(self.directory, self.project_name)
        folder = Path(str(self.directory)) / self.project_name
        if overwrite and folder.exists():
            shutil.rmtree(folder)
        if not overwrite and self._get_tuner_fname().exists():
            if self.oracle.verbose:
                print(f"Continuing the project in {folder}")
            self.reload()
        else:
            self._populate_initial_space()

    # The space --------------------------------------------------------------------------------------------------

    def _populate_initial_space(self) -> None:
        """Builds the model a few times, to find the hyperparameters under all conditions."""
        if self.hypermodel is None:
            return
        hp = self.oracle.get_space()
        self.hypermodel.declare_hyperparameters(hp)
        self.oracle.update_space(hp)
        self._activate_all_conditions()

    def _activate_all_conditions(self) -> None:
        hp = self.oracle.get_space()
        self._build_to_explore(hp, is_first=True)
        for further in each_scope(hp, self.oracle.get_space):
            self._build_to_explore(further, is_first=False)

    def _build_to_explore(self, hp: HyperParameters, *, is_first: bool) -> None:
        try:
            self.hypermodel.build(hp)
        except (SpaceError, *TYPOS):
            raise
        except Exception as error:
            if is_first and not errors.is_one(error, errors.FailedTrialError):
                raise  # with the defaults: it is the function that is wrong
            # Elsewhere the search tells of it, and counts its failures; what was asked for is kept.
            logger.debug("build raised while its space was explored: %s", error)
        self.oracle.update_space(hp)

    # The search -------------------------------------------------------------------------------------------------

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Runs trials until the oracle has no more.

        Args:
            *fit_args, **fit_kwargs: Passed to `run_trial`. `verbose=0` also silences the search.
        """
        if "verbose" in fit_kwargs:
            self.oracle.verbose = fit_kwargs["verbose"]
        self.on_search_begin()
        try:
            while True:
                self.pre_create_trial()
                trial = self.oracle.create_trial(self.tuner_id)
                if trial.status == TrialStatus.STOPPED:
                    break
                if trial.status == TrialStatus.IDLE:
                    time.sleep(IDLE_S)
                    continue
                self.on_trial_begin(trial)
                self._try_run_and_update_trial(trial, *fit_args, **fit_kwargs)
                self.on_trial_end(trial)
        finally:
            self.on_search_end()
        self._warn_if_nothing()

    def _warn_if_nothing(self) -> None:
        """Says once, also with `verbose=0`, that no trial of the search has a score."""
        trials = list(self.oracle.trials.values())
        if not trials or any(one.score is not None and math.isfinite(one.score) for one in trials):
            return
        warnings.warn(
            f"None of the {len(trials)} trials has a score. The first: {why_no_score(trials[0])} (all of it: "
            "`tuner.oracle.trials[...].message`).",
            UserWarning,
            stacklevel=3,
        )

    def _try_run_and_update_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> None:
        self._try(trial, lambda: self._run_and_update_trial(trial, *fit_args, **fit_kwargs))

    def _try(self, trial: Trial, run: Callable[[], Any]) -> None:
        """Runs a trial, whose failure it notes."""
        try:
            run()
            trial.status = TrialStatus.COMPLETED
        except errors.FatalError:
            raise
        except Exception as error:
            self._note_failure(trial, error)

    def _note_failure(self, trial: Trial, error: Exception) -> None:
        """Keeps the traceback, and prints each different one once.

        Raises:
            FatalError: It is one of KerasTuner's own.
        """
        if errors.is_one(error, errors.FatalError):
            raise errors.FatalError(str(error)) from error
        failed = errors.is_one(error, errors.FailedTrialError)
        trial.status = TrialStatus.FAILED if failed else TrialStatus.INVALID
        trial.message = users_traceback(error)
        shown = "".join(traceback.format_exception_only(error))
        if self.oracle.verbose and shown not in self._shown_failures:
            self._shown_failures.add(shown)
            print(f"\nTrial {trial.trial_id} raised an error:\n{trial.message}")

    @property
    def _shown_failures(self) -> set[str]:
        return self.__dict__.setdefault("_failures", set())  # type: ignore[no-any-return]

    def _run_and_update_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> None:
        self._note_results(trial, self.run_trial(trial, *fit_args, **fit_kwargs))

    def _note_results(self, trial: Trial, results: Any) -> None:
        """Tells the oracle what `run_trial` returned."""
        if self.oracle.get_trial(trial.trial_id).metrics.exists(self.oracle.objective.name):
            warnings.warn(
                "`run_trial` reports its metrics by returning them. Please remove the call of `oracle.update_trial`.",
                DeprecationWarning,
                stacklevel=2,
            )
            return
        self._take_results(trial, results, "Tuner.run_trial()")

    def _take_results(self, trial: Trial, results: Any, func_name: str) -> None:
        objective = self.oracle.objective
        tuner_utils.validate_trial_results(results, objective, func_name)
        each = results if isinstance(results, list) else [results]
        trial.executions = [
            {name: float(value) for name, value in tuner_utils.convert_to_metrics_dict(one, objective).items()}
            for one in each
        ]
        self.oracle.update_trial(
            trial.trial_id,
            tuner_utils.convert_to_metrics_dict(results, objective),
            step=tuner_utils.get_best_step(results, objective),
        )

    def run_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Evaluates the values in `trial.hyperparameters`.

        Args:
            trial: The trial; `trial.hyperparameters` has its values.
            *fit_args: What `search` was given.
            **fit_kwargs: Likewise.

        Returns:
            A `History`, a mapping from metrics to values, the objective as a number, or a list of one of these.
        """
        raise NotImplementedError

    def pre_create_trial(self) -> None:
        """Called before the oracle is asked for a trial."""

    def on_trial_begin(self, trial: Trial) -> None:
        """Called before a trial is run.

        Args:
            trial: A trial of the oracle.
        """

    def on_trial_end(self, trial: Trial) -> None:
        """Called after a trial was run; tells the oracle.

        Args:
            trial: A trial of the oracle.
        """
        self.oracle.end_trial(trial)
        self.save()

    def on_search_begin(self) -> None:
        """Called when the search begins."""

    def on_search_end(self) -> None:
        """Called when the search ends, in whatever way."""

    # Results ----------------------------------------------------------------------------------------------------

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Saves the model of a trial.

        Args:
            trial_id: The trial's id.
            model: Its model.
            step: After which epoch, counted from 0.
        """
        raise NotImplementedError

    def load_model(self, trial: Trial) -> Any:
        """Loads the model of a trial.

        Args:
            trial: A trial of the oracle.
        """
        raise NotImplementedError

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """The models of the best trials as they were trained in the search, the best first.

        Args:
            num_models: How many, 1 or more.
        """
        return [self.load_model(trial) for trial in self.oracle.get_best_trials(num_models)]

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """The hyperparameters of the best trials, the best first: `hypermodel.build` takes them.

        Args:
            num_trials: How many, 1 or more.
        """
        return [trial.hyperparameters for trial in self.oracle.get_best_trials(num_trials)]

    def results(self) -> pd.DataFrame:
        """A row for each trial, the best first.

        Returns:
            `trial`, `status`, `score`, `score_1`, `score_2`, ... for each execution, the hyperparameters
            (a function by its name; missing where inactive), `best_epoch` (counted from 1), `engine`, `engine_reason`;
            where trials failed, `error` says why.
        """
        import pandas as pd

        objective = self.oracle.objective
        rows = []
        for trial in self.oracle.get_best_trials(len(self.oracle.trials)):
            each = [objective.get_value(one) if objective.has_value(one) else None for one in trial.executions]
            row: dict[str, Any] = {"trial": trial.trial_id, "status": trial.status, "score": trial.score}
            row |= {f"score_{number}": value for number, value in enumerate(each, 1) if len(each) > 1}
            row |= trial.hyperparameters.labels()
            row["best_epoch"] = (trial.best_step or 0) + 1
            row |= {"engine": trial.engine, "engine_reason": trial.engine_reason}
            failed = trial.status != TrialStatus.COMPLETED and trial.status != TrialStatus.RUNNING
            rows.append(row | ({"error": why_no_score(trial)} if failed else {}))
        # A column at a time, so that the value None is not what is missing.
        names = dict.fromkeys(name for row in rows for name in row)
        table = pd.DataFrame({name: setting_column([row.get(name, math.nan) for row in rows]) for name in names})
        last = [name for name in ("best_epoch", "engine", "engine_reason", "error") if name in table]
        first = [name for name in table if str(name) in ("trial", "status", "score") or str(name).startswith("score_")]
        return table[[*first, *(name for name in table if name not in (*first, *last)), *last]]

    def search_space_summary(self, extended: bool = False) -> None:
        """Prints the hyperparameters that are known so far: values, default, and under which others they exist.

        Args:
            extended: Ignored, as in KerasTuner.
        """
        hp = self.oracle.get_space()
        print(f"Search space summary: {len(hp.space)} hyperparameters")
        for one in hp.space:
            space = Space([Hyperparameter(one.name, one.domain)])
            conditions = [f"{c.name} = {' or '.join(str(label(value)) for value in c.values)}" for c in one.conditions]
            print()
            print(f"{one.name} ({type(one).__name__})" + (f", where {' and '.join(conditions)}" if conditions else ""))
            print(f"  {domain_text(space, one.name, none='None')}; default {label(one.default)}")

    def results_summary(self, num_trials: int = 10) -> None:
        """Prints the best trials.

        Args:
            num_trials: How many at most.
        """
        print(f"Results summary: the {num_trials} best trials in {self.project_dir}")
        print(self.oracle.objective)
        for trial in self.oracle.get_best_trials(num_trials):
            print()
            trial.summary()

    @property
    def remaining_trials(self) -> int | None:
        """Trials that may still be made; None without a limit."""
        return self.oracle.remaining_trials()

    # On disk ----------------------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """What the tuner itself knows."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a state of `get_state`."""

    def save(self, fname: str | Path | None = None) -> None:
        """Writes oracle and tuner into the project's folder."""
        self.oracle.save()
        super().save(fname or self._get_tuner_fname())

    def reload(self, fname: str | Path | None = None) -> None:
        """Reads oracle and tuner from the project's folder."""
        self.oracle.reload()
        super().reload(fname or self._get_tuner_fname())

    @property
    def project_dir(self) -> str:
        """The project's folder, which is made."""
        folder = Path(str(self.directory)) / self.project_name
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def get_trial_dir(self, trial_id: str) -> str:
        """The folder of a trial, which is made.

        Args:
            trial_id: The trial's id.
        """
        folder = Path(self.project_dir) / f"trial_{trial_id}"
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def _get_tuner_fname(self) -> Path:
        return Path(str(self.directory)) / self.project_name / f"{self.tuner_id}.json"
