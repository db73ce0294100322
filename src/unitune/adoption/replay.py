"""Callbacks that only write down what was logged, or the best weights: they are told once a member is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unitune.adoption.logged import Logged, monitored
from unitune.engine.lift.base import Unfusable


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


def can_be_told(
    callback: Any, name: str, logged: Mapping[str, Logged], *, validates: bool, kept: tuple[str, bool] | None
) -> bool:
    """Whether a callback, with the name of its class where that is Keras's, can be told when the training is over.

    Raises:
        Unfusable: It would need the weights of other epochs than the one that is kept.
    """
    if name == "ModelCheckpoint":
        _check_checkpoint(callback, logged, validates, kept)
        return True
    hparams = type(callback).__module__.startswith("tensorboard.plugins.hparams")
    return hparams or name == "CSVLogger" or (name == "TensorBoard" and _by_epoch(callback))


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
        raise Unfusable("`ModelCheckpoint` that saves more than the best epoch has no fused form")
    if callback.best is not None:
        raise Unfusable("`ModelCheckpoint` with a first threshold has no fused form")
    looked_at = monitored(callback, logged, validates)
    callback.mode = "max" if looked_at[1] else "min"  # it will be told of by a model that cannot tell
    if looked_at != kept:
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
