"""Keras callbacks on the fused path: part of the training, told afterwards, or a reason for plain `fit`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from unitune.engine.lift.base import Unfusable
from unitune.models import backend
from unitune.models.blueprint import Schedule, Training
from unitune.models.identity import NotPlain
from unitune.tuner.keras_callbacks import check_callback, plateau_of, stopping_of


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A metric that `fit` logs.

    Attributes:
        engine_name: The name under which programs give it back.
        more_is_better: What Keras takes for better where it is not told; None where it wants to be told, as for what
            belongs to one of several outputs.
    """

    engine_name: str
    more_is_better: bool | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay:
    """A callback that only writes down what was logged, or the best weights: it is told when the member is done."""

    callback: Any

    def run(
        self,
        history: Mapping[str, Sequence[float]],
        epochs: Sequence[int],
        folder: Path | None,
        model: Callable[[], Any],
    ) -> None:
        """Tells the callback of every epoch; `model` gives the model as it was in its best epoch."""
        if type(self.callback).__name__ == "ModelCheckpoint":
            _save_best(self.callback, history, epochs, model)
            return
        if type(self.callback).__name__ == "TensorBoard":
            _write_scalars(folder or Path(str(self.callback.log_dir)), history, epochs)
            return
        self.callback.set_params({"epochs": len(epochs), "steps": None, "verbose": 0})
        self.callback.on_train_begin()
        for position, epoch in enumerate(epochs):
            self.callback.on_epoch_end(epoch, {name: values[position] for name, values in history.items()})
        self.callback.on_train_end()


def read_callbacks(
    callbacks: Sequence[Any],
    training: Training,
    steps: int,
    *,
    validates: bool,
    logged: Mapping[str, Logged] = MappingProxyType({}),
    kept: tuple[str, bool] | None = None,
) -> tuple[Training, list[Replay], bool]:
    """Sorts callbacks into the training and those that are told afterwards.

    Args:
        callbacks: As they were given to `fit`.
        training: What they are added to.
        steps: Steps of an epoch.
        validates: Whether there are validation rows.
        logged: The metrics, by the names under which they are logged.
        kept: The metric whose best epoch's weights are kept, and whether more of it is better.

    Returns:
        The training, the callbacks to tell afterwards, and whether the learning rate is logged.

    Raises:
        Unfusable: One of them needs the model while it is trained.
    """
    replays: list[Replay] = []
    logs_rate = False
    each: list[Any] = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in each:
        try:
            name = check_callback(callback)
        except NotPlain as told:
            raise Unfusable(str(told)) from None
        if name == "EarlyStopping" and training.early_stopping is None:
            monitor, maximize = _monitored(callback, logged, validates)
            training = replace(training, early_stopping=stopping_of(callback, monitor, maximize=maximize))
        elif name == "ReduceLROnPlateau" and training.plateau is None:
            monitor, maximize = _monitored(callback, logged, validates)
            logs_rate = True
            training = replace(training, plateau=plateau_of(callback, monitor, maximize=maximize))
        elif name == "LearningRateScheduler" and training.schedule == Schedule():
            logs_rate = True
            training = _scheduled(callback.schedule, training, steps)
        elif name in ("TerminateOnNaN", "History", "ProgbarLogger"):
            pass  # a member whose loss is no number ends in any case; the rest is there anyhow
        elif name == "CSVLogger" or (name == "TensorBoard" and not callback.histogram_freq):
            if name == "TensorBoard" and importlib.util.find_spec("tensorflow") is None:
                raise Unfusable("`TensorBoard` writes with TensorFlow, which is not installed")
            replays.append(Replay(callback=callback))
        elif name == "ModelCheckpoint":
            _check_checkpoint(callback, logged, validates, kept)
            replays.append(Replay(callback=callback))
        else:
            raise Unfusable(f"the callback `{name}` needs the model while it is trained")
    if training.plateau is not None and training.schedule != Schedule():
        raise Unfusable("`ReduceLROnPlateau` beside a schedule of the learning rate has no fused form")
    return training, replays, logs_rate


def _monitored(callback: Any, logged: Mapping[str, Logged], validates: bool) -> tuple[str, bool]:
    """What a callback looks at, by the name that programs know, and whether more of it is better."""
    callback_name = type(callback).__name__
    prefix = "val_" if callback.monitor.startswith("val_") else ""
    name = callback.monitor.removeprefix("val_")
    if name not in ("loss", *logged):
        raise Unfusable(f"`{callback_name}` on `{callback.monitor}`, which no program logs, has no fused form")
    if prefix and not validates:
        raise Unfusable(f"`{callback_name}` without validation rows has no fused form")
    more = False if name == "loss" else logged[name].more_is_better
    if callback.mode != "auto":
        more = callback.mode == "max"
    if more is None:
        raise Unfusable(f"`{callback_name}` on `{callback.monitor}` must be told its `mode`")
    return prefix + ("loss" if name == "loss" else logged[name].engine_name), more


def _check_checkpoint(
    callback: Any, logged: Mapping[str, Logged], validates: bool, kept: tuple[str, bool] | None
) -> None:
    """Refuses what needs other weights than those that a program keeps: of one epoch, the best by the objective."""
    if not callback.save_best_only or callback.save_freq != "epoch" or "{" in str(callback.filepath):
        raise Unfusable("`ModelCheckpoint` that saves more than the best epoch has no fused form")
    if callback.best is not None:
        raise Unfusable("`ModelCheckpoint` with a first threshold has no fused form")
    monitored = _monitored(callback, logged, validates)
    callback.mode = "max" if monitored[1] else "min"  # it will be told of by a model that cannot tell
    if monitored != kept:
        raise Unfusable(f"`ModelCheckpoint` on `{callback.monitor}`, which is not the objective, has no fused form")


def _save_best(
    callback: Any, history: Mapping[str, Sequence[float]], epochs: Sequence[int], model: Callable[[], Any]
) -> None:
    """Has the callback save the model as it was in its best epoch; earlier ones would be written over."""
    values = history[callback.monitor]
    if not len(values):
        return
    best = 0
    for position, value in enumerate(values):
        if value > values[best] if callback.mode == "max" else value < values[best]:
            best = position
    callback.set_model(model())
    callback.on_epoch_end(epochs[best], {name: one[best] for name, one in history.items()})


def _scheduled(function: Any, training: Training, steps: int) -> Training:
    """The rates that the function gives for each epoch, as a schedule over the steps."""
    keras = backend.ensure()
    rates = []
    rate = training.optimizer.learning_rate
    for epoch in range(training.epochs):
        rate = float(np.asarray(rate, keras.config.floatx()))  # the optimizer's own
        try:
            rate = float(function(epoch, rate))
        except TypeError:  # the older form
            rate = float(function(epoch))
        rates.append(rate)

    class ByEpoch(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc, name-defined]
        def __call__(self, step: Any) -> Any:
            table = keras.ops.convert_to_tensor(rates, keras.config.floatx())
            epoch = keras.ops.cast(step, "int32") // steps
            return keras.ops.take(table, keras.ops.minimum(epoch, len(rates) - 1))

        def get_config(self) -> dict[str, Any]:
            return {}

    optimizer = replace(training.optimizer, learning_rate=1.0)
    return replace(training, optimizer=optimizer, schedule=Schedule(name="keras", source=ByEpoch()))


def _write_scalars(folder: Path, history: Mapping[str, Sequence[float]], epochs: Sequence[int]) -> None:
    """The curves as the TensorBoard callback writes them; the writer is TensorFlow's, `tensorboard` is not needed."""
    import tensorflow as tf

    for part, prefix in (("train", ""), ("validation", "val_")):
        chosen = {name: values for name, values in history.items() if name.startswith("val_") == bool(prefix)}
        if not chosen:
            continue
        writer = tf.summary.create_file_writer(str(folder / part))
        with writer.as_default():
            for position, epoch in enumerate(epochs):
                for name, values in chosen.items():
                    tf.summary.scalar(f"epoch_{name.removeprefix(prefix)}", values[position], step=epoch)
        writer.close()
