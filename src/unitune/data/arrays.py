"""The rows of one fold as arrays that a network takes: prepared features, encoded target, weights."""

from __future__ import annotations

from dataclasses import dataclass

from unitune.records import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Training and validation rows of one fold, preprocessed with statistics of the training rows alone.

    Attributes:
        fold, repeat: Where it belongs.
        x_train, x_val: `(row, feature)`, of the floating type that Keras uses.
        y_train, y_val: `(row, 1)` floats in {0, 1} for binary, `(row,)` int32 class numbers for multiclass,
            `(row, output)` floats for regression (scaled).
        w_train, w_val: `(row,)` weights, or None. Class weights are in `w_train` only.
        y_scale, y_offset: `(output,)`; a regression's prediction in the user's units is
            `prediction * y_scale + y_offset`. None where nothing was scaled.
    """

    fold: int
    repeat: int
    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    w_train: Array | None = None
    w_val: Array | None = None
    y_scale: Array | None = None
    y_offset: Array | None = None
