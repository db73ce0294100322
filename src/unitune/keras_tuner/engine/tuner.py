"""`Tuner`: a search over Keras models, on the fused engine wherever a trial allows."""

from __future__ import annotations

import contextlib
import copy
import importlib
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.engine.choose import ENGINES
from unitune.errors import OptionError, suggest
from unitune.keras_tuner import errors
from unitune.keras_tuner.engine import tuner_utils
from unitune.keras_tuner.engine.base_tuner import BaseTuner, why_no_score
from unitune.keras_tuner.engine.executions import Execution, executions_of, text_as_tensors
from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.stateful import read_json, write_json
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.models import backend
from unitune.models.compiled import compile_arguments, misplaced_metrics, put_metrics_in_place
from unitune.space.hyperparameters import HyperParameters

if TYPE_CHECKING:
    import keras


class Tuner(BaseTuner):
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

    # Building ---------------------------------------------------------------------------------------------------

    def _build_hypermodel(self, hp: HyperParameters) -> Any:
        with maybe_distribute(self.distribution_strategy):
            model = self.hypermodel.build(hp)
            if self.optimizer or self.loss or self.metrics:
                self._override_compile_args(model)
            return model

    def _try_build(self, hp: HyperParameters) -> Any:
        """The model of these values.

        Raises:
            FatalTypeError: The function returned no model.
            FailedTrialError: The model is too large.
        """
        keras = backend.ensure()
        model = self._build_hypermodel(hp)
        if not isinstance(model, keras.Model):
            raise errors.FatalTypeError(
                "Expected the model-building function, or `HyperModel.build`, to return a compiled Keras model, but "
                f"got {model!r}, a {type(model).__name__}. Write `return model` at its end."
            )
        if self.max_model_size is not None and model.built:
            size = sum(math.prod(weight.shape) for weight in model.trainable_weights)
            if size > self.max_model_size:
                raise errors.FailedTrialError(
                    f"Oversized model: {size:,} trainable numbers, and `max_model_size` is {self.max_model_size:,}."
                )
        return model

    def _override_compile_args(self, model: Any) -> None:
        keras = backend.ensure()
        settings = {"optimizer": model.optimizer, "loss": model.loss, "metrics": _own_metrics(model)}
        if not self.loss and not misplaced_metrics(model):
            settings["loss_weights"] = compile_arguments(model).get("loss_weights")
        if self.loss:
            settings["loss"] = self.loss
        if self.metrics:
            settings["metrics"] = self.metrics
        if self.optimizer:
            live = isinstance(self.optimizer, keras.optimizers.Optimizer)
            # Each model needs an optimizer of its own: it holds state.
            settings["optimizer"] = type(self.optimizer).from_config(self.optimizer.get_config()) if live else None
            settings["optimizer"] = settings["optimizer"] or self.optimizer
        model.compile(**settings)

    # Training ---------------------------------------------------------------------------------------------------

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Searches for the best hyperparameters.

        Args:
            *fit_args, **fit_kwargs: What `model.fit` takes: `x`, `y`, `epochs`, `validation_split` or
                `validation_data`, `callbacks`, ... Callbacks are copied for each execution.
        """
        from unitune.keras_tuner.engine.population import Population, why_one_by_one

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

    _solo_reason = ""

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Trains a trial with `fit`, once for each execution and fold.

        Returns:
            A list of what `HyperModel.fit` returned.
        """
        kwargs = dict(kwargs)
        given = kwargs.pop("callbacks", None) or []
        checkpoint = tuner_utils.SaveBestEpoch(
            objective=self.oracle.objective, filepath=self._get_checkpoint_fname(trial.trial_id)
        )
        results = []
        for execution in executions_of(self, args, kwargs):
            callbacks = self._deepcopy_callbacks(given)
            self._configure_tensorboard_dir(callbacks, trial, execution.number)
            callbacks += [tuner_utils.TunerCallback(self, trial), checkpoint]
            with backend.generators_as_before():
                self._seed_everything(execution)
                own = {**execution.kwargs, "callbacks": callbacks}
                results.append(self._build_and_fit_model(trial, *execution.args, **own))
        trial.engine, trial.engine_reason = "solo", trial.engine_reason or self._solo_reason
        return results

    def _seed_everything(self, execution: Execution) -> None:
        """One seed covers initial weights, the order of rows and dropout also where Keras draws them."""
        if self._seeded:
            backend.ensure().utils.set_random_seed(execution.seed)

    _seeded = False

    def _build_and_fit_model(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Builds the trial's model and trains it."""
        keras = backend.ensure()
        keras.utils.clear_session()  # memory does not grow with the trials
        hp = trial.hyperparameters
        model = self._try_build(hp)
        put_metrics_in_place(model)
        results = self.hypermodel.fit(hp, model, *args, **kwargs)
        with contextlib.suppress(Exception):  # a model of the user's own class may have none
            write_json(Path(self.get_trial_dir(trial.trial_id)) / "build_config.json", model.get_build_config())
        tuner_utils.validate_trial_results(results, self.oracle.objective, "HyperModel.fit()")
        return results

    def _deepcopy_callbacks(self, callbacks: Any) -> list[Any]:
        try:
            return list(copy.deepcopy(callbacks))
        except Exception as error:
            raise errors.FatalValueError(
                "All callbacks used during a search should be deep-copyable, since each execution gets its own, but "
                f"{callbacks!r} cannot be copied: {error}"
            ) from error

    def _configure_tensorboard_dir(self, callbacks: list[Any], trial: Trial, execution: int = 0) -> None:
        """Gives each execution a folder of its own, and the table of hyperparameters where `tensorboard` is there."""
        for callback in list(callbacks):
            if type(callback).__name__ != "TensorBoard":
                continue
            folder = self._get_tensorboard_dir(callback.log_dir, trial.trial_id, execution)
            callback.log_dir = folder
            with contextlib.suppress(ImportError, AttributeError):
                api: Any = importlib.import_module("tensorboard.plugins.hparams.api")
                hparams = tuner_utils.convert_hyperparams_to_hparams(trial.hyperparameters, api)
                callbacks.append(api.KerasCallback(writer=folder, hparams=hparams, trial_id=trial.trial_id))

    def _get_tensorboard_dir(self, logdir: str | Path, trial_id: str, execution: int) -> str:
        return str(Path(str(logdir)) / str(trial_id) / f"execution{execution}")

    # Models -----------------------------------------------------------------------------------------------------

    def load_model(self, trial: Trial) -> keras.Model:
        """The model of a trial with the weights of its best epoch.

        Raises:
            OptionError: Its weights were not kept.
        """
        folder = Path(self.get_trial_dir(trial.trial_id))
        kept, written = folder / "weights.npz", Path(self._get_checkpoint_fname(trial.trial_id))
        if trial.status != TrialStatus.COMPLETED and not kept.exists():
            raise OptionError(
                "a trial must be completed to have a model",
                f"trial {trial.trial_id} is {trial.status}: {why_no_score(trial)}",
                "`tuner.results()` shows which trials are.",
            )
        if not kept.exists() and not written.exists():
            raise OptionError(
                f"the weights of trial {trial.trial_id} were not kept",
                f"`keep={self.keep}` keeps those of the {self.keep} best trials",
                "Give the tuner a larger `keep`, or train `hypermodel.build(trial.hyperparameters)` anew.",
            )
        model = self._try_build(trial.hyperparameters)
        if kept.exists():
            with np.load(kept) as saved:
                arrays = [saved[f"w{number}"] for number in range(len(saved.files) - 1)]
                shape = tuple(int(size) for size in saved["input_shape"])
            if not model.built:
                model.build((None, *shape))
            model.set_weights(arrays)
            misplaced = misplaced_metrics(model)
            if misplaced:
                model.compile(optimizer=model.optimizer, loss=model.loss, metrics=misplaced)
            return model
        if not model.built and (folder / "build_config.json").exists():
            config = read_json(folder / "build_config.json")
            model.build_from_config(config)
            # The layers of a model with a `build` of its own are built when it is called, and else take no weights.
            with contextlib.suppress(Exception):
                model(np.zeros([size or 1 for size in config["input_shape"]], "float32"))
        with warnings.catch_warnings():
            # The optimizer is a new one: a best model is used, or trained anew.
            warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
            model.load_weights(str(written))
        return model

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """The best models with the weights of their best epoch, the best first.

        To use all rows, train `hypermodel.build(tuner.get_best_hyperparameters()[0])` on them.
        """
        return super().get_best_models(num_models)

    def _get_checkpoint_fname(self, trial_id: str) -> str:
        return str(Path(self.get_trial_dir(trial_id)) / "checkpoint.weights.h5")

    # For subclasses ---------------------------------------------------------------------------------------------

    def on_epoch_begin(self, trial: Trial, model: Any, epoch: int, logs: Any = None) -> None:
        """Called before each epoch. A tuner that overrides it trains one trial after another.

        Args:
            trial: The trial in training.
            model: Its model.
            epoch: Its number, counted from 0.
            logs: What Keras has logged.
        """

    def on_batch_begin(self, trial: Trial, model: Any, batch: int, logs: Any = None) -> None:
        """Called before each batch; see `on_epoch_begin`.

        Args:
            trial: The trial in training.
            model: Its model.
            batch: Its number, counted from 0.
            logs: What Keras has logged.
        """

    def on_batch_end(self, trial: Trial, model: Any, batch: int, logs: Any = None) -> None:
        """Called after each batch; see `on_epoch_begin`.

        Args:
            trial: The trial in training.
            model: Its model.
            batch: Its number, counted from 0.
            logs: What Keras has logged.
        """

    def on_epoch_end(self, trial: Trial, model: Any, epoch: int, logs: Any = None) -> None:
        """Called after each epoch; see `on_epoch_begin`.

        Args:
            trial: The trial in training.
            model: Its model.
            epoch: Its number, counted from 0.
            logs: What Keras has logged.
        """

    def _fit_kwargs(self, trial: Trial, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `fit` for a trial; where the oracle decides on the epochs, they come from it."""
        return kwargs


ROWS = ("x", "y", "validation_data")


def _own_metrics(model: Any) -> Any:
    """The metrics that the user gave to `compile`, as they were given: `model.metrics` has them once it is trained."""
    return compile_arguments(model).get("metrics") or misplaced_metrics(model)


@contextlib.contextmanager
def maybe_distribute(distribution_strategy: Any) -> Iterator[None]:
    """Inside the scope of a `tf.distribute.Strategy`, if there is one."""
    if distribution_strategy is None:
        yield
        return
    with distribution_strategy.scope():
        yield
