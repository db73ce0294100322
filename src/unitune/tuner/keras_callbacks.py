"""Keras's callbacks that are part of a training, as what programs know of them."""

from __future__ import annotations

from typing import Any

from unitune.models.blueprint import EarlyStopping, Plateau


def stopping_of(callback: Any, monitor: str, *, maximize: bool) -> EarlyStopping:
    """A `keras.callbacks.EarlyStopping` that looks at the metric which programs know by the name `monitor`."""
    return EarlyStopping(
        patience=int(callback.patience),
        min_delta=abs(float(callback.min_delta)),
        restore_best_weights=bool(callback.restore_best_weights),
        monitor=monitor,
        maximize=maximize,
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
