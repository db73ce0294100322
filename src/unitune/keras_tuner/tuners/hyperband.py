"""Hyperband: many trials for a few epochs, the best of them for more."""

from __future__ import annotations

import math
from typing import Any

from unitune.errors import OptionError
from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.keras_tuner.engine.tuner import Tuner
from unitune.search.halving import round_epochs, round_size
from unitune.space.hyperparameters import HyperParameters

_Bracket = dict[str, Any]


class HyperbandOracle(Oracle):
    """Proposes brackets of rounds: each round goes on with the best of the one before, for `factor` times the epochs.

    Values under `tuner/` tell of them: `tuner/epochs`, `tuner/initial_epoch`, `tuner/bracket`, `tuner/round`, and
    `tuner/trial_id` of the trial that is gone on with.

    Args:
        max_epochs: Epochs of a last round.
        factor: How many fewer trials go on, and for how many more epochs; 2 at least.
        hyperband_iterations: How often all brackets are run.
        objective, seed, hyperparameters, allow_new_entries, tune_new_entries: As for `Oracle`.
        max_retries_per_trial, max_consecutive_failed_trials: As for `Oracle`.

    Source: Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18 (2018).
    """

    def __init__(
        self,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        super().__init__(
            objective=objective,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if factor < 2:
            raise OptionError("factor needs to be at least 2", f"got {factor}")
        self.hyperband_iterations = hyperband_iterations or math.inf
        self.max_epochs, self.factor = max_epochs, factor
        self.min_epochs = 1
        self._current_iteration = 0
        self._current_bracket = self._get_num_brackets() - 1  # the next one to begin
        self._brackets: list[_Bracket] = []

    # Sizes ------------------------------------------------------------------------------------------------------

    def _get_num_brackets(self) -> int:
        """How many brackets there are: they start with `max_epochs`, `max_epochs / factor`, ... epochs, 1 at least."""
        epochs, brackets = float(self.max_epochs), 0
        while epochs >= self.min_epochs:
            epochs, brackets = epochs / self.factor, brackets + 1
        return brackets

    def _get_num_rounds(self, bracket_num: int) -> int:
        """Rounds of a bracket."""
        return bracket_num + 1

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        """Trials of a round: each bracket takes about as many epochs, as in KerasTuner."""
        n_brackets = math.ceil(1 + math.log(self.max_epochs, self.factor))
        return round_size(n_brackets, bracket_num, round_num, self.factor)

    def _get_epochs(self, bracket_num: int, round_num: int) -> int:
        """Epochs after which a round ends, counted from the start of its trials."""
        return round_epochs(self.max_epochs, bracket_num, round_num, self.factor)

    # Proposing --------------------------------------------------------------------------------------------------

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """A trial of the first bracket that has one; another bracket where none has."""
        self._brackets = [one for one in self._brackets if not self._is_over(one)]
        for bracket in self._brackets:
            values = self._go_on(bracket, trial_id) or self._begin(bracket, trial_id)
            if values is not None:
                return {"status": TrialStatus.RUNNING, "values": values}
        while self._current_bracket >= 0 or self._current_iteration + 1 < self.hyperband_iterations:
            if self._current_bracket < 0:
                self._current_bracket = self._get_num_brackets() - 1
                self._current_iteration += 1
            rounds: list[list[dict[str, Any]]] = [[] for _ in range(self._get_num_rounds(self._current_bracket))]
            bracket = {"bracket_num": self._current_bracket, "rounds": rounds, "exhausted": False}
            self._current_bracket -= 1
            self._brackets.append(bracket)
            values = self._begin(bracket, trial_id)
            if values is not None:
                return {"status": TrialStatus.RUNNING, "values": values}
        if self.ongoing_trials:
            return {"status": TrialStatus.IDLE}
        # What was begun and cannot be filled any more goes on with what it has.
        for bracket in self._brackets:
            values = self._go_on(bracket, trial_id)
            if values is not None:
                return {"status": TrialStatus.RUNNING, "values": values}
        self._brackets = []
        return {"status": TrialStatus.STOPPED}

    def _begin(self, bracket: _Bracket, trial_id: str) -> dict[str, Any] | None:
        """New values for the first round; None where it is full, or nothing new is left."""
        number = bracket["bracket_num"]
        first = bracket["rounds"][0]
        if len(first) >= self._get_size(number, 0) or bracket["exhausted"]:
            return None
        values = self._random_values()
        if values is None:
            bracket["exhausted"] = True
            return None
        first.append({"past_id": None, "id": trial_id})
        return {**values, **self._settings(number, 0)}

    def _settings(self, bracket_num: int, round_num: int) -> dict[str, Any]:
        return {
            "tuner/epochs": self._get_epochs(bracket_num, round_num),
            "tuner/initial_epoch": self._get_epochs(bracket_num, round_num - 1) if round_num else 0,
            "tuner/bracket": bracket_num,
            "tuner/round": round_num,
        }

    def _go_on(self, bracket: _Bracket, trial_id: str) -> dict[str, Any] | None:
        """The best of a finished round that has not gone on yet; None where there is none."""
        number = bracket["bracket_num"]
        for round_num in range(1, len(bracket["rounds"])):
            size = self._get_size(number, round_num)
            this, before = bracket["rounds"][round_num], bracket["rounds"][round_num - 1]
            if len(this) >= size or not self._is_full(bracket, round_num - 1):
                continue
            trials = [self.trials[one["id"]] for one in before]
            if any(one.trial_id not in self.end_order for one in trials):
                continue
            taken = {one["past_id"] for one in this}
            scored = [one for one in trials if one.status == TrialStatus.COMPLETED and one.score is not None]
            sign = -1.0 if self.objective.direction == "max" else 1.0
            scored.sort(key=lambda one: sign * float(one.score or 0.0))
            best = next((one for one in scored[:size] if one.trial_id not in taken), None)
            if best is None:
                continue
            this.append({"past_id": best.trial_id, "id": trial_id})
            return {
                **best.hyperparameters.values,
                **self._settings(number, round_num),
                "tuner/trial_id": best.trial_id,
            }
        return None

    def _is_full(self, bracket: _Bracket, round_num: int) -> bool:
        """Whether no trial can be added to a round any more."""
        number = bracket["bracket_num"]
        if round_num == 0:
            return bracket["exhausted"] or len(bracket["rounds"][0]) >= self._get_size(number, 0)
        if not self._is_full(bracket, round_num - 1):
            return False
        before = bracket["rounds"][round_num - 1]
        if any(one["id"] not in self.end_order for one in before):
            return False
        completed = sum(self.trials[one["id"]].status == TrialStatus.COMPLETED for one in before)
        return len(bracket["rounds"][round_num]) >= min(self._get_size(number, round_num), completed)

    def _is_over(self, bracket: _Bracket) -> bool:
        last = len(bracket["rounds"]) - 1
        return self._is_full(bracket, last)

    def _record_values(self, trial: Trial) -> None:
        # A trial that is gone on with repeats values on purpose: only new ones count as tried.
        if "tuner/trial_id" in trial.hyperparameters.values:
            trial.hyperparameters.ensure_active_values()
            return
        super()._record_values(trial)

    def _compute_values_hash(self, values: Any) -> str:
        return super()._compute_values_hash({k: v for k, v in values.items() if not k.startswith("tuner/")})

    def get_state(self) -> dict[str, Any]:
        """The state of an oracle, and the brackets."""
        return {
            **super().get_state(),
            "hyperband_iterations": self.hyperband_iterations,
            "max_epochs": self.max_epochs,
            "factor": self.factor,
            "brackets": self._brackets,
            "current_bracket": self._current_bracket,
            "current_iteration": self._current_iteration,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a state of `get_state`."""
        super().set_state(state)
        self.hyperband_iterations = state["hyperband_iterations"]
        self.max_epochs, self.factor = state["max_epochs"], state["factor"]
        self._brackets = state["brackets"]
        self._current_bracket, self._current_iteration = state["current_bracket"], state["current_iteration"]


class Hyperband(Tuner):
    """Tries many trials for a few epochs, and goes on with the best.

    Going on means the weights and the optimizer's state: on the fused path a trial that goes on is trained again from
    its seed, which gives exactly the same; with plain `fit` both are saved and loaded.

    Args:
        max_epochs, factor, hyperband_iterations: As for `HyperbandOracle`.
        hypermodel, objective, seed: As for `RandomSearch`.
        hyperparameters, tune_new_entries, allow_new_entries: As for `RandomSearch`.
        max_retries_per_trial, max_consecutive_failed_trials: As for `RandomSearch`.
        **kwargs: As for `Tuner`.

    Example:
        >>> import tempfile
        >>> import keras, numpy as np
        >>> def build(hp):
        ...     layers = [keras.layers.Dense(hp.Choice("units", [2, 4])), keras.layers.Dense(1)]
        ...     model = keras.Sequential(layers)
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> x = np.ones((8, 2), "float32")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tuner = Hyperband(build, "val_loss", max_epochs=2, factor=2, directory=folder, progress=False)
        ...     tuner.search(x, x[:, :1], validation_split=0.5)
        >>> tuner.get_best_hyperparameters()[0]["units"] in (2, 4)
        True
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        self._seeded = seed is not None
        oracle = HyperbandOracle(
            objective=objective,
            max_epochs=max_epochs,
            factor=factor,
            hyperband_iterations=hyperband_iterations,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(oracle, hypermodel, **kwargs)

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Trains a trial for the epochs of its round.

        Args:
            trial: The trial.
            *args: What `search` was given.
            **kwargs: Likewise.
        """
        return super().run_trial(trial, *args, **self._fit_kwargs(trial, kwargs))

    def _fit_kwargs(self, trial: Trial, kwargs: dict[str, Any]) -> dict[str, Any]:
        values = trial.hyperparameters.values
        if "tuner/epochs" not in values:
            return kwargs
        return {**kwargs, "epochs": values["tuner/epochs"], "initial_epoch": values["tuner/initial_epoch"]}

    def _before_fit(self, trial: Trial, model: Any) -> None:
        if "tuner/trial_id" in trial.hyperparameters.values:
            self._take_over(model, trial.hyperparameters.values["tuner/trial_id"])

    def _take_over(self, model: Any, trial_id: str) -> None:
        """Weights and optimizer of the trial that is gone on with."""
        past = self.load_model(self.oracle.trials[trial_id])
        if not model.built:
            model.build_from_config(past.get_build_config())
        model.set_weights(past.get_weights())
