"""The output layer, the loss and the reported metrics that follow from the task."""

from __future__ import annotations

from dataclasses import dataclass

from unitune.errors import OptionError
from unitune.records import Task


@dataclass(frozen=True, kw_only=True)
class Head:
    """What follows from a task: the output layer's `units` and `activation`, the loss, the metrics of each epoch."""

    units: int
    activation: str
    loss: str
    metrics: tuple[str, ...]


def head(task: Task, n_classes: int | None = None, n_outputs: int | None = None) -> Head:
    """The head of a task.

    Args:
        task: `"binary"`, `"multiclass"` or `"regression"`.
        n_classes: How many classes there are; needed for multiclass, 2 or more.
        n_outputs: How many numbers a regression predicts for a row; 1 by default.

    Raises:
        OptionError: The task is unknown, or `n_classes` is missing or too small.

    Example:
        >>> head("multiclass", n_classes=3)
        Head(units=3, activation='softmax', loss='sparse_categorical_crossentropy', metrics=('accuracy',))
    """
    if task == "binary":
        return Head(units=1, activation="sigmoid", loss="binary_crossentropy", metrics=("accuracy",))
    if task == "multiclass":
        if n_classes is None or n_classes < 2:
            raise OptionError("a multiclass task needs at least 2 classes", f"got n_classes={n_classes}")
        return Head(
            units=n_classes, activation="softmax", loss="sparse_categorical_crossentropy", metrics=("accuracy",)
        )
    if task == "regression":
        units = 1 if n_outputs is None else n_outputs
        if units < 1:
            raise OptionError("a regression predicts at least 1 number", f"got n_outputs={n_outputs}")
        return Head(units=units, activation="linear", loss="mse", metrics=("mae",))
    raise OptionError("`task` must be binary, multiclass or regression", f"got `{task}`")
