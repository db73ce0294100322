"""Random search."""

from __future__ import annotations

from typing import Any

from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.trial import TrialStatus
from unitune.keras_tuner.engine.tuner import Tuner
from unitune.space.hyperparameters import HyperParameters


class RandomSearchOracle(Oracle):
    """Proposes values drawn at random, none twice. The arguments are those of `Oracle`; 10 trials by default."""

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
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

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values that no trial has; stops where none are left."""
        values = self._random_values()
        if values is not None:
            return {"status": TrialStatus.RUNNING, "values": values}
        # A trial that is still running may ask for more.
        return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}


class RandomSearch(Tuner):
    """Tries values drawn at random.

    Args:
        hypermodel: A function of `hp` that returns a compiled model, or a `HyperModel`.
        objective: A metric's name, an `Objective`, a list of these, or None where a trial returns a number.
        max_trials: Trials at most.
        seed: Of the search, the weights, the order of rows and dropout.
        hyperparameters, tune_new_entries, allow_new_entries: As for `Oracle`.
        max_retries_per_trial, max_consecutive_failed_trials: As for `Oracle`.
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
        ...     tuner = RandomSearch(build, "val_loss", max_trials=2, directory=folder, progress=False)
        ...     tuner.search(x, x[:, :1], validation_split=0.5, epochs=1)
        >>> tuner.get_best_hyperparameters()[0]["units"] in (2, 4)
        True
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        self._seeded = seed is not None
        oracle = RandomSearchOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(oracle, hypermodel, **kwargs)
