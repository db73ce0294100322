"""Bayesian optimization: a Gaussian process of the score, and the trial with the best optimistic guess."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy
import sklearn

from unitune.errors import OptionError
from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.keras_tuner.engine.tuner import Tuner
from unitune.records import Array
from unitune.search.gp import GaussianProcess
from unitune.space.hyperparameters import Choice, Fixed, HyperParameter, HyperParameters

TRIALS_AT_ONCE = 8
MOST_OBSERVATIONS = 300


class BayesianOptimizationOracle(Oracle):
    """Proposes trials by a Gaussian process with a Matérn kernel, and a lower confidence bound.

    Categories lie at equal distance from each other, not in a row. Trials that run are taken to score what the process
    expects, so that several can be proposed at once. No combination comes twice.

    Args:
        num_initial_points: Trials drawn at random before; three times the number of hyperparameters, 3 at least, if
            not given.
        alpha: The variance of noise, relative to that of the scores.
        beta: How much uncertainty counts: 0 is greedy.
        objective, max_trials, seed, hyperparameters, allow_new_entries, tune_new_entries: As for `Oracle`.
        max_retries_per_trial, max_consecutive_failed_trials: As for `Oracle`.

    Source: Srinivas et al., "Gaussian Process Optimization in the Bandit Setting", ICML 2010.
    """

    trials_at_once = TRIALS_AT_ONCE

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        if scipy is None:
            raise ImportError("Please install scipy to use Bayesian optimization.")
        if sklearn is None:
            raise ImportError("Please install scikit-learn to use Bayesian optimization.")
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if num_initial_points is not None and num_initial_points < 1:
            raise OptionError("`num_initial_points` must be at least 1", f"got {num_initial_points}")
        self.num_initial_points = num_initial_points
        self.alpha, self.beta = alpha, beta

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Random values at first, then those that promise most."""
        completed = [one for one in self.trials.values() if one.status == TrialStatus.COMPLETED]
        space = self._searched()
        enough = self.num_initial_points or max(3, 3 * len(space))
        values = None
        if space and len(completed) >= enough:
            values = self._promising(space, completed)
        if values is None:
            values = self._random_values()
        if values is None:
            return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": values}

    def _searched(self) -> list[HyperParameter]:
        return [one for one in self.hyperparameters.space if not isinstance(one, Fixed)]

    def _promising(self, space: list[HyperParameter], completed: list[Trial]) -> dict[str, Any] | None:
        sign = -1.0 if self.objective.direction == "max" else 1.0
        # The best and the latest: more would cost more than it tells.
        if len(completed) > MOST_OBSERVATIONS:
            best = sorted(completed, key=lambda one: sign * float(one.score or 0.0))[: MOST_OBSERVATIONS // 2]
            completed = list(dict.fromkeys([*best, *completed[-MOST_OBSERVATIONS // 2 :]]))
        x = np.array([self._encode(space, one.hyperparameters.values) for one in completed])
        y = sign * np.array([float(one.score) for one in completed])  # type: ignore[arg-type]
        process = GaussianProcess(noise=self.alpha, optimism=self.beta)
        process.fit(x, y)
        ongoing = [one for one in self.ongoing_trials.values() if one.status == TrialStatus.RUNNING]
        process.believe(np.array([self._encode(space, one.hyperparameters.values) for one in ongoing]))
        self._seed_state += 1
        return process.lowest(
            np.random.default_rng(abs(self._seed_state)),
            decode=partial(self._decode, space),
            encode=partial(self._encode, space),
            is_new=lambda values: not self._duplicate(values),
        )

    def _encode(self, space: list[HyperParameter], values: dict[str, Any]) -> Array:
        """A combination as numbers in [0, 1]; what is inactive or unknown stands at its default."""
        row: list[float] = []
        for one in space:
            value = values.get(one.name, one.default)
            if not one.contains(value):
                value = one.default
            if _is_category(one):
                index = int(one.value_to_prob(value) * len(one.values))
                row += [float(index == place) for place in range(len(one.values))]
            else:
                row.append(min(max(one.value_to_prob(value), 0.0), 1.0))
        return np.array(row)

    def _decode(self, space: list[HyperParameter], point: Array) -> dict[str, Any]:
        """The combination nearest to a point; active values only."""
        hp = HyperParameters()
        chosen, place = {}, 0
        for one in space:
            size = len(one.values) if _is_category(one) else 1
            part = point[place : place + size]
            chosen[id(one)] = one.values[int(np.argmax(part))] if size > 1 else one.prob_to_value(float(part[0]))
            place += size
        for one in self.hyperparameters.space:
            hp._add(one)
            if hp.is_active(one):
                hp.values[one.name] = chosen.get(id(one), one.default)
        return hp.values


def _is_category(hyperparameter: HyperParameter) -> bool:
    return isinstance(hyperparameter, Choice) and not hyperparameter.ordered and len(hyperparameter.values) > 2


class BayesianOptimization(Tuner):
    """Tries what a Gaussian process expects most of.

    Args:
        num_initial_points, alpha, beta: As for `BayesianOptimizationOracle`.
        hypermodel, objective, max_trials, seed: As for `RandomSearch`.
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
        ...     tuner = BayesianOptimization(build, "val_loss", max_trials=2, directory=folder, progress=False)
        ...     tuner.search(x, x[:, :1], validation_split=0.5, epochs=1)
        >>> tuner.get_best_hyperparameters()[0]["units"] in (2, 4)
        True
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        self._seeded = seed is not None
        oracle = BayesianOptimizationOracle(
            objective=objective,
            max_trials=max_trials,
            num_initial_points=num_initial_points,
            alpha=alpha,
            beta=beta,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(oracle, hypermodel, **kwargs)
