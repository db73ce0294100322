"""Whether targets fit what a network puts out and its loss takes."""

from __future__ import annotations

from typing import Any

from unitune.records import Array


def why_misfit(y: Array, row: tuple[int | None, ...] | None, loss: str, *, ignored: int | None = None) -> str:
    """Why a network cannot learn these targets as they are, as a clause; empty where nothing speaks against it.

    Args:
        y: The targets, `(row, ...)`, of numbers.
        row: The shape of a row of the output, None where it is not known.
        loss: The name of the loss, in Keras's spelling (`sparse_categorical_crossentropy`).
        ignored: The label of rows that the loss leaves out (`ignore_class`).

    Example:
        >>> import numpy as np
        >>> why_misfit(np.array([1, 2, 3]), (3,), "sparse_categorical_crossentropy")
        'the labels are 1 to 3, but an output of 3 units stands for 0 to 2'
        >>> why_misfit(np.zeros((4, 2)), (1,), "mse")
        'a row of the target has 2 numbers, but a row of the output one number'
    """
    if row is None or not len(y):
        return ""
    if loss.startswith("sparse_"):
        labels = y if ignored is None else y[y != ignored]
        if labels.size and row[-1] is not None and not (labels.min() >= 0 and labels.max() < row[-1]):
            return (
                f"the labels are {labels.min():g} to {labels.max():g}, but an output of {row[-1]} units "
                f"stands for 0 to {row[-1] - 1}"
            )
        wanted = row[:-1]
    else:
        wanted = row
    given = tuple(y.shape[1:])
    mine, theirs = (without_ones(shape) for shape in (given, wanted))
    fits = len(mine) == len(theirs) and all(b in (a, None) for a, b in zip(mine, theirs, strict=True))
    return "" if fits else f"a row of the target has {_shown(given)}, but a row of the output {_shown(row)}"


def without_ones(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """A shape without the ones at its end, which losses add and take away."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _shown(shape: tuple[int | None, ...]) -> str:
    if len(shape) > 1 or None in shape:
        return f"the shape ({', '.join('any' if size is None else str(size) for size in shape)})"
    return f"{shape[0]} numbers" if shape and shape[0] != 1 else "one number"
