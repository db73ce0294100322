"""The oracle: proposes trials, keeps their results, retries and counts failures."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unitune.errors import OptionError
from unitune.keras_tuner import errors
from unitune.keras_tuner.engine.display import Display
from unitune.keras_tuner.engine.objective import Objective, create_objective
from unitune.keras_tuner.engine.stateful import Stateful, read_json
from unitune.keras_tuner.engine.synchronized import synchronized
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.keras_tuner.engine.untried import Untried
from unitune.space.hyperparameters import HyperParameters

__all__ = ["Display", "Objective", "Oracle", "synchronized"]


class Oracle(Untried, Stateful):
    """Proposes the values of trials; subclasses say which in `populate_space`.

    Args:
        objective: A metric's name, an `Objective`, a list of these, or None where a trial returns one number to
            minimise.
        max_trials: Trials at most; None for no limit.
        hyperparameters: Hyperparameters that are known beforehand, or that override those of the model.
        allow_new_entries: Whether others may be asked for.
        tune_new_entries: Whether others are searched; otherwise they keep their defaults.
        seed: Of what is drawn at random.
        max_retries_per_trial: How often a trial that crashed is tried again.
        max_consecutive_failed_trials: So many failed trials one after another end the search.

    Example:
        >>> class Descending(Oracle):
        ...     def populate_space(self, trial_id):
        ...         values = {one.name: 8 - len(self.trials) for one in self.get_space().space}
        ...         return {"status": "RUNNING", "values": values}
        >>> oracle = Descending("val_loss", max_trials=4)
        >>> oracle.objective.direction
        'min'
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        seed: int | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        self.objective = create_objective(objective)
        self.max_trials = max_trials
        if hyperparameters is None:
            for name, allowed in (("tune", tune_new_entries), ("allow", allow_new_entries)):
                if not allowed:
                    raise OptionError(
                        f"`{name}_new_entries=False` needs the space beforehand",
                        "got no `hyperparameters`",
                        f"With {name}_new_entries=False, pass `hyperparameters` with all that is to be searched.",
                    )
        if hyperparameters is not None and not isinstance(hyperparameters, HyperParameters):
            hyperparameters = HyperParameters.from_config(hyperparameters.get_config())  # KerasTuner's own
        super().__init__(HyperParameters() if hyperparameters is None else hyperparameters, seed)
        self.hyperparameters.first_domain_holds = True
        self.allow_new_entries = allow_new_entries
        self.tune_new_entries = tune_new_entries
        self.max_retries_per_trial = max_retries_per_trial
        self.max_consecutive_failed_trials = max_consecutive_failed_trials

        self.trials: dict[str, Trial] = {}
        self.ongoing_trials: dict[str, Trial] = {}  # by the tuner that runs it
        self.start_order: list[str] = []
        self.end_order: list[str] = []
        self._run_times: dict[str, int] = defaultdict(int)
        self._retry_queue: list[str] = []
        self.tuner_ids: set[str] = set()

        self._directory: str | Path | None = None
        self._project_name: str | None = None
        self._lock = threading.RLock()
        self._postponed: set[str] | None = None
        self._display = Display(oracle=self)

    @property
    def verbose(self) -> Any:
        """Whether it prints how it goes."""
        return self._display.verbose

    @verbose.setter
    def verbose(self, value: Any) -> None:
        self._display.verbose = 1 if value == "auto" else int(value)

    # What subclasses decide -------------------------------------------------------------------------------------

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes the values of a trial.

        Args:
            trial_id: The new trial's id.

        Returns:
            `"status"`: `"RUNNING"`, `"IDLE"` (ask again later) or `"STOPPED"` (nothing is left); and with the first
            `"values"`, from the names of active hyperparameters to their values.
        """
        raise NotImplementedError

    def score_trial(self, trial: Trial) -> None:
        """Gives a completed trial its score and its best step.

        Args:
            trial: A completed trial.
        """
        history = trial.metrics
        name = self.objective.name
        if history.exists(name):
            trial.score = history.get_best_value(name)
            trial.best_step = history.get_best_step(name)
        else:
            trial.score = self.objective.get_value(
                {one: history.get_best_value(one) for one in self.objective.name_to_direction}
            )
            trial.best_step = history.get_best_step(next(iter(self.objective.name_to_direction)))
        if trial.score is None:
            trial.score = float("nan")

    def _populate_space(self, trial_id: str) -> dict[str, Any]:
        warnings.warn("`_populate_space` is now `populate_space`.", DeprecationWarning, stacklevel=2)
        return self.populate_space(trial_id)

    def _score_trial(self, trial: Trial) -> None:
        warnings.warn("`_score_trial` is now `score_trial`.", DeprecationWarning, stacklevel=2)
        self.score_trial(trial)

    # The life of a trial ----------------------------------------------------------------------------------------

    @synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial for a tuner: the one that it has not ended, one to retry, or a new one.

        Its status says whether there is one: `"RUNNING"`, `"IDLE"` or `"STOPPED"`.

        Args:
            tuner_id: Who asks: a tuner has one trial at a time.
        """
        self.tuner_ids.add(tuner_id)
        if tuner_id in self.ongoing_trials:
            return self.ongoing_trials[tuner_id]
        if self._retry_queue:
            trial = self.trials[self._retry_queue.pop(0)]
            trial.status = TrialStatus.RUNNING
            trial.message = None
            self.ongoing_trials[tuner_id] = trial
            self.save()
            self._display.on_trial_begin(trial)
            return trial

        trial_id = self._new_trial_id()
        if self.max_trials is not None and len(self.trials) >= self.max_trials:
            response: dict[str, Any] = {"status": TrialStatus.STOPPED}
        else:
            response = self.populate_space(trial_id)
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = dict(response.get("values") or {})
        trial = Trial(hyperparameters, trial_id=trial_id, status=response["status"])
        if trial.status == TrialStatus.RUNNING:
            self._record_values(trial)
            self.ongoing_trials[tuner_id] = trial
            self.trials[trial_id] = trial
            self.start_order.append(trial_id)
            self._save_trial(trial)
            self.save()
            self._display.on_trial_begin(trial)
        elif trial.status == TrialStatus.STOPPED:
            self.tuner_ids.discard(tuner_id)
        return trial

    def _new_trial_id(self) -> str:
        """Numbers, so that folders sort: `0007` of 1,000."""
        width = len(str(self.max_trials)) if self.max_trials else 4
        return str(len(self.trials)).zfill(width)

    @synchronized
    def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: int = 0) -> Trial:
        """Takes the metrics of a trial.

        Args:
            trial_id: The trial's id.
            metrics: From the names of metrics to values.
            step: Of which epoch, counted from 0.

        Raises:
            OptionError: The objective is not among them.
        """
        trial = self.trials[trial_id]
        missing = [name for name in self.objective.name_to_direction if name not in metrics]
        if missing and not self.objective.has_value(metrics):
            raise OptionError(
                "Objective value missing in metrics reported to the Oracle: the objective must be one of them",
                f"expected {missing}, got {sorted(metrics)}",
            )
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                trial.metrics.register(name, direction=self.objective.name_to_direction.get(name))
            trial.metrics.update(name, value, step=step)
        self._save_trial(trial)
        return trial

    @synchronized
    def end_trial(self, trial: Trial) -> None:
        """Takes a trial that ended: scores it, or sends it to be tried again.

        Args:
            trial: Its status is `"COMPLETED"`, `"INVALID"` (tried again while retries are left) or `"FAILED"`, with
                the reason in its `message`.

        Raises:
            RuntimeError: Too many trials failed one after another.
        """
        mine = self.trials[trial.trial_id]
        mine.hyperparameters, mine.status, mine.message = trial.hyperparameters, trial.status, trial.message
        self.update_space(mine.hyperparameters)
        if mine.status == TrialStatus.COMPLETED:
            self.score_trial(mine)
            if mine.score is None or np.isnan(mine.score):
                mine.status = TrialStatus.INVALID
                mine.message = f"{self.objective.name} is not a number."
        self._record_values(mine)
        self._run_times[mine.trial_id] += 1
        for tuner_id, ongoing in list(self.ongoing_trials.items()):
            if ongoing.trial_id == mine.trial_id:
                del self.ongoing_trials[tuner_id]
        if not self._retry(mine):
            self.end_order.append(mine.trial_id)
        self._save_trial(mine)
        self.save()
        self._display.on_trial_end(mine)
        self._check_consecutive_failures(mine)

    def trial_built(self, trial: Trial) -> None:
        """Learns that a trial's model was built: what it asks for is known before it is trained.

        Args:
            trial: A trial in training.
        """

    def _retry(self, trial: Trial) -> bool:
        if trial.status != TrialStatus.INVALID:
            return False
        left = self.max_retries_per_trial + 1 - self._run_times[trial.trial_id]
        if left > 0:
            if self.verbose:
                print(f"Trial {trial.trial_id} failed; {left} {'retries' if left > 1 else 'retry'} left.")
            # It starts anew: what a run that failed reported is no part of the next.
            trial.metrics = type(trial.metrics)()
            trial.score = None
            self._retry_queue.append(trial.trial_id)
            return True
        if trial.score is None:  # what diverged is invalid, not broken
            trial.status = TrialStatus.FAILED
        return False

    def _check_consecutive_failures(self, trial: Trial) -> None:
        """Counts the failed trials around one that ended, in the order in which they began."""
        place = self.start_order.index(trial.trial_id) if trial.trial_id in self.start_order else 0
        failed = [self.trials[one].status == TrialStatus.FAILED for one in self.start_order]
        failures = 0
        for side in (failed[place::-1], failed[place + 1 :]):
            failures += next((number for number, one in enumerate(side) if not one), len(side))
            if not failures:
                return
        if failures >= self.max_consecutive_failed_trials:
            raise errors.TooManyFailures(
                f"Number of consecutive failed trials reached the limit of {self.max_consecutive_failed_trials}. "
                f"The last one:\n{trial.message or ''}"
            )

    # The space --------------------------------------------------------------------------------------------------

    def get_space(self) -> HyperParameters:
        """A copy of what is searched."""
        return self.hyperparameters.copy()

    def update_space(self, hyperparameters: HyperParameters) -> None:
        """Adds hyperparameters that a model asked for.

        Args:
            hyperparameters: What a model asked for.

        Raises:
            RuntimeError: There are new ones, and `allow_new_entries` is False.
        """
        known = self.hyperparameters
        new = [one for one in hyperparameters.space if not known._exists(one.name, one.conditions)]
        if new and not self.allow_new_entries:
            raise RuntimeError(f"`allow_new_entries` is `False`, but the model asks for {new}.")
        if self.tune_new_entries:
            known.merge(new)

    # Results ----------------------------------------------------------------------------------------------------

    def get_trial(self, trial_id: str) -> Trial:
        """A trial by its id.

        Args:
            trial_id: The trial's id.
        """
        return self.trials[trial_id]

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best trials, the best first; those without a score come last.

        Args:
            num_trials: How many at most.
        """
        completed = [one for one in self.trials.values() if one.status == TrialStatus.COMPLETED]
        sign = -1.0 if self.objective.direction == "max" else 1.0
        completed.sort(key=lambda one: sign * float(one.score if one.score is not None else np.inf * sign))
        rest = [one for one in self.trials.values() if one.status != TrialStatus.COMPLETED]
        return [*completed, *rest][:num_trials] if len(completed) < num_trials else completed[:num_trials]

    def remaining_trials(self) -> int | None:
        """Trials that may still be made; None without a limit."""
        return None if self.max_trials is None else self.max_trials - len(self.trials)

    # On disk ----------------------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything but the trials, which have files of their own."""
        return {
            "kind": type(self).__name__,
            "ongoing_trials": {tuner: trial.trial_id for tuner, trial in self.ongoing_trials.items()},
            "hyperparameters": self.hyperparameters.get_config(),
            "start_order": list(self.start_order),
            "end_order": list(self.end_order),
            "run_times": dict(self._run_times),
            "retry_queue": list(self._retry_queue),
            "seed": self.seed,
            "seed_state": self._seed_state,
            "tried_so_far": sorted(self._tried_so_far),
            "id_to_hash": dict(self._id_to_hash),
            "display": self._display.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a state of `get_state`.

        Args:
            state: What `get_state` gave.

        Raises:
            KeyError: It is that of another kind of oracle.
        """
        if state.get("kind", type(self).__name__) != type(self).__name__:
            raise KeyError(state["kind"])
        self.ongoing_trials = {tuner: self.trials[one] for tuner, one in state["ongoing_trials"].items()}
        self.hyperparameters = HyperParameters.from_config(state["hyperparameters"])
        self.hyperparameters.first_domain_holds = True
        self.start_order, self.end_order = list(state["start_order"]), list(state["end_order"])
        self._run_times = defaultdict(int, state["run_times"])
        self._retry_queue = list(state["retry_queue"])
        self.seed, self._seed_state = state["seed"], state["seed_state"]
        self._tried_so_far = set(state["tried_so_far"])
        self._id_to_hash = dict(state["id_to_hash"])
        self._display.set_state(state["display"])

    def _set_project_dir(self, directory: str | Path, project_name: str, overwrite: bool = False) -> None:
        self._directory, self._project_name = directory, project_name

    @property
    def _project_dir(self) -> Path:
        return Path(str(self._directory or ".")) / str(self._project_name or "untitled_project")

    def save(self, fname: str | Path | None = None) -> None:
        """Writes the state into the project's folder.

        Args:
            fname: The file; `oracle.json` of the project if not given.
        """
        if self._postponed is None and self._directory is not None:
            super().save(fname or self._project_dir / "oracle.json")

    def reload(self, fname: str | Path | None = None) -> None:
        """Reads state and trials from the project's folder; trials that had begun are tried again.

        Args:
            fname: The file; `oracle.json` of the project if not given.

        Raises:
            RuntimeError: The project is that of another kind of search.
        """
        for path in sorted(self._project_dir.glob("trial_*/trial.json")):
            trial = Trial.load(path)
            self.trials[trial.trial_id] = trial
        path = Path(fname or self._project_dir / "oracle.json")
        try:
            super().reload(path)
        except KeyError as error:
            if "kind" not in read_json(path):
                raise RuntimeError(
                    f"The project in {self._project_dir} was begun with KerasTuner, and cannot be continued here. "
                    "It is left as it is: choose another `project_name`."
                ) from error
            raise RuntimeError(
                f"The project in {self._project_dir} is that of another kind of search. "
                "Change `project_name`, or pass `overwrite=True` to start anew."
            ) from error
        # A process that was killed wrote trials after its last word on all of them.
        known = {*self._retry_queue, *self.end_order}
        for trial in self.trials.values():
            if trial.trial_id not in self.start_order:
                self.start_order.append(trial.trial_id)
            if trial.trial_id not in known:
                over = trial.status != TrialStatus.RUNNING
                (self.end_order if over else self._retry_queue).append(trial.trial_id)
        self.ongoing_trials = {}

    def _save_trial(self, trial: Trial) -> None:
        if self._postponed is not None:
            self._postponed.add(trial.trial_id)
        elif self._directory is not None:
            trial.save(self._project_dir / f"trial_{trial.trial_id}" / "trial.json")

    @contextlib.contextmanager
    def saving_once(self) -> Iterator[None]:
        """Writes what changes inside when it ends, instead of at each change."""
        self._postponed = set()
        try:
            yield
        finally:
            changed, self._postponed = self._postponed, None
            for trial_id in sorted(changed):
                if trial_id in self.trials:
                    self._save_trial(self.trials[trial_id])
            self.save()
