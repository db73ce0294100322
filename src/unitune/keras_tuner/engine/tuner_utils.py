"""Between a tuner and Keras: results of any kind as metrics, and the callbacks of a trial."""

from __future__ import annotations

import contextlib
import importlib
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unitune.keras_tuner import errors
from unitune.keras_tuner.engine.display import Display
from unitune.keras_tuner.engine.objective import DefaultObjective, Objective
from unitune.models import backend

__all__ = [
    "Display",
    "average_metrics_dicts",
    "convert_to_metrics_dict",
    "get_best_step",
    "validate_trial_results",
]


def _is_history(results: Any) -> bool:
    # By its attribute: a class of Keras would have to be imported to be asked for.
    return isinstance(getattr(results, "history", None), Mapping)


def average_metrics_dicts(metrics: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The mean of each metric over several results."""
    values: dict[str, list[Any]] = defaultdict(list)
    for one in metrics:
        for name, value in one.items():
            values[name].append(value)
    return {name: float(np.mean(each)) for name, each in values.items()}


def best_epoch(history: Mapping[str, Any], objective: Objective) -> tuple[dict[str, Any], int]:
    """The metrics of the first epoch with the best objective, and its number, counted from 0.

    Raises:
        FatalValueError: The objective is not among the metrics.
    """
    n_epochs = max((len(values) for values in history.values()), default=0)
    epochs = [{name: values[i] for name, values in history.items() if i < len(values)} for i in range(n_epochs)]
    if not epochs or not objective.has_value(epochs[0]):
        raise errors.FatalValueError(missing_objective(objective, history))
    best, best_value = 0, objective.get_value(epochs[0])
    for number, metrics in enumerate(epochs):
        if not objective.has_value(metrics):
            continue  # with `validation_freq` not every epoch has one
        value = objective.get_value(metrics)
        if objective.better_than(value, best_value) or (np.isnan(best_value) and not np.isnan(value)):
            best, best_value = number, value
    return {**epochs[best], objective.name: best_value}, best


def missing_objective(objective: Objective, metrics: Iterable[str]) -> str:
    """What to say where the objective is not among the metrics."""
    wanted = ", ".join(f"`{name}`" for name in objective.name_to_direction)
    known = ", ".join(f"`{name}`" for name in metrics) or "none"
    hint = (
        ""
        if any(name.startswith("val_") for name in metrics)
        else " Metrics that begin with `val_` need `validation_data` or `validation_split`."
    )
    return f"The objective {wanted} is not among the metrics of the model, which are {known}.{hint}"


def convert_to_metrics_dict(results: Any, objective: Objective) -> dict[str, Any]:
    """What a trial returned, as metrics: those of the best epoch of a history, the mean of a list."""
    if isinstance(results, list):
        return average_metrics_dicts([convert_to_metrics_dict(one, objective) for one in results])
    if isinstance(results, int | float | np.floating | np.integer):
        return {objective.name: float(results)}
    if isinstance(results, Mapping):
        return dict(results)
    return best_epoch(results.history, objective)[0]


def get_best_step(results: Any, objective: Objective) -> int:
    """The best epoch of a history, counted from 0; the mean of a list; 0 of anything else."""
    if isinstance(results, list):
        return int(statistics.mean([get_best_step(one, objective) for one in results]))
    if isinstance(results, Mapping) or not _is_history(results):
        return 0
    return best_epoch(results.history, objective)[1]


def _shown(results: Any) -> str:
    if hasattr(results, "history"):
        return "the history of a `fit`"
    return f"{results!r}, a {type(results).__name__}"


def validate_trial_results(results: Any, objective: Objective, func_name: str) -> None:
    """Refuses what a trial must not return.

    Raises:
        FatalTypeError: None, or something that is no result.
        FatalValueError: Metrics without the objective.
    """
    if isinstance(results, list):
        for one in results:
            validate_trial_results(one, objective, func_name)
        return
    if isinstance(results, int | float | np.floating | np.integer):
        return
    if results is None:
        raise errors.FatalTypeError(f"The return value of {func_name} is None. Did you forget to return the metrics?")
    own_name = isinstance(results, Mapping) and objective.name in results
    if isinstance(objective, DefaultObjective) and not own_name:
        raise errors.FatalTypeError(
            f"Without an `objective`, expected the return value of {func_name} to be a single float to minimise, "
            f"but got {_shown(results)}. Name an `objective`, as `val_loss`, to use what `fit` logs."
        )
    if isinstance(results, Mapping):
        if not objective.has_value(results) and not own_name:
            raise errors.FatalValueError(
                f"The dictionary that {func_name} returned must hold the specified objective: "
                + missing_objective(objective, results)
            )
        return
    if not _is_history(results):
        raise errors.FatalTypeError(
            f"Expected the return value of {func_name} to be one of float, dict, keras.callbacks.History, or a list "
            f"of one of these, but got {results!r}, a {type(results).__name__}."
        )


def convert_hyperparams_to_hparams(hyperparams: Any, hparams_api: Any = None) -> dict[Any, Any]:
    """The values of a trial for TensorBoard's table of hyperparameters. Needs `tensorboard`."""
    if hparams_api is None:
        hparams_api = importlib.import_module("tensorboard.plugins.hparams.api")
    hparams = {}
    for one in hyperparams.space:
        if one.name not in hyperparams.values:
            continue
        kind = type(one).__name__
        if kind == "Int" and one.step == 1:
            domain = hparams_api.IntInterval(one.min_value, one.max_value)
        elif kind == "Float" and one.step is None:
            domain = hparams_api.RealInterval(one.min_value, one.max_value)
        else:
            domain = hparams_api.Discrete(list(one.values))
        hparams[hparams_api.HParam(one.name, domain)] = hyperparams.values[one.name]
    return hparams


@contextlib.contextmanager
def maybe_distribute(distribution_strategy: Any) -> Iterator[None]:
    """Inside the scope of a `tf.distribute.Strategy`, if there is one."""
    if distribution_strategy is None:
        yield
        return
    with distribution_strategy.scope():
        yield


def _callback_classes() -> tuple[type, type]:
    keras = backend.ensure()

    class TunerCallback(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Tells the tuner of the epochs and batches of a trial."""

        def __init__(self, tuner: Any, trial: Any) -> None:
            super().__init__()
            self.tuner, self.trial = tuner, trial

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.tuner.on_epoch_begin(self.trial, self.model, epoch, logs=logs)

        def on_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.tuner.on_batch_begin(self.trial, self.model, batch, logs)

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            self.tuner.on_batch_end(self.trial, self.model, batch, logs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.tuner.on_epoch_end(self.trial, self.model, epoch, logs=logs)

    class SaveBestEpoch(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Writes the weights at the best epoch so far, over all executions of a trial.

        Args:
            objective: Which epoch is best; without its value in the logs the last one is kept.
            filepath: Where to write.
        """

        def __init__(self, objective: Objective, filepath: str | Path) -> None:
            super().__init__()
            self.objective, self.filepath = objective, str(filepath)
            self.best_value = float("-inf") if objective.direction == "max" else float("inf")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if self.objective.has_value(logs):
                value = self.objective.get_value(logs)
                if not self.objective.better_than(value, self.best_value):
                    return
                self.best_value = value
            self.model.save_weights(self.filepath)

    return TunerCallback, SaveBestEpoch


def __getattr__(name: str) -> Any:
    """The callbacks are classes of Keras's, which is imported when they are asked for."""
    if name not in ("TunerCallback", "SaveBestEpoch"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for made in _callback_classes():
        made.__qualname__ = made.__name__
        made.__module__ = __name__
        globals().setdefault(made.__name__, made)
    return globals()[name]
