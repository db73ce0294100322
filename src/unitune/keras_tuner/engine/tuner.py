"""`Tuner`: a search over Keras models, on the fused engine wherever a trial allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unitune.engine.choose import ENGINES
from unitune.errors import OptionError, suggest
from unitune.keras_tuner.engine.executions import text_as_tensors
from unitune.keras_tuner.engine.keras_trials import KerasTrials
from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.population import Population, why_one_by_one

ROWS = ("x", "y", "validation_data")


class Tuner(KerasTrials):
    """Searches over Keras models.

    Trials that the fused engine can train are trained together; the others one after another with `fit`. Override
    `run_trial` to do something else; then there is nothing to fuse.

    Args:
        oracle: Proposes the trials.
        hypermodel: A function of `hp` that returns a compiled model, or a `HyperModel`.
        max_model_size: A model with more trainable numbers is a failed trial.
        optimizer, loss, metrics: Replace those that the model was compiled with.
        distribution_strategy: A `tf.distribute.Strategy` to build and train under; its trials are not fused.
        directory, project_name, overwrite: As for `BaseTuner`.
        tuner_id: Names this tuner where several share an oracle.
        executions_per_trial: How often each trial is trained, from other initial weights; its score is the mean.
        folds: Folds of a cross-validation of each trial, in place of validation data; its score is the mean.
        keep: The weights of so many best trials are kept.
        engine: `"auto"` (the fastest for each trial), `"fused"` (an error where a trial cannot be) or `"solo"`.
        progress: Whether a bar shows how trials that are trained together get on.
        logger: No longer used; a warning says so.

    Example:
        >>> import tempfile
        >>> import keras
        >>> from unitune.keras_tuner.oracles import RandomSearchOracle
        >>> def build(hp):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 8))])
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tuner = Tuner(RandomSearchOracle("val_loss", max_trials=2), build, directory=folder)
        >>> [one.name for one in tuner.oracle.get_space().space]
        ['units']
    """

    def __init__(
        self,
        oracle: Oracle,
        hypermodel: Any = None,
        max_model_size: int | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        distribution_strategy: Any = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        logger: Any = None,
        tuner_id: str | None = None,
        overwrite: bool = False,
        executions_per_trial: int = 1,
        *,
        folds: int | None = None,
        keep: int = 10,
        engine: str = "auto",
        progress: bool = True,
        **kwargs: Any,
    ) -> None:
        if hypermodel is None and type(self).run_trial is Tuner.run_trial:
            raise OptionError(
                "Received `hypermodel=None`, which is for subclasses that override `run_trial`",
                "",
                "Pass a function of `hp` that returns a compiled model.",
            )
        if engine not in ENGINES:
            raise OptionError("`engine` must be a known name", f"got {engine!r}", suggest(engine, ENGINES))
        self.max_model_size = max_model_size
        self.optimizer, self.loss, self.metrics = optimizer, loss, metrics
        self.distribution_strategy = distribution_strategy
        self.executions_per_trial = executions_per_trial
        self.folds, self.keep, self.engine, self.progress = folds, keep, engine, progress
        super().__init__(
            oracle=oracle,
            hypermodel=hypermodel,
            directory=directory,
            project_name=project_name,
            overwrite=overwrite,
            logger=logger,
            **kwargs,
        )
        self.tuner_id = tuner_id or self.tuner_id

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Searches for the best hyperparameters.

        Args:
            *fit_args, **fit_kwargs: What `model.fit` takes: `x`, `y`, `epochs`, `validation_split` or
                `validation_data`, `callbacks`, ... Callbacks are copied for each execution.
        """
        self._deepcopy_callbacks(fit_kwargs.get("callbacks") or [])
        fit_args = tuple(map(text_as_tensors, fit_args))
        fit_kwargs |= {name: text_as_tensors(fit_kwargs[name]) for name in ROWS if name in fit_kwargs}
        reason = why_one_by_one(self)
        if reason:
            self._solo_reason = reason
            super().search(*fit_args, **fit_kwargs)
            return
        if "verbose" in fit_kwargs:
            self.oracle.verbose = fit_kwargs["verbose"]
        Population(self, fit_args, fit_kwargs).search()
