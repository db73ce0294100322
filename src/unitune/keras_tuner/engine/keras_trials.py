"""Trials of Keras models, one after another: built, trained with `fit`, and kept."""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitune.adoption.user_fit import Waiting
from unitune.errors import OptionError
from unitune.keras_tuner import errors
from unitune.keras_tuner.engine import tuner_utils
from unitune.keras_tuner.engine.base_tuner import BaseTuner, why_no_score
from unitune.keras_tuner.engine.begun import Begun, Run
from unitune.keras_tuner.engine.executions import Execution, executions_of
from unitune.keras_tuner.engine.kept_weights import take_checkpoint, take_kept
from unitune.keras_tuner.engine.stateful import write_json
from unitune.keras_tuner.engine.trial import Trial, TrialStatus
from unitune.keras_tuner.engine.tuner_utils import maybe_distribute
from unitune.models import backend
from unitune.models.compiled import compile_arguments, misplaced_metrics, put_metrics_in_place
from unitune.space.hyperparameters import HyperParameters

if TYPE_CHECKING:
    import keras


class KerasTrials(BaseTuner):
    """What a `Tuner` does with one trial."""

    max_model_size: int | None
    optimizer: Any
    loss: Any
    metrics: Any
    distribution_strategy: Any
    executions_per_trial: int
    folds: int | None
    keep: int
    engine: str
    progress: bool
    _seeded = False
    _solo_reason = ""
    _waiting: Waiting | None = None
    _begun: Begun | None = None
    _run: Run | None = None

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
        # The metrics as they were given to `compile`: `model.metrics` has them once it is trained.
        given = compile_arguments(model)
        settings = {"optimizer": model.optimizer, "loss": self.loss or model.loss}
        settings["metrics"] = self.metrics or given.get("metrics") or misplaced_metrics(model)
        settings["weighted_metrics"] = given.get("weighted_metrics")
        if not self.loss and not misplaced_metrics(model):
            settings["loss_weights"] = given.get("loss_weights")
        if self.optimizer:
            live = isinstance(self.optimizer, keras.optimizers.Optimizer)
            # Each model needs an optimizer of its own: it holds state.
            settings["optimizer"] = type(self.optimizer).from_config(self.optimizer.get_config()) if live else None
            settings["optimizer"] = settings["optimizer"] or self.optimizer
        model.compile(**settings)

    # Training ---------------------------------------------------------------------------------------------------

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Trains a trial with `fit`, once for each execution and fold.

        Returns:
            A list of what `HyperModel.fit` returned.
        """
        if self._waiting is not None:
            answer = self._waiting.wait(args, kwargs)
            if answer is not None:
                return answer
        begun, self._begun = self._begun, None
        if begun is not None:
            return self._fit_each(begun)
        return self._fit_each(Begun(trial=trial, executions=list(self._executions(trial, args, kwargs))))

    def _executions(self, trial: Trial, args: Any, kwargs: dict[str, Any]) -> Iterator[Execution]:
        """The executions of a trial, each with callbacks of its own, and those that save and report."""
        kwargs = dict(kwargs)
        given = kwargs.pop("callbacks", None) or []
        checkpoint = tuner_utils.SaveBestEpoch(
            objective=self.oracle.objective, filepath=self._get_checkpoint_fname(trial.trial_id)
        )
        for execution in self._each(args, kwargs):
            callbacks = self._deepcopy_callbacks(given)
            self._configure_tensorboard_dir(callbacks, trial, execution.number)
            callbacks += [tuner_utils.TunerCallback(self, trial), checkpoint]
            yield replace(execution, kwargs={**execution.kwargs, "callbacks": callbacks})

    def _members_per_trial(self, args: Any, kwargs: dict[str, Any]) -> int:
        """How often a trial is trained: executions times folds."""
        return len(list(self._each(args, kwargs)))

    def _each(self, args: Any, kwargs: dict[str, Any]) -> Iterator[Execution]:
        return executions_of(args, kwargs, repeats=self.executions_per_trial, folds=self.folds, seed=self.oracle.seed)

    def _run_and_update_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> None:
        with self._keeping_the_last_model(trial):
            super()._run_and_update_trial(trial, *fit_args, **fit_kwargs)

    @contextlib.contextmanager
    def _keeping_the_last_model(self, trial: Trial) -> Iterator[None]:
        """Inside, `run_trial` of a subclass may train in a way of its own: the model that it built last is kept."""
        if self.hypermodel is None or self.run_trial.__module__.startswith("unitune."):
            yield
            return
        build = self.hypermodel.build
        built: list[Any] = []

        def noted(hp: HyperParameters) -> Any:
            built[:] = [build(hp)]
            return built[0]

        self.hypermodel.build = noted
        try:
            yield
        finally:
            self.hypermodel.build = build
        waits = self._waiting is not None and self._waiting.request is not None
        if built and hasattr(built[0], "save_weights") and not waits:
            self._keep_model(trial, built[0])

    def _begin_trial(self, trial: Trial, args: Any, kwargs: dict[str, Any]) -> Waiting:
        """Runs `run_trial` of a subclass up to that of this class, which waits there."""
        waiting = self._waiting = Waiting(lambda: self.run_trial(trial, *args, **kwargs))
        try:
            with self._keeping_the_last_model(trial):
                waiting.start()
                if waiting.error is not None:
                    raise waiting.error
        finally:
            self._waiting = None
        return waiting

    def _run_begun(self, begun: Begun) -> Any:
        """Trains a trial with `fit` whose models are built; the user's code goes on from where it waits."""
        if begun.waiting is None:
            return self._fit_each(begun)
        self._begun = begun
        return begun.waiting.go_on(None)

    def _fit_each(self, begun: Begun) -> list[Any]:
        trial, results = begun.trial, []
        runs = {id(run.execution): run for run in begun.runs if run.model is not None}
        for execution in begun.executions:
            self._run = runs.get(id(execution))
            with self._seeding(execution):
                results.append(self._build_and_fit_model(trial, *execution.args, **execution.kwargs))
        trial.engine, trial.engine_reason = "solo", trial.engine_reason or self._solo_reason
        return results

    @contextlib.contextmanager
    def _seeding(self, execution: Execution) -> Iterator[None]:
        """Inside, one seed covers initial weights, the order of rows and dropout also where Keras draws them."""
        if not self._seeded:
            yield
            return
        with backend.generators_as_before():
            backend.ensure().utils.set_random_seed(execution.seed)
            yield

    def _build_and_fit_model(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Builds the trial's model and trains it."""
        run, self._run = self._run, None
        hp = trial.hyperparameters
        if run is None:
            backend.ensure().utils.clear_session()  # memory does not grow with the trials
            model = self._try_build(hp)
        else:
            model = run.real_model()
        put_metrics_in_place(model)
        self._before_fit(trial, model)
        if run is None or run.user is None:
            results = self.hypermodel.fit(hp, model, *args, **kwargs)
        else:
            results = run.user.go_on(None)
        self._keep_model(trial, model)
        with contextlib.suppress(Exception):  # a model of the user's own class may have none
            write_json(Path(self.get_trial_dir(trial.trial_id)) / "build_config.json", model.get_build_config())
        tuner_utils.validate_trial_results(results, self.oracle.objective, "HyperModel.fit()")
        return results

    def _before_fit(self, trial: Trial, model: Any) -> None:
        """Called with a model that Keras is to train: `Hyperband` goes on with weights."""

    def _quiet(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments of `search`, with `verbose=0` unless it was given, or the user's own code does not take it."""
        own = [f for f in (self.hypermodel.fit, self.run_trial) if not f.__module__.startswith("unitune.")]
        takes = all(
            "verbose" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
            for parameters in (inspect.signature(one).parameters for one in own)
        )
        return {"verbose": 0, **kwargs} if takes else dict(kwargs)

    def _deepcopy_callbacks(self, callbacks: Any) -> list[Any]:
        try:
            return list(backend.ensure().tree.flatten(copy.deepcopy(callbacks)))
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
        kept, written = self._weights_file(trial.trial_id), Path(self._get_checkpoint_fname(trial.trial_id))
        if trial.status != TrialStatus.COMPLETED and not kept.exists():
            raise OptionError(
                "a trial must be completed to have a model",
                f"trial {trial.trial_id} is {trial.status}: {why_no_score(trial)}",
                "`tuner.results()` shows which trials are.",
            )
        if not kept.exists() and not written.exists() and trial.engine == "solo":
            raise OptionError(
                f"trial {trial.trial_id} must have saved a model",
                f"its own way of training has saved none in {folder}",
                "Pass on the `callbacks` that `HyperModel.fit` is given, or write `save_model` and `load_model`.",
            )
        if not kept.exists() and not written.exists():
            raise OptionError(
                f"the weights of trial {trial.trial_id} were not kept",
                f"`keep={self.keep}` keeps those of the {self.keep} best trials",
                "Give the tuner a larger `keep`, or train `hypermodel.build(trial.hyperparameters)` anew.",
            )
        model = self._try_build(trial.hyperparameters)
        if kept.exists():
            take_kept(model, kept)
        else:
            take_checkpoint(model, written, folder / "build_config.json")
        return model

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """The best models with the weights of their best epoch, the best first.

        To use all rows, train `hypermodel.build(tuner.get_best_hyperparameters()[0])` on them.
        """
        return super().get_best_models(num_models)

    def _keep_model(self, trial: Trial, model: Any) -> None:
        """Writes the weights of a model that Keras trained, where its callbacks have not."""
        path = Path(self._get_checkpoint_fname(trial.trial_id))
        if not path.exists() and model.built and type(self).load_model is KerasTrials.load_model:
            model.save_weights(path)

    def _weights_file(self, trial_id: str) -> Path:
        return Path(self.get_trial_dir(trial_id)) / "weights.npz"

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
