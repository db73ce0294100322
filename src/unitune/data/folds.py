"""Which rows train and which are held out, as row indices."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

from unitune.data.dataset import Dataset
from unitune.errors import DataError, OptionError
from unitune.records import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """A split of the rows. `train` and `validation` are int64 row numbers without overlap, neither empty."""

    fold: int
    repeat: int
    train: Array
    validation: Array


def make_folds(
    dataset: Dataset,
    *,
    folds: int | None = None,
    repeats: int = 1,
    cv: Any = None,
    time_ordered: bool = False,
    validation_split: float | None = None,
    validation_rows: Array | None = None,
    seed: int = 0,
) -> tuple[Fold, ...]:
    """Splits the rows, repeat by repeat, fold by fold.

    With none of `folds`, `cv`, `validation_split` and `validation_rows`, five folds are made.

    Args:
        dataset: Its classes are spread evenly over folds; its groups stay together.
        folds: How many, from 2.
        repeats: How often; each repeat is shuffled anew. What is fixed (a hold-out, time order, given indices) is
            repeated with the same rows, for the sake of other initial weights.
        cv: A scikit-learn splitter, or an iterable of pairs of training and validation row numbers.
        time_ordered: Rows are in the order of time: each fold trains on the rows before those it validates on.
        validation_split: The share of rows, the last ones, that is held out, as in `keras.Model.fit`.
        validation_rows: The row numbers that are held out.
        seed: Of the shuffling.

    Returns:
        `repeats` times the folds.

    Raises:
        OptionError: Options that conflict, or are out of range.
        DataError: The rows do not allow it: too few rows of a class, too few groups, row numbers out of range.
    """
    ways = {"folds": folds, "cv": cv, "validation_split": validation_split, "validation_data": validation_rows}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise OptionError(
            "There must be one way to hold rows out", f"got {' and '.join(f'`{n}`' for n in given)}", "Leave one out."
        )
    if time_ordered and given and given != ["folds"]:
        raise OptionError(f"`time_ordered` cannot be combined with `{given[0]}`", remedy="Use it with `folds`.")
    if dataset.groups is not None and (time_ordered or (given and given[0] not in ("folds", "cv"))):
        other = "time_ordered" if time_ordered else given[0]
        raise OptionError(f"`groups` cannot be combined with `{other}`", remedy="Use it with `folds` or `cv`.")
    _check_whole("repeats", repeats, 1)
    result: list[Fold] = []
    for repeat in range(repeats):
        shuffle_seed = int(np.random.SeedSequence((seed, 2, repeat)).generate_state(1)[0])
        if validation_split is not None:
            pairs = [_last_rows(dataset.n_rows, validation_split)]
        elif validation_rows is not None:
            held_out = np.asarray(validation_rows)
            pairs = [(np.setdiff1d(np.arange(dataset.n_rows), held_out), held_out)]
        elif cv is not None:
            cv = list(cv) if not hasattr(cv, "split") and isinstance(cv, Iterable) else cv
            pairs = _custom(dataset, cv, shuffle_seed)
        else:
            pairs = _standard(dataset, 5 if folds is None else folds, time_ordered, shuffle_seed)
        result += [
            Fold(fold=number, repeat=repeat, train=train, validation=validation)
            for number, (train, validation) in enumerate(_check_pair(dataset, *pair) for pair in pairs)
        ]
    return tuple(result)


def _standard(dataset: Dataset, folds: int, time_ordered: bool, seed: int) -> list[tuple[Array, Array]]:
    _check_whole("folds", folds, 2)
    if dataset.n_rows < folds + time_ordered:
        needed = folds + time_ordered
        raise DataError(f"`folds={folds}` needs {needed} rows", f"there are {dataset.n_rows}", "Use fewer folds.")
    rows = np.arange(dataset.n_rows)
    if time_ordered:
        return list(TimeSeriesSplit(n_splits=folds).split(rows))
    if dataset.groups is not None:
        n_groups = len(np.unique(dataset.groups))
        if n_groups < folds:
            raise DataError(
                f"`folds={folds}` needs {folds} groups", f"there are {n_groups}", f"Use `folds={n_groups}` or fewer."
            )
    if dataset.classes is None:
        splitter = KFold if dataset.groups is None else GroupKFold
        return list(splitter(n_splits=folds, shuffle=True, random_state=seed).split(rows, groups=dataset.groups))
    present, counts = np.unique(dataset.y, return_counts=True)  # an output of a network may have no row
    second = int(counts.argsort(kind="stable")[-2:][0])
    if (counts >= folds).sum() < min(2, len(counts)):
        least = int(counts[second])
        label = dataset.classes.tolist()[int(present[second])]
        remedy = f"Use `folds={least}` or fewer, or merge classes." if least > 1 else "Merge classes, or drop its rows."
        raise DataError(f"`folds={folds}` needs {folds} rows of every class", f"class {label!r} has {least}", remedy)
    splitter = StratifiedKFold if dataset.groups is None else StratifiedGroupKFold
    shuffled = splitter(n_splits=folds, shuffle=True, random_state=seed)
    alone = np.isin(dataset.y, present[counts == 1]) & (dataset.groups is None)
    groups = None if dataset.groups is None else dataset.groups[~alone]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # `rare_classes` says so
        pairs = list(shuffled.split(rows[~alone], dataset.y[~alone], groups=groups))
    return [
        (np.sort(np.concatenate([rows[~alone][train], rows[alone]])), rows[~alone][validation])
        for train, validation in pairs
    ]


def rare_classes(dataset: Dataset, folds: int) -> dict[Any, int]:
    """The classes that cannot be in every fold, with their rows; one with a single row is always trained on."""
    if dataset.classes is None:
        return {}
    counts = np.bincount(dataset.y, minlength=dataset.n_classes)
    return {label: int(n) for label, n in zip(dataset.classes.tolist(), counts, strict=True) if 0 < n < folds}


def _last_rows(n_rows: int, share: float) -> tuple[Array, Array]:
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise OptionError("`validation_split` must lie between 0 and 1", f"got {share!r}", "Use 0.2, say.")
    cut = int(np.floor(n_rows * (1.0 - share)))
    if cut in (0, n_rows):
        raise DataError(f"`validation_split={share}` must leave rows on both sides", f"there are {n_rows} rows")
    return np.arange(cut), np.arange(cut, n_rows)


def _custom(dataset: Dataset, cv: Any, seed: int) -> list[tuple[Array, Array]]:
    if not hasattr(cv, "split"):
        if not isinstance(cv, list):
            raise OptionError(
                "`cv` must be a scikit-learn splitter or pairs of row numbers",
                f"got {type(cv).__name__}",
                "Use `folds=` for a number of folds.",
            )
        if not cv:
            raise OptionError("`cv` must hold at least one pair of row numbers", "it is empty")
        if any(not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in cv):
            raise OptionError("`cv` must hold pairs of training and validation row numbers")
        return [(np.asarray(train), np.asarray(validation)) for train, validation in cv]
    splitter = cv
    # Without a seed of its own a splitter draws from NumPy's global generator: not reproducible.
    if getattr(cv, "random_state", 0) is None and getattr(cv, "shuffle", True):
        splitter = copy.copy(cv)
        splitter.random_state = seed
    target = dataset.y[:, 0] if dataset.task == "regression" and dataset.n_outputs == 1 else dataset.y
    arguments = {"groups": dataset.groups} if "groups" in inspect.signature(splitter.split).parameters else {}
    try:
        pairs = list(splitter.split(np.arange(dataset.n_rows)[:, None], target, **arguments))
    except (ValueError, TypeError) as error:
        remedy = "Give `groups=`." if "groups" in str(error) else ""
        raise DataError(f"`cv={cv!r}` must be able to split these rows", f"it says: {error}", remedy) from error
    if not pairs:
        raise DataError(f"`cv={cv!r}` must give at least one split", "it gave none")
    return pairs


def _check_pair(dataset: Dataset, train: Any, validation: Any) -> tuple[Array, Array]:
    checked = []
    for what, given in (("training", train), ("validation", validation)):
        rows = np.asarray(given)
        if rows.dtype == bool and rows.shape == (dataset.n_rows,):
            rows = np.flatnonzero(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise DataError("A fold must be given by row numbers", f"its {what} rows are {rows.dtype} {rows.shape}")
        if rows.size == 0:
            raise DataError("A fold must have training and validation rows", f"one has no {what} rows")
        if rows.min() < 0 or rows.max() >= dataset.n_rows:
            wrong = int(rows.min() if rows.min() < 0 else rows.max())
            raise DataError(f"Row numbers must lie between 0 and {dataset.n_rows - 1}", f"got {wrong}")
        checked.append(rows.astype(np.int64))
    if len(np.unique(checked[1])) < len(checked[1]):
        raise DataError("A fold's validation rows must be distinct", "some occur twice")
    shared = np.intersect1d(checked[0], checked[1])
    if len(shared):
        raise DataError(
            "A row must not be in training and validation at once", f"{len(shared)} are, among them row {shared[0]}"
        )
    if dataset.classes is not None and len(np.unique(dataset.y[checked[0]])) < 2:
        label = dataset.classes.tolist()[int(dataset.y[checked[0][0]])]
        raise DataError(
            "A fold's training rows must hold at least two classes",
            f"one has only {label!r}",
            "Are the rows sorted by class? Use shuffled folds, or more rows.",
        )
    return checked[0], checked[1]


def _check_whole(name: str, value: Any, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise OptionError(f"`{name}` must be a whole number from {low}", f"got {value!r}")
