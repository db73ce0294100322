"""The rows of a fold as the arrays that engines train on: features, encoded target, weights."""

from __future__ import annotations

import numpy as np

from unitune.data.arrays import Split
from unitune.data.dataset import Dataset
from unitune.data.folds import Fold
from unitune.models.preprocessing import Preprocessor
from unitune.records import Array


def split_arrays(dataset: Dataset, fold: Fold, preprocessor: Preprocessor) -> Split:
    """Prepares one fold.

    Args:
        dataset: All rows.
        fold: Which of them train, which validate.
        preprocessor: Learnt on `fold.train`.

    Returns:
        Targets of a network of the user's own stay as they were given. Other regression targets have mean 0 and
        standard deviation 1 over the training rows, with `y_scale` and `y_offset` to undo it; with `dataset.log_target`
        their logarithms have. Sample weights are in both weights, class weights in those of the training rows only.
    """
    y_train, y_val = encoded_target(dataset, fold.train), encoded_target(dataset, fold.validation)
    if dataset.given is not None and dataset.given.dtype.kind == "f":
        y_train, y_val = y_train.astype(preprocessor.dtype), y_val.astype(preprocessor.dtype)
    y_scale = y_offset = None
    if dataset.task == "regression" and dataset.given is None:
        y_scale, y_offset = target_scaling(dataset, fold.train)
        if dataset.log_target:
            y_train, y_val = np.log(y_train), np.log(y_val)
        y_train, y_val = (((y - y_offset) / y_scale).astype(preprocessor.dtype) for y in (y_train, y_val))
    return Split(
        fold=fold.fold,
        repeat=fold.repeat,
        x_train=preprocessor.transform(fold.train),
        y_train=y_train,
        x_val=preprocessor.transform(fold.validation),
        y_val=y_val,
        w_train=training_weights(dataset, fold.train),
        w_val=None if dataset.sample_weight is None else dataset.sample_weight[fold.validation].astype(np.float32),
        y_scale=y_scale,
        y_offset=y_offset,
        y_log=dataset.log_target,
    )


def encoded_target(dataset: Dataset, rows: Array) -> Array:
    """The target of some rows in the form that losses take: see `Split.y_train`; regression unscaled."""
    if dataset.given is not None:
        return dataset.given[rows]
    y = dataset.y[rows]
    return y.astype(np.float32)[:, None] if dataset.task == "binary" else y


def target_scaling(dataset: Dataset, train_rows: Array) -> tuple[Array, Array]:
    """Standard deviation and mean of regression targets over the training rows, each `(output,)` float64.

    Of their logarithms where `dataset.log_target`. A target that is constant there has scale 1.
    """
    y = np.log(dataset.y[train_rows]) if dataset.log_target else dataset.y[train_rows]
    offset, scale = y.mean(axis=0), y.std(axis=0)
    return np.where(scale <= 1e-12 * np.abs(offset), 1.0, scale), offset


def training_weights(dataset: Dataset, train_rows: Array) -> Array | None:
    """Sample weight times class weight of the training rows, float32 `(row,)`; None where all are 1.

    `"balanced"` gives class c the weight `n / (n_classes * n_c)` with counts over the training rows (scikit-learn's
    `compute_class_weight`).
    """
    weights = None if dataset.sample_weight is None else dataset.sample_weight[train_rows]
    if dataset.class_weight is None:
        return None if weights is None else weights.astype(np.float32)
    y = dataset.y[train_rows]
    if isinstance(dataset.class_weight, str):
        counts = np.bincount(y, minlength=dataset.n_classes)
        present = np.count_nonzero(counts)
        by_class = np.where(counts > 0, len(y) / (present * np.maximum(counts, 1)), 0.0)
    else:
        by_class = dataset.class_weight
    by_row = by_class[y]
    return np.asarray(by_row if weights is None else weights * by_row, dtype=np.float32)
