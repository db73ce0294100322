"""How often a trial is trained: executions times folds, each with its rows and its seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.errors import OptionError
from unitune.models import backend
from unitune.tuner.problem import member_seed


@dataclass(frozen=True, kw_only=True, eq=False)
class Execution:
    """One training of a trial.

    `seed` decides initial weights, row order and dropout. It is the same for all trials, which are thereby compared
    on equal terms.
    """

    number: int
    fold: int
    repeat: int
    seed: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def executions_of(
    args: Sequence[Any], kwargs: dict[str, Any], *, repeats: int, folds: int | None, seed: int
) -> Iterator[Execution]:
    """The executions of any trial, with the arguments of `fit` for each."""
    repeats = max(1, int(repeats))
    kwargs = dict(kwargs)
    folds = kwargs.pop("folds", None) or folds
    if not folds:
        for repeat in range(repeats):
            own = member_seed(seed, 0, repeat)
            yield Execution(number=repeat, fold=0, repeat=repeat, seed=own, args=tuple(args), kwargs=kwargs)
        return
    number = 0
    for repeat in range(repeats):
        for fold, (rows, held_out) in enumerate(_folds(args, kwargs, folds, seed + repeat)):
            fold_args, fold_kwargs = _on_rows(args, kwargs, rows, held_out)
            own = member_seed(seed, fold, repeat)
            yield Execution(
                number=number, fold=fold, repeat=repeat, seed=own, args=tuple(fold_args), kwargs=fold_kwargs
            )
            number += 1


def _folds(args: Sequence[Any], kwargs: dict[str, Any], folds: int, seed: int) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    x, y = _x_and_y(args, kwargs)
    targets = _parts(y)
    if not all(hasattr(part, "shape") for part in (*_parts(x), *targets)):
        raise OptionError("`folds` needs `x` and `y` as arrays", f"got a {type(x).__name__} and a {type(y).__name__}")
    for name in ("validation_data", "validation_split"):
        if kwargs.get(name):
            raise OptionError("`folds` stands in the place of validation rows", f"got `{name}` too", "Leave one out.")
    n_rows = len(targets[0])
    # Classes of several outputs together are too many to be spread evenly.
    labels = np.asarray(targets[0]).reshape(n_rows, -1)
    by_class = len(targets) == 1 and labels.shape[1] == 1 and labels.dtype.kind in "iub"
    if by_class and np.unique(labels, return_counts=True)[1].min() >= folds:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32)
        return list(splitter.split(np.zeros(n_rows), labels[:, 0]))
    return list(KFold(folds, shuffle=True, random_state=seed % 2**32).split(np.zeros(n_rows)))


def _parts(rows: Any) -> list[Any]:
    """The arrays of several inputs or outputs, or of one."""
    return list(rows.values()) if isinstance(rows, dict) else list(rows) if isinstance(rows, list | tuple) else [rows]


def _x_and_y(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    x = args[0] if args else kwargs.get("x")
    y = args[1] if len(args) > 1 else kwargs.get("y")
    return x, y


def _on_rows(args: Sequence[Any], kwargs: dict[str, Any], rows: Any, held_out: Any) -> tuple[list[Any], dict[str, Any]]:
    x, y = _x_and_y(args, kwargs)
    rest = {name: value for name, value in kwargs.items() if name not in ("x", "y")}
    if rest.get("sample_weight") is not None:
        weight = np.asarray(rest["sample_weight"])
        rest["sample_weight"] = weight[rows]
        rest["validation_data"] = (_take(x, held_out), _take(y, held_out), weight[held_out])
    else:
        rest["validation_data"] = (_take(x, held_out), _take(y, held_out))
    return [_take(x, rows), _take(y, rows), *args[2:]], rest


def _take(array: Any, rows: Any) -> Any:
    if isinstance(array, dict):
        return {name: _take(one, rows) for name, one in array.items()}
    if isinstance(array, list | tuple):
        return [_take(one, rows) for one in array]
    if hasattr(array, "iloc"):
        return array.iloc[rows]
    if "string" in str(getattr(array, "dtype", "")):  # a tensor of text
        return backend.ensure().ops.convert_to_tensor(np.asarray(array)[rows])
    return np.asarray(array)[rows]


def text_as_tensors(rows: Any) -> Any:
    """Rows with text of NumPy's types, which `fit` does not take, as tensors, which it does."""
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "US":
        keras = backend.ensure()
        return keras.ops.convert_to_tensor(rows) if keras.backend.backend() == "tensorflow" else rows
    if isinstance(rows, dict):
        return {name: text_as_tensors(one) for name, one in rows.items()}
    # A named tuple, say, is left alone.
    return type(rows)(map(text_as_tensors, rows)) if type(rows) in (list, tuple) else rows
