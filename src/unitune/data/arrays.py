"""The rows of one fold as arrays that a network takes: prepared features, encoded target, weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unitune.records import Array

Rows = Any  # an array, or a tuple of arrays with as many rows each


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Training and validation rows of one fold, preprocessed with statistics of the training rows alone.

    Attributes:
        fold, repeat: Where it belongs.
        x_train, x_val: `(row, feature)`, of the floating type that Keras uses; rows of any rank. For a network with
            several inputs a tuple of such arrays, in the order of its inputs.
        y_train, y_val: Of a network of the user's own as they were given, `(row, ...)`. Else `(row, 1)` floats in
            {0, 1} for binary, `(row,)` int32 class numbers for multiclass, `(row, output)` floats for regression
            (scaled). For a network with several outputs a tuple of such arrays, in the order of its outputs.
        w_train, w_val: `(row,)` weights, or None. Class weights are in `w_train` only.
        y_scale, y_offset: `(output,)`; a regression's prediction in the user's units is
            `prediction * y_scale + y_offset`. None where nothing was scaled.
        y_log: Whether that is its logarithm.
    """

    fold: int
    repeat: int
    x_train: Rows
    y_train: Rows
    x_val: Rows
    y_val: Rows
    w_train: Array | None = None
    w_val: Array | None = None
    y_scale: Array | None = None
    y_offset: Array | None = None
    y_log: bool = False


def as_inputs(x: Rows) -> tuple[Array, ...]:
    """The rows as one array for each input, or the targets as one for each output.

    Example:
        >>> import numpy as np
        >>> len(as_inputs(np.zeros((3, 2)))), len(as_inputs((np.zeros((3, 2)), np.zeros((3, 1)))))
        (1, 2)
    """
    return tuple(x) if isinstance(x, list | tuple) else (x,)


def n_rows(x: Rows) -> int:
    """How many rows there are."""
    return len(as_inputs(x)[0])


def take_rows(x: Rows, chosen: Any) -> Rows:
    """The rows at these places, in the form of `x`."""
    return tuple(array[chosen] for array in x) if isinstance(x, list | tuple) else x[chosen]


def row_shape(x: Rows) -> tuple[Any, ...]:
    """The shape of one row; for several inputs a tuple of their shapes.

    Example:
        >>> import numpy as np
        >>> row_shape(np.zeros((3, 2))), row_shape((np.zeros((3, 2)), np.zeros((3, 8, 8))))
        ((2,), ((2,), (8, 8)))
    """
    if isinstance(x, list | tuple):
        return tuple(tuple(int(size) for size in array.shape[1:]) for array in x)
    return tuple(int(size) for size in x.shape[1:])
