"""Keras's callbacks that are part of a training, as what programs know of them."""

from __future__ import annotations

from typing import Any

from unitune.errors import OptionError
from unitune.models.blueprint import EarlyStopping, Plateau, Training
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


def _more_is_better(training: Training, metric: str) -> bool | None:
    """What Keras takes for better of a metric, by the name under which it is logged; None where it wants to be told."""
    for one in training.metrics:
        if isinstance(one, str) and one == metric:
            return one == "accuracy"
        if not isinstance(one, str) and one.name == metric:
            return one.more_is_better
    return False if metric == "loss" else None


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


class OfFit(Exception):  # noqa: N818  (a finding, not a failure: the member runs solo)
    """A callback that only `fit` can call; the message is the reason that the user reads."""


def with_callback(callback: Any, training: Training) -> dict[str, Any]:
    """What a callback of `fit` is as an argument of `Training`, where programs have to know all of it.

    Raises:
        OfFit: It is neither `EarlyStopping` nor `ReduceLROnPlateau` on what is logged, or is not Keras's own.
        OptionError: Keras refuses it, too.
    """
    logged = ("loss", *training.metric_names)
    try:
        name = check_callback(callback)
    except NotPlain as told:
        raise OfFit(str(told)) from None
    if name in ("TerminateOnNaN", "History"):  # a member whose loss is no number ends in any case
        return {}
    metric = getattr(callback, "monitor", "").removeprefix("val_")
    if name not in ("EarlyStopping", "ReduceLROnPlateau"):
        raise OfFit(f"the callback `{name}` needs the model while it is trained")
    if metric not in logged:
        raise OfFit(f"`{name}` on `{callback.monitor}`, which no program logs, has no fused form")
    maximize = _more_is_better(training, metric) if callback.mode == "auto" else callback.mode == "max"
    if maximize is None:
        raise OptionError(
            f"`{name}` on `{callback.monitor}` must be told whether more of it is better",
            "got mode='auto', as which Keras refuses it, too",
            "Write `mode='max'` or `mode='min'`.",
        )
    if name == "EarlyStopping":
        return {"early_stopping": stopping_of(callback, callback.monitor, maximize=maximize)}
    return {"plateau": plateau_of(callback, callback.monitor, maximize=maximize)}
