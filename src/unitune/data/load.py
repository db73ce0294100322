"""From what the user hands in to a checked `Dataset`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from unitune.data import columns as table_columns
from unitune.data.arrays import as_inputs, row_shape
from unitune.data.arrays import n_rows as count_rows
from unitune.data.dataset import Dataset, Rows
from unitune.data.frames import check_array, check_inputs, encode_table, text_of, to_frame
from unitune.data.given import Output, more_given, read_given
from unitune.data.schema import Schema
from unitune.data.targets import encode_target, read_target
from unitune.errors import DataError, OptionError, suggest
from unitune.records import Array


def dataset(
    x: Any,
    y: Any = None,
    *,
    target: str | int | Sequence[str] | None = None,
    task: str | None = None,
    sample_weight: Any = None,
    groups: Any = None,
    class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
    normalize: bool | Literal["auto"] = "auto",
    ignore: str | Sequence[str] | None = None,
    id: str | Sequence[str] | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    inputs: Sequence[str] = (),
    outputs: Callable[[tuple[Any, ...] | None], Sequence[Output]] | None = None,
    takes_text: bool = False,
) -> Dataset:
    """Reads, checks and types the rows to learn from.

    Args:
        x: Numbers `(row, feature...)`; a pandas or polars frame; or the path or address of a table.
        y: The target `(row,)` or `(row, output)`, or the name of its column.
        target: The name of the target's column, or several for regression, instead of `y`.
        task: `binary`, `multiclass` or `regression`; None infers it.
        sample_weight: `(row,)`, not negative, or the name of a column, which then is no feature.
        groups: `(row,)` labels, or the name of a column, which then is no feature.
        class_weight: From a class to its weight in training (absent ones: 1), or `"balanced"`.
        normalize: Whether features are normalised inside the model; `"auto"`: unless they are already.
        ignore: Columns that are no features.
        id: Columns that are no features either, and are kept beside predictions.
        separator, decimal, encoding, header: Of a CSV file; None finds them.
        inputs: The names of a network's inputs, where it has several: `x` is then a list of arrays in their order, or a
            dict of them, which are not normalised.
        outputs: For networks of the user's own: what they put out and their losses take, from the shape of a row of `x`
            (None for a table). The target is then left as it is, and arrays may hold text.
        takes_text: Whether these networks read text themselves: the columns of a table then reach them as they are.

    Raises:
        DataError: The data break a rule.
        OptionError: An argument does.

    Example:
        >>> data = dataset(np.eye(4), ["no", "yes", "no", "yes"])
        >>> data.task, data.y.tolist(), data.x.shape
        ('binary', [0, 1, 0, 1], (4, 4))
    """
    if normalize not in (True, False, "auto"):
        raise OptionError('`normalize` must be True, False or "auto"', f"got {normalize!r}")
    if _names_column(x, y):
        if target is not None:
            raise OptionError("The target must be given once", "got both `y` and `target`", "Leave one of them out.")
        y, target = None, y
    if y is not None and target is not None:
        raise OptionError("The target must be given once", "got both `y` and `target`", "Leave one of them out.")
    reading: dict[str, Any] = {"separator": separator, "decimal": decimal, "encoding": encoding, "header": header}
    if not isinstance(x, (str, Path)) and set(reading.values()) != {None}:
        raise OptionError(
            "`separator`, `decimal`, `encoding` and `header` are for CSV files", f"`x` is {type(x).__name__}"
        )
    if inputs and normalize is True:
        raise OptionError(
            "`normalize` is for one array or table",
            f"the model has {len(inputs)} inputs",
            "Put `keras.layers.Normalization` layers into the model.",
        )
    frame, notes = (None, ()) if inputs else to_frame(x, **reading, word_columns=_as_names(target))
    ignored, kept = _as_names(ignore), _as_names(id)
    decimal_mark = "." if frame is None else frame.attrs.get("decimal", ".")
    if frame is None:
        _no_columns(target=target, sample_weight=sample_weight, groups=groups, ignore=ignored or None, id=kept or None)
        text = outputs is not None
        rows: Rows = check_inputs(x, inputs, text=text) if inputs else check_array(x, text=text)
        n_rows, schema, target_name = count_rows(rows), None, "y"
    else:
        frame, y, target_name = _take_target(frame, y, target)
        frame, sample_weight = _take_column(frame, sample_weight, "sample_weight")
        frame, groups = _take_column(frame, groups, "groups")
        for option, names in (("ignore", ignored), ("id", kept)):
            for name in names:
                if option == "ignore" or name not in ignored:
                    frame = _pop(frame, name, option)[0]
        n_rows = len(frame)
        if n_rows == 0:
            raise DataError("The table must have rows", "it is empty")
        if takes_text:
            rows, schema = text_of(frame), None
    if y is None:
        remedy = suggest("", frame.columns, label="Columns") if frame is not None else "Give `y`."
        raise DataError("There must be a target", "got neither `y` nor `target`", remedy)
    if outputs is None:
        found = read_target(y, task=task, name=target_name, decimal=decimal_mark)
    else:
        found = read_given(
            y, outputs(None if frame is not None and not takes_text else row_shape(rows)), task=task, name=target_name
        )
    if len(found.y) != n_rows:
        raise DataError("`x` and `y` must have the same number of rows", f"got {n_rows} and {len(found.y)}")
    notes = (*notes, *found.notes)
    if frame is not None and not takes_text:
        inferred = table_columns.infer(frame)
        rows, schema, notes = inferred.values, Schema(columns=inferred.columns), (*notes, *inferred.notes)
    return Dataset(
        x=rows,
        y=found.y,
        task=found.task,
        given=found.given,
        classes=found.classes,
        schema=schema,
        sample_weight=_check_weights(sample_weight, n_rows),
        groups=_check_groups(groups, n_rows),
        class_weight=_check_class_weight(class_weight, found.classes),
        normalize=False if inputs else normalize,
        target_name=target_name,
        target_form=found.form,
        ids=kept,
        reading={name: value for name, value in reading.items() if value is not None},
        inputs=tuple(inputs),
        notes=notes,
    )


def like(
    first: Dataset,
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    what: str = "validation_data",
) -> Dataset:
    """Reads further rows (`validation_data`, `test_data`) exactly as a first dataset was read.

    Args:
        first: Decides columns, kinds, classes and task.
        x, y: As in `dataset`; without `y`, `x` is a table with the column `first.target_name`.
        sample_weight: As in `dataset`.
        what: What messages call these rows.

    Raises:
        DataError: A missing column, an unknown class, or rows of another shape. (Unknown categories are fine.)
    """
    text = [column.name for column in first.schema.columns if column.is_written] if first.schema else []
    words = first.target_name.split(", ")
    if first.target_form or (first.classes is not None and first.classes.dtype == object):
        text += words
    frame, notes = (None, ()) if first.inputs else to_frame(x, **first.reading, text_columns=text, word_columns=words)
    if frame is not None:
        names = first.target_name.split(", ") if first.target_name not in frame.columns else [first.target_name]
        frame, y, _ = _take_target(frame, y, None if y is not None else y or names)
        frame, sample_weight = _take_column(frame, sample_weight, "sample_weight")
    if y is None:
        raise DataError(f"`{what}` must have a target", "there is no `y`", f"Use `{what}=(x, y)`.")
    if frame is not None:
        if first.schema is None and not first.raw_schema.strings:
            raise DataError(f"`{what}` must have the form of the training rows", "got a table beside an array")
        rows: Rows = text_of(frame) if first.schema is None else encode_table(first.raw_schema, frame)
        n_rows = len(frame)
    else:
        strings = first.schema is None and first.raw_schema.strings
        rows = check_inputs(x, first.inputs, text=strings) if first.inputs else check_array(x, text=strings)
        n_rows = count_rows(rows)
        mine, known = as_inputs(rows), () if isinstance(first.x, dict) else as_inputs(first.x)
        if [array.shape[1:] for array in mine] != [array.shape[1:] for array in known]:
            shown = " and ".join(str(array.shape) for array in known)
            raise DataError(
                f"`{what}` must have the form of the training rows",
                f"got an array of shape {' and '.join(str(array.shape) for array in mine)} beside "
                + (f"one of shape {shown}" if shown else "a table"),
            )
    if n_rows == 0:
        raise DataError(f"`{what}` must have rows", "it is empty")
    given = None
    if first.given is not None:
        encoded, given = more_given(first, y, f"{what}: y")
    else:
        encoded = encode_target(
            y,
            task=first.task,
            classes=first.classes,
            n_outputs=first.n_outputs,
            name=f"{what}: y",
            form=first.target_form,
        )
    if len(encoded) != n_rows:
        raise DataError(f"`{what}`: x and y must have the same number of rows", f"got {n_rows} and {len(encoded)}")
    weight = _check_weights(sample_weight, n_rows)
    return replace(first, x=rows, y=encoded, given=given, sample_weight=weight, groups=None, notes=tuple(notes))


def _no_columns(**named: Any) -> None:
    for option, value in named.items():
        if isinstance(value, str) or (option in ("target", "ignore", "id") and value is not None):
            raise DataError(
                f"`{option}` can name a column only where `x` is a table",
                f"`x` is an array and `{option}` is {value!r}",
                "Give a frame, the path of a table, or the values themselves.",
            )


def _as_names(given: Any) -> tuple[str, ...]:
    """The names of columns that an argument gives, which may be a single one."""
    if given is None:
        return ()
    return tuple(str(name) for name in given) if isinstance(given, list | tuple) else (str(given),)


def _names_column(x: Any, y: Any) -> bool:
    """Whether `y` is the name of a column: text, or a single whole number where `x` is a table."""
    if isinstance(y, str):
        return True
    whole = isinstance(y, int | np.integer) and not isinstance(y, bool)
    return whole and (isinstance(x, str | Path | Mapping) or hasattr(x, "columns"))


def _pop(frame: pd.DataFrame, name: str, option: str) -> tuple[pd.DataFrame, pd.Series]:
    if name not in frame.columns:
        name = name.strip()  # as the names of a table are
    if name not in frame.columns:
        alone = str(frame.columns[0]) if frame.shape[1] == 1 else ""
        remedy = suggest(name, frame.columns, label="Columns")
        if alone:
            shown = alone if len(alone) <= 60 else alone[:57] + "..."
            remedy = f"The only column is `{shown}`: if several stand in it, set `separator=`."
        raise DataError(f"`{option}` must name a column of the table", f"got {name!r}", remedy)
    return frame.drop(columns=name), frame[name]


def _take_target(
    frame: pd.DataFrame, y: Any, target: str | int | Sequence[str] | None
) -> tuple[pd.DataFrame, Any, str]:
    if target is None:
        name = getattr(y, "name", None)
        return frame, y, name if isinstance(name, str) and name else "y"
    names = [name.strip() if name not in frame.columns else name for name in _as_names(target)]
    if not names:
        raise OptionError("`target` must name a column", "got an empty list")
    taken = []
    for name in names:
        frame, column = _pop(frame, name, "target")
        taken.append(column)
    return frame, taken[0] if len(taken) == 1 else pd.concat(taken, axis=1), ", ".join(names)


def _take_column(frame: pd.DataFrame, given: Any, option: str) -> tuple[pd.DataFrame, Any]:
    return _pop(frame, given, option) if isinstance(given, str) else (frame, given)


def _check_weights(given: Any, n_rows: int) -> Array | None:
    if given is None:
        return None
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("`sample_weight` must hold numbers", f"converting it failed: {error}") from error
    if weights.shape == (n_rows, 1):
        weights = weights[:, 0]
    if weights.shape != (n_rows,):
        raise DataError("`sample_weight` must have one number for each row", f"got {weights.shape} for {n_rows} rows")
    if not np.isfinite(weights).all():
        raise DataError("`sample_weight` must be finite", f"{int((~np.isfinite(weights)).sum())} are not")
    if (weights < 0).any():
        raise DataError(
            "`sample_weight` must not be negative", f"the lowest is {weights.min():g}", "Use 0 to leave a row out."
        )
    if not weights.any():
        raise DataError("`sample_weight` must not be zero in every row")
    return weights


def _check_groups(given: Any, n_rows: int) -> Array | None:
    if given is None:
        return None
    if type(given).__module__.partition(".")[0] == "polars":
        given = given.to_pandas()
    values = pd.Series(given.to_numpy() if isinstance(given, pd.Series) else np.asarray(given).reshape(-1))
    if len(values) != n_rows:
        raise DataError("`groups` must have one label for each row", f"got {len(values)} for {n_rows} rows")
    if values.isna().any():
        raise DataError("`groups` must have a label in every row", f"{int(values.isna().sum())} are missing")
    codes, labels = pd.factorize(values)
    if len(labels) < 2:
        raise DataError("`groups` must have at least two groups", f"every row is in {labels[0]!r}")
    return np.asarray(codes, dtype=np.int64)


def _check_class_weight(given: Any, classes: Array | None) -> Array | Literal["balanced"] | None:
    if given is None:
        return None
    if classes is None:
        raise DataError("`class_weight` is for classes", "the task is regression", "Use `sample_weight`.")
    if isinstance(given, str):
        if given != "balanced":
            raise OptionError('`class_weight` must be a dict or "balanced"', f"got {given!r}")
        return "balanced"
    if not isinstance(given, Mapping):
        raise OptionError('`class_weight` must be a dict or "balanced"', f"got {type(given).__name__}")
    labels = classes.tolist()
    weights = np.ones(len(labels))
    for label, weight in given.items():
        # A command line or a TOML file can only name classes as text.
        matches = [n for n, known in enumerate(labels) if known == label or str(known) == str(label)]
        if not matches:
            remedy = suggest(str(label), [str(known) for known in labels], label="Classes")
            raise DataError("`class_weight` must name classes of the target", f"got {label!r}", remedy)
        if isinstance(weight, bool) or not isinstance(weight, (int, float, np.number)):
            raise DataError("`class_weight` must map each class to a number", f"{label!r} has {weight!r}")
        if not 0 <= float(weight) < float("inf"):
            raise DataError("`class_weight` must be finite and not negative", f"{label!r} has {weight!r}")
        weights[matches[0]] = float(weight)
    if not weights.any():
        raise DataError("`class_weight` must not be zero for every class")
    return weights
