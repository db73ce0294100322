"""Keras's callbacks that are part of a training, as what programs know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from unitune.adoption.logged import Logged, logged_by, monitored
from unitune.adoption.replay import Replay, can_be_told
from unitune.engine.lift.base import Unfusable
from unitune.models import backend
from unitune.models.blueprint import EarlyStopping, Plateau, Schedule, Training
from unitune.models.identity import NotPlain, read

# What a callback notes while a model is trained, and begins anew the next time.
_NOTES = frozenset(
    {"wait", "best", "best_weights", "best_epoch", "stopped_epoch", "monitor_op", "min_delta", "cooldown_counter"}
    | {"history", "epoch", "writer", "keys", "csv_file", "append_header", "supports_tf_logs", "mode"}
)


def check_callback(callback: Any) -> str:
    """The name of the class of a callback that is Keras's own, and nothing else.

    Raises:
        NotPlain: It is a class of the user's own, or has a method put in.
    """
    read(callback, "callbacks", "callback", ignore=_NOTES)
    return type(callback).__name__


def stopping_of(callback: Any, monitor: str, *, maximize: bool) -> EarlyStopping:
    """A `keras.callbacks.EarlyStopping` that looks at the metric which programs know by the name `monitor`."""
    return EarlyStopping(
        patience=int(callback.patience),
        min_delta=abs(float(callback.min_delta)),
        restore_best_weights=bool(callback.restore_best_weights),
        monitor=monitor,
        maximize=maximize,
        baseline=None if callback.baseline is None else float(callback.baseline),
        start_from_epoch=int(callback.start_from_epoch),
    )


def plateau_of(callback: Any, monitor: str, *, maximize: bool) -> Plateau:
    """A `keras.callbacks.ReduceLROnPlateau`, likewise."""
    return Plateau(
        factor=float(callback.factor),
        patience=int(callback.patience),
        min_delta=abs(float(callback.min_delta)),
        cooldown=int(callback.cooldown),
        min_lr=float(callback.min_lr),
        monitor=monitor,
        maximize=maximize,
    )


def read_callbacks(
    callbacks: Any,
    training: Training,
    steps: int | None,
    *,
    validates: bool = True,
    logged: Mapping[str, Logged] | None = None,
    replays: bool = False,
    kept: tuple[str, bool] | None = None,
) -> tuple[Training, list[Replay]]:
    """Callbacks of `fit` as part of a training.

    Args:
        callbacks: As they were given to `fit`: one, or lists of them.
        training: What they are added to.
        steps: Of an epoch; None where that is not known.
        validates: Whether there are validation rows.
        logged: The metrics, by the names under which `fit` logs them; those of the training if not given.
        replays: Whether callbacks can be told of the training afterwards.
        kept: The metric whose best epoch's weights are kept, and whether more of it is better.

    Returns:
        The training, and the callbacks to tell afterwards.

    Raises:
        Unfusable: One of them needs the model while it is trained, or has no form in programs.
    """
    known = logged_by(training) if logged is None else logged
    later: list[Replay] = []

    def told(callback: Any, name: str) -> bool:
        if not replays or not can_be_told(callback, name, known, validates=validates, kept=kept):
            return False
        later.append(Replay(callback=callback, steps=steps or 1))
        return True

    for callback in backend.ensure().tree.flatten(callbacks or []):
        try:
            name = check_callback(callback)
        except NotPlain as reason:
            if told(callback, ""):
                continue
            raise Unfusable(str(reason)) from None
        if name == "EarlyStopping":
            monitor, maximize = monitored(callback, known, validates)
            training = _stopping_also(training, stopping_of(callback, monitor, maximize=maximize))
        elif name == "ReduceLROnPlateau" and training.plateau is None:
            monitor, maximize = monitored(callback, known, validates)
            training = replace(training, plateau=plateau_of(callback, monitor, maximize=maximize))
        elif name == "LearningRateScheduler" and training.schedule == Schedule() and steps is not None:
            training = _scheduled(callback.schedule, training, steps)
        elif name in ("TerminateOnNaN", "History", "ProgbarLogger"):
            pass  # a member whose loss is no number ends in any case; the rest is there anyhow
        elif not told(callback, name):
            raise Unfusable(f"the callback `{name}` needs the model while it is trained")
    if training.plateau is not None and training.schedule != Schedule():
        raise Unfusable("`ReduceLROnPlateau` beside a schedule of the learning rate has no fused form")
    return training, later


def _stopping_also(training: Training, another: EarlyStopping) -> Training:
    """The training with one more stopping. Of those that restore weights the last one has the last word."""
    first = training.early_stopping
    if first is None:
        return replace(training, early_stopping=another)
    main, other = (another, first) if another.restore_best_weights else (first, another)
    if other.restore_best_weights and main.start_from_epoch:
        raise Unfusable(
            "an `EarlyStopping(start_from_epoch=...)` after another that restores weights has no fused form"
        )
    further = (*training.further_stopping, replace(other, restore_best_weights=False))
    return replace(training, early_stopping=main, further_stopping=further)


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
