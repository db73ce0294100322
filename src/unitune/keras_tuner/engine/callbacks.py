"""Keras callbacks on the fused path: part of the training, told afterwards, or a reason for plain `fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from unitune.engine.lift.base import Unfusable
from unitune.keras_tuner.engine import tuner_utils
from unitune.models import backend
from unitune.models.blueprint import Training
from unitune.tuner import keras_callbacks
from unitune.tuner.keras_callbacks import Logged, OfFit, monitored

__all__ = ["Logged", "Replay", "read_callbacks"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay:
    """A callback that only writes down what was logged, or the best weights: it is told when the member is done.

    Attributes:
        callback: It.
        steps: Of an epoch.
    """

    callback: Any
    steps: int = 1

    @property
    def needs_model(self) -> bool:
        """Whether it looks at the model."""
        return type(self.callback).__name__ in ("ModelCheckpoint", "TensorBoard")

    def run(self, history: Mapping[str, Sequence[float]], epochs: Sequence[int], model: Callable[[], Any]) -> None:
        """Tells the callback of every epoch; `model` gives the model as it was in its best epoch."""
        callback = self.callback
        if type(callback).__name__ == "ModelCheckpoint":
            _save_best(callback, history, epochs, model)
            return
        callback.set_params({"epochs": len(epochs), "steps": None, "verbose": 0})
        if self.needs_model:
            callback.set_model(model())
        callback.on_train_begin()
        for position, epoch in enumerate(epochs):
            logs = {name: values[position] for name, values in history.items()}
            if self.needs_model:
                self._as_after(epoch, logs)
            callback.on_epoch_end(epoch, logs)
        callback.on_train_end()

    def _as_after(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Has the optimizer say what it would after an epoch, and tells of the validation rows as `fit` does."""
        optimizer = self.callback.model.optimizer
        optimizer.iterations.assign((epoch + 1) * self.steps)
        if "learning_rate" in logs:
            optimizer.learning_rate = logs["learning_rate"]
        held_out = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        if held_out:
            self.callback.on_test_begin()
            self.callback.on_test_end(held_out)


def read_callbacks(
    callbacks: Any,
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

    def told(callback: Any, name: str) -> bool:
        if name == "ModelCheckpoint":
            _check_checkpoint(callback, logged, validates, kept)
            return True
        hparams = type(callback).__module__.startswith("tensorboard.plugins.hparams")
        return hparams or name == "CSVLogger" or (name == "TensorBoard" and _by_epoch(callback))

    # What the tuner's own do is done for all members of a batch.
    own = tuner_utils.TunerCallback, tuner_utils.SaveBestEpoch
    each = [one for one in backend.ensure().tree.flatten(callbacks) if not isinstance(one, own)]
    before = training
    try:
        training, later = keras_callbacks.read_callbacks(
            each, training, steps, validates=validates, logged=logged, told=told
        )
    except OfFit as reason:
        raise Unfusable(str(reason)) from None
    logs_rate = training.plateau is not before.plateau or training.schedule is not before.schedule
    return training, [Replay(callback=one, steps=steps) for one in later], logs_rate


def _by_epoch(board: Any) -> bool:
    """Whether a `TensorBoard` writes what is known once an epoch is over."""
    return not (
        board.histogram_freq
        or board.embeddings_freq
        or board.write_steps_per_second
        or board.update_freq != "epoch"
        or board._should_trace
    )


def _check_checkpoint(
    callback: Any, logged: Mapping[str, Logged], validates: bool, kept: tuple[str, bool] | None
) -> None:
    """Refuses what needs other weights than those that a program keeps: of one epoch, the best by the objective."""
    if not callback.save_best_only or callback.save_freq != "epoch" or "{" in str(callback.filepath):
        raise OfFit("`ModelCheckpoint` that saves more than the best epoch has no fused form")
    if callback.best is not None:
        raise OfFit("`ModelCheckpoint` with a first threshold has no fused form")
    looked_at = monitored(callback, logged, validates)
    callback.mode = "max" if looked_at[1] else "min"  # it will be told of by a model that cannot tell
    if looked_at != kept:
        raise OfFit(f"`ModelCheckpoint` on `{callback.monitor}`, which is not the objective, has no fused form")


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
