"""What is to be predicted: the task, the classes, and the target as numbers."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from unitune.data.cells import ENOUGH, date_form, examples, number_form, read_numbers
from unitune.errors import DataError, OptionError, suggest
from unitune.records import Array, Task, counted

_MOST_CLASSES = 20
_MOST_COUNTED_CLASSES = 100
_ROWS_OF_A_CLASS = 10
_SHOWN = 6
_MOSTLY = 0.5
_NO_SEQUENCES = "A sequence or a list of labels for each row is no target here: give one, or one column for each."
_MISSING_WORDS = ("na", "n/a", "none", "null", "missing", "-", "--")


@dataclass(frozen=True, kw_only=True)
class Target:
    """The encoded target: see `Dataset` for `y`, `classes`, `given` and `form`. `notes` say what was inferred."""

    y: Array
    task: Task
    classes: Array | None
    notes: tuple[str, ...]
    given: Array | None = None
    form: str = ""


def read_target(values: Any, *, task: str | None = None, name: str = "y", decimal: str = ".") -> Target:
    """Checks a target, infers the task unless it is given, and encodes it.

    Text, booleans and a few distinct whole numbers are classes; other numbers are regression targets, also as text
    (`$1,234.50`). A matrix of zeros with a single one in each row is taken as one-hot classes; other matrices are
    several regression targets.

    Args:
        values: `(row,)` or `(row, output)`: array, list, Series or DataFrame.
        task: `binary`, `multiclass`, `regression`, or None to infer it.
        name: What messages call it.
        decimal: The decimal mark of the file it comes from, where text can be read in two ways (`1.234`).

    Raises:
        DataError: Missing values, labels of several types, a single class, or a target that does not fit the task.
        OptionError: An unknown task.

    Example:
        >>> target = read_target(["no", "yes", "no"])
        >>> target.task, target.y.tolist(), target.classes.tolist()
        ('binary', [0, 1, 0], ['no', 'yes'])
    """
    if task is not None and task not in get_args(Task):
        raise OptionError("`task` must be known", f"got {task!r}", suggest(str(task), get_args(Task)))
    array = as_plain(values, name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and task != "regression" and is_one_hot(array):
        note = f"The rows of `{name}` are one-hot; its {array.shape[1]} columns are taken as classes."
        found = _classes(np.argmax(array.astype(float), axis=1), "multiclass" if task is None else task, name)
        return Target(y=found.y, task=found.task, classes=found.classes, notes=(note, *found.notes))
    if array.ndim == 2 and task not in (None, "regression"):
        raise DataError(f"`{name}` must be one column for task {task}", f"got {array.shape[1]} columns")
    if array.ndim == 2:
        if task is None and array.shape[1] > 1 and _is_zero_one(array):
            raise DataError(
                f"`{name}` must be one column of classes, or several columns of numbers",
                f"its {array.shape[1]} columns hold 0 and 1, as several labels of a row do",
                'Tune each label by itself (`y[:, 0]`, `y[:, 1]`, ...), or use `task="regression"` for numbers.',
            )
        return _regression(array, task, name)
    array, form, notes = _written_numbers(array, task, name, decimal)
    if task == "regression" or (task is None and not _is_classes(array)):
        found = _regression(array[:, None], task, name)
    else:
        found = _classes(array, task, name)
    return replace(found, notes=(*found.notes, *notes), form=form)


def encode_target(
    values: Any, *, task: Task, classes: Array | None, n_outputs: int, name: str = "y", form: str = ""
) -> Array:
    """Encodes the target of further rows as the first ones were; `form` is how numbers are written, if they are text.

    Raises:
        DataError: A class that the first rows do not have, missing values, or another number of columns.
    """
    array = as_plain(values, name)
    if classes is None:
        if form and array.dtype == object:
            array = _all_numbers(array.ravel(), read_numbers(array.ravel(), form), name).reshape(array.shape)
        y = _regression(array if array.ndim == 2 else array[:, None], "regression", name).y
        if y.shape[1] != n_outputs:
            raise DataError(f"`{name}` must have {n_outputs} columns", f"got {y.shape[1]}")
        return y
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 2 and array.shape[1] == len(classes) and is_one_hot(array):
        array = np.argmax(array.astype(float), axis=1)
    position = {_key(label): number for number, label in enumerate(classes.tolist())}
    unknown = [label for label in array.tolist() if _key(label) not in position]
    if unknown:
        raise DataError(
            f"`{name}` must hold the classes {_shown(classes.tolist())}",
            f"got {unknown[0]!r} in {counted(len(unknown), 'row')}",
            "Drop these rows, or have rows of that class among those for training.",
        )
    return np.array([position[_key(label)] for label in array.tolist()], dtype=np.int32)


def as_plain(values: Any, name: str) -> Array:
    """A target of any container as `(row,)` or `(row, output)`: numbers, booleans, or objects, none missing."""
    if type(values).__module__.partition(".")[0] == "polars":
        values = values.to_pandas()
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    frame = values if isinstance(values, pd.DataFrame) else None
    if isinstance(values, pd.Series):
        values = values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values
        absent = values.isna().to_numpy()
    elif frame is not None:
        absent = frame.isna().any(axis=1).to_numpy()
    else:
        try:
            values = np.asarray(values)
        except ValueError:  # rows of different lengths
            raise DataError(
                f"`{name}` must have one label or number for each row",
                "it holds sequences of different lengths",
                _NO_SEQUENCES,
            ) from None
        if values.ndim not in (1, 2):
            raise DataError(f"`{name}` must have the shape (rows,) or (rows, outputs)", f"got {values.shape}")
        absent = pd.isna(values)
        absent = absent.any(axis=1) if absent.ndim == 2 else absent
    if absent.any():
        raise DataError(
            f"`{name}` must have a value in every row",
            f"{int(absent.sum())} of {len(absent)} are missing, the first in row {int(np.flatnonzero(absent)[0])}",
            "Take another column as target: this one is empty." if absent.all() else "Drop these rows.",
        )
    array = np.asarray(values if frame is None else frame.to_numpy())
    if array.dtype.kind in "US" or (isinstance(values, pd.Series) and pd.api.types.is_string_dtype(values)):
        array = np.array([_word(v) for v in array.ravel()], dtype=object).reshape(array.shape)
    if array.dtype.kind not in "biufO":
        remedy = "Turn it into numbers first: seconds, or days, for example." if array.dtype.kind in "mM" else ""
        raise DataError(f"`{name}` must hold numbers, booleans or text", f"got {array.dtype}", remedy)
    if array.dtype == object:
        array = _from_objects(array, name)
    if array.dtype == object and any(label == "" for label in array.ravel()):
        raise DataError(f"`{name}` must have a value in every row", "some are empty text", "Drop these rows.")
    return array


def _from_objects(array: Array, name: str) -> Array:
    kinds = {type(value) for value in array.ravel()}
    if all(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        return array.astype(bool)
    if all(not issubclass(kind, (str, bytes, bool)) and hasattr(kind, "__float__") for kind in kinds):
        plain = np.array(array.tolist())
        return plain.astype(np.float64) if plain.dtype == object else plain
    if all(issubclass(kind, (str, bytes)) for kind in kinds):
        return np.array([_word(v) for v in array.ravel()], dtype=object).reshape(array.shape)
    if all(issubclass(kind, (dt.date, np.datetime64)) for kind in kinds):
        return np.array([str(v) for v in array.ravel()], dtype=object).reshape(array.shape)
    if any(hasattr(kind, "__iter__") and not issubclass(kind, (str, bytes)) for kind in kinds):
        raise DataError(
            f"`{name}` must have one label or number for each row",
            f"its cells hold {', '.join(sorted(kind.__name__ for kind in kinds))}",
            _NO_SEQUENCES,
        )
    seen = {type(value): value for value in array.ravel()[::-1]}
    shown = ", ".join(f"{value!r} ({kind.__name__})" for kind, value in seen.items())
    raise DataError(
        f"`{name}` must hold labels of one type",
        f"got {shown}",
        "Make all of them text, `[str(label) for label in y]`, or all of them numbers.",
    )


def _word(value: Any) -> str:
    return (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip()


def _written_numbers(array: Array, task: str | None, name: str, decimal: str) -> tuple[Array, str, tuple[str, ...]]:
    """A target of text as numbers, where that is what it means: the array, the form of its numbers, and notes."""
    if array.dtype != object or task in ("binary", "multiclass"):
        return array, "", ()
    form, share = number_form(array, decimal)
    numbers = read_numbers(array, form)
    known = numbers[~np.isnan(numbers)]
    if share < _MOSTLY or (task is None and _is_classes(known)):
        return array, "", ()
    numbers = _all_numbers(array, numbers, name)
    first = array[0]
    return numbers, form, (f"`{name}` is text that was read as numbers: `{first}` as {numbers[0]:.10g}.",)


def _all_numbers(array: Array, numbers: Array, name: str) -> Array:
    wrong = np.isnan(numbers)
    if wrong.any():
        raise DataError(
            f"`{name}` must have a number in every row",
            f"{int(wrong.sum())} of {len(array)} rows have none ({examples(array[wrong])})",
            "Drop these rows.",
        )
    return numbers


def _is_zero_one(array: Array) -> bool:
    return array.dtype.kind == "b" or (array.dtype.kind in "iuf" and bool(((array == 0) | (array == 1)).all()))


def is_one_hot(array: Array) -> bool:
    """Whether each row of a matrix has a single one, and zeros."""
    if array.shape[1] < 2 or array.dtype == object:
        return False
    plain = array.astype(float)
    return bool(((plain == 0) | (plain == 1)).all() and (plain.sum(axis=1) == 1).all())


def _is_classes(array: Array) -> bool:
    if array.dtype.kind not in "iuf":
        return True
    if not np.isfinite(array).all() or (array != np.floor(array)).any():
        return False
    distinct = np.unique(array)
    if len(distinct) <= 2:
        return True
    from_zero = distinct[0] in (0, 1) and bool((np.diff(distinct) == 1).all())
    if from_zero and _MOST_CLASSES < len(distinct) <= _MOST_COUNTED_CLASSES:
        # Numbers of classes have many rows each; counts and amounts have tails.
        rows = np.unique(array, return_counts=True)[1]
        return bool(rows.min() >= _ROWS_OF_A_CLASS and rows.max() <= 10 * rows.min())
    return len(distinct) <= _MOST_CLASSES and len(array) >= (2 if from_zero else 5) * len(distinct)


def _classes(array: Array, task: str | None, name: str) -> Target:
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise DataError(f"`{name}` must be finite", "it holds infinity")
        if (array == np.floor(array)).all():
            array = array.astype(np.int64)
    classes, y = np.unique(array, return_inverse=True)
    labels = classes.tolist()
    if len(labels) < 2:
        raise DataError(
            f"`{name}` must have at least two classes",
            f"every row is {labels[0]!r}" if labels else "there are no rows",
            "Check that the right column is the target.",
        )
    if task == "binary" and len(labels) != 2:
        raise DataError(
            f"`{name}` must have two classes for task binary",
            f"it has {len(labels)}: {_shown(labels)}",
            'Use `task="multiclass"`.',
        )
    if len(labels) > max(_MOST_CLASSES, 0.5 * len(array)):
        raise DataError(
            f"`{name}` must have several rows of each class",
            f"its {len(array)} rows have {len(labels)} different values",
            _instead(array),
        )
    if task is None and len(labels) > 2 and array.dtype == object and date_form(classes)[1] >= ENOUGH:
        raise DataError(
            f"`{name}` must hold classes or numbers",
            f"it holds {len(labels)} different dates",
            "Turn them into numbers first, days since the first one for example; if each is a class, use "
            '`task="multiclass"`.',
        )
    decided = task or ("binary" if len(labels) == 2 else "multiclass")
    counts = Counter(y.tolist())
    shares = ", ".join(f"{label} ({counts[number]})" for number, label in enumerate(labels[:_SHOWN]))
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    how = "as asked for" if task else "inferred from the target"
    note = f"Task: {decided} classification ({how}); `{name}` has the classes {shares}{more}."
    notes = [note]
    if decided == "binary":
        notes.append(f"The network predicts the probability of `{labels[1]}`.")
    if task is None and array.dtype.kind in "iu" and len(labels) > 2:
        notes.append('If these are quantities rather than classes, use `task="regression"`.')
    notes += _label_notes(labels, counts, name)
    return Target(y=y.astype(np.int32).reshape(-1), task=decided, classes=classes, notes=tuple(notes))  # type: ignore[arg-type]


def _regression(array: Array, task: str | None, name: str) -> Target:
    try:
        y = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        wrong = next(v for v in array.ravel().tolist() if isinstance(v, str))
        raise DataError(
            f"`{name}` must hold numbers for task regression",
            f"got {wrong!r}",
            "Take one column at a time."
            if array.shape[1] > 1
            else "Leave `task` out to predict classes."
            if len(np.unique(array)) <= max(_MOST_CLASSES, 0.5 * len(array))
            else _instead(array[:, 0]),
        ) from error
    if not np.isfinite(y).all():
        n = int((~np.isfinite(y)).any(axis=1).sum())
        raise DataError(
            f"`{name}` must be finite", f"{n} {'row is' if n == 1 else 'rows are'} infinite", "Drop these rows."
        )
    if task is None and len(y) and (y == y[0]).all():
        raise DataError(f"`{name}` must vary", f"every row is {y[0].tolist()}")
    how = "as asked for" if task else "inferred from the target"
    what = (
        f"{y.shape[1]} targets" if y.shape[1] > 1 else f"`{name}` from {y.min():.6g} to {y.max():.6g}" if len(y) else ""
    )
    notes = [f"Task: regression ({how}); {what}."]
    if task is None and y.shape[1] == 1 and (y == np.floor(y)).all():
        n_values = len(np.unique(y))
        if 2 < n_values <= _MOST_COUNTED_CLASSES and len(y) >= 2 * n_values:
            notes.append(
                f"`{name}` has {n_values} different whole numbers, taken as quantities; if they are classes, "
                'use `task="multiclass"`.'
            )
    return Target(y=y, task="regression", classes=None, notes=tuple(notes))


def _instead(array: Array) -> str:
    """What to do with a target that has too many values for classes."""
    if array.dtype != object:
        return 'Use `task="regression"` for numbers, or another target.'
    if date_form(array)[1] >= ENOUGH:
        return "It holds dates: turn them into numbers first, days since the first one for example."
    return "Take another column as target: this one names or describes its rows."


def _label_notes(labels: list[Any], counts: Mapping[int, int], name: str) -> list[str]:
    notes = []
    words = [label for label in labels if isinstance(label, str)]
    for number, label in enumerate(labels):
        if isinstance(label, str) and label.lower() in _MISSING_WORDS:
            rows = counted(counts[number], "row")
            notes.append(f"`{label}` in `{name}` is taken as a class ({rows}); drop its rows if it means missing.")
    alike = [word for word, n in Counter(word.lower() for word in words).items() if n > 1]
    if alike:
        same = ", ".join(f"`{word}`" for word in words if word.lower() == alike[0])
        notes.append(f"The classes {same} of `{name}` differ only in upper and lower case.")
    return notes


def _key(label: Any) -> Any:
    return label if isinstance(label, str) else float(label)


def _shown(labels: list[Any]) -> str:
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(repr(label) for label in labels[:_SHOWN]) + more
