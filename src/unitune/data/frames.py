"""Rows in any container as a frame or a float array, and as the inputs of a saved model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unitune.data import columns as table_columns
from unitune.data.files import read_table
from unitune.data.schema import Schema, unique_names
from unitune.errors import DataError, suggest
from unitune.records import Array

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def to_frame(
    x: Any,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    text_columns: Iterable[str] = (),
    word_columns: Iterable[str] = (),
) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """A table in any container as a pandas frame with distinct column names; None where `x` is an array.

    Args:
        x: A pandas or polars frame or series, an Arrow table, a dict of columns, a path, or anything else.
        separator, decimal, encoding, header, text_columns, word_columns: As in `files.read_table`.

    Returns:
        The frame, and notes.

    Raises:
        DataError: The file does not exist or is not a table.
    """
    notes: tuple[str, ...] = ()
    if isinstance(x, (str, Path)):
        x, notes = read_table(
            x,
            separator=separator,
            decimal=decimal,
            encoding=encoding,
            header=header,
            text_columns=text_columns,
            word_columns=word_columns,
        )
    elif type(x).__module__.partition(".")[0] in ("polars", "pyarrow"):
        x = x.collect() if hasattr(x, "collect") else x
        x = x.to_pandas()
    elif isinstance(x, Mapping):
        lengths = {str(name): len(values) for name, values in x.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
            raise DataError("All columns must have the same number of rows", f"got {shown}")
        x = pd.DataFrame({name: np.asarray(values) for name, values in x.items()})
    if isinstance(x, pd.Series):
        x = x.to_frame()
    if not isinstance(x, pd.DataFrame):
        return None, notes
    flat = [" ".join(map(str, name)) if isinstance(name, tuple) else name for name in x.columns]
    names = unique_names(flat)
    renamed = [new for new, old in zip(names, flat, strict=True) if new != str(old).strip()]
    if renamed:
        notes = (*notes, f"Columns without a name of their own are called {', '.join(f'`{n}`' for n in renamed)}.")
    frame = x.reset_index(drop=True)
    frame.columns = pd.Index(names, dtype=object)
    return frame, notes


def check_array(x: Any, *, text: bool = False) -> Array:
    """Numbers `(row, feature...)` as a float array: float32 where that holds every value, else float64.

    Args:
        x: Rows in anything that NumPy makes an array of, or sparse.
        text: Whether strings are kept as they are, in an object array of `str`: some networks take them.

    Raises:
        DataError: Text that is not wanted, NaN, infinity, no rows, or no features.

    Example:
        >>> check_array([[1, 2], [3, 4]]).dtype.name
        'float64'
    """
    if hasattr(x, "toarray"):
        x = x.toarray()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            array = np.asarray(x)
    except (ValueError, TypeError, Warning) as error:
        raise DataError("`x` must be a rectangular array or a table", f"converting it failed: {error}") from error
    if array.dtype.kind in "OUS" or array.dtype.kind == "T":
        strings = _strings(array) if text else None
        if strings is not None:
            return strings
        array = _floats(array)
    if array.dtype.kind not in "biuf":
        raise DataError("`x` must hold numbers", f"got {array.dtype}")
    if array.ndim == 0:
        raise DataError("`x` must be an array of rows, a frame or a path", f"got {type(x).__name__}")
    array = array[:, None] if array.ndim == 1 else array
    if array.size == 0:
        raise DataError("`x` must have rows and features", f"its shape is {array.shape}")
    small = array.dtype.kind == "b" or array.dtype.itemsize <= 2 or array.dtype == np.float32
    result = np.array(array, dtype=np.float32 if small else np.float64, order="C")
    # Two cheap reductions decide; where the values are comes only after.
    if not (np.abs(result.max()) <= _FLOAT32_MAX and np.abs(result.min()) <= _FLOAT32_MAX):
        finite = np.isfinite(result) & (np.abs(result) <= _FLOAT32_MAX)
        if not finite.all():
            first = np.argwhere(~finite)[0].tolist()
            n_nan, n_beyond = int(np.isnan(result).sum()), int((~finite & ~np.isnan(result)).sum())
            raise DataError(
                "`x` must hold finite numbers",
                f"it has {n_nan} NaN and {n_beyond} infinite values, the first in row {first[0]}, column "
                + (f"{first[1]}" if len(first) == 2 else f"{first[1:]}"),
                "Drop these rows, or give a pandas DataFrame, where missing values are handled.",
            )
    return result


def check_inputs(x: Any, names: Sequence[str], *, text: bool = False) -> tuple[Array, ...]:
    """The rows of a network with several inputs as one array for each, checked like `check_array`.

    Args:
        x: Arrays in the order of the inputs, or a dict of them by name.
        names: The inputs' names.
        text: As in `check_array`.

    Raises:
        DataError: Another number of arrays, other names, or an array that breaks a rule.
    """
    shown = ", ".join(f"`{name}`" for name in names)
    if isinstance(x, Mapping):
        wrong = sorted(set(map(str, x)) ^ set(names))
        if wrong:
            what = "is missing" if wrong[0] in names else "is none of them"
            raise DataError(f"`x` must have an array for each input of the model: {shown}", f"`{wrong[0]}` {what}")
        given = [x[name] for name in names]
    elif isinstance(x, list | tuple) and len(x) == len(names):
        given = list(x)
    else:
        got = f"{len(x)} items" if isinstance(x, list | tuple) else f"a {type(x).__name__}"
        raise DataError(
            f"`x` must be a list of {len(names)} arrays, or a dict of them by name, for the inputs {shown}",
            f"got {got}",
        )
    arrays = tuple(check_array(one, text=text) for one in given)
    counts = [len(array) for array in arrays]
    if len(set(counts)) > 1:
        raise DataError("All inputs in `x` must have the same number of rows", f"got {', '.join(map(str, counts))}")
    return arrays


def text_of(frame: pd.DataFrame) -> Array:
    """The columns of a frame as an object array `(row, column)` of `str`, as networks take it that read text.

    Raises:
        DataError: A column is not of text.

    Example:
        >>> text_of(pd.DataFrame({"text": ["a good film", None]})).tolist()
        [['a good film'], ['']]
    """
    for name in frame.columns:
        if pd.api.types.infer_dtype(frame[name], skipna=True) not in ("string", "empty", "categorical"):
            raise DataError(
                "a table for a network that takes text must hold text in every column",
                f"`{name}` is of {frame[name].dtype}",
                "Give the network an input for each kind, and `x` as a dict of arrays.",
            )
    return np.asarray(frame.astype(object).where(frame.notna(), "").to_numpy(dtype=object))


def encode_table(schema: Schema, frame: pd.DataFrame) -> dict[str, Array]:
    """The columns of a schema from a frame, as `Dataset.x` holds them. Other columns are left alone.

    Raises:
        DataError: A column is missing, or holds what its kind cannot.
    """
    absent = [name for name in schema.names if name not in frame.columns]
    if absent:
        shown = ", ".join(f"`{name}`" for name in absent[:8]) + (" and more" if len(absent) > 8 else "")
        remedy = suggest(absent[0], [str(name) for name in frame.columns], label="Columns")
        raise DataError("The table must have the columns that the model was trained on", f"{shown} is missing", remedy)
    return {column.name: table_columns.encode(column, frame[column.name]) for column in schema.columns}


def raw_inputs(
    schema: Schema,
    source: Any,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
) -> Array | dict[str, Array] | list[Array]:
    """New rows as the inputs of a saved model.

    Args:
        schema: `Dataset.raw_schema` of the training rows.
        source: An array, a frame, or a path. For a model of arrays, a table's numeric columns in their order. For one
            with several inputs, arrays in their order, or a dict of them.
        separator, decimal, encoding, header: Of a CSV file; None finds them.

    Returns:
        `(row, feature...)` float32; or for tables a dict from the input's name to `(row, 1)`: float32, object arrays
        of `str`, or int32 minutes. Categories that training did not have are allowed. For several inputs a list.

    Raises:
        DataError: A missing column, a value of the wrong kind, rows of another shape, or no rows.
    """
    if schema.inputs:
        arrays = check_inputs(source, [name for name, _ in schema.inputs], text=schema.strings)
        for array, (name, shape) in zip(arrays, schema.inputs, strict=True):
            if array.shape[1:] != shape:
                raise DataError(f"Each row of the input `{name}` must have the shape {shape}", f"got {array.shape[1:]}")
        return [array if array.dtype == object else array.astype(np.float32) for array in arrays]
    text = [column.name for column in schema.columns if column.is_written]
    reading: dict[str, Any] = {"separator": separator, "decimal": decimal, "encoding": encoding, "header": header}
    frame, _ = to_frame(source, **reading, text_columns=text)
    if frame is not None and len(frame) == 0:
        raise DataError("The table must have rows", "it is empty")
    if schema.shape is not None:
        if frame is None:
            array = check_array(source, text=schema.strings)
        else:
            array = text_of(frame) if schema.strings else check_array(_numeric(frame, schema.shape))
        if array.shape[1:] != schema.shape:
            raise DataError(f"Each row must have the shape {schema.shape}", f"got {array.shape[1:]}")
        return array if array.dtype == object else array.astype(np.float32)
    if frame is None:
        array = np.asarray(source)
        if array.ndim != 2 or array.shape[1] != len(schema.columns):
            names = ", ".join(schema.names[:8])
            raise DataError(f"Rows must be a table with the columns {names}", f"got an array of shape {array.shape}")
        frame = pd.DataFrame(array, columns=list(schema.names))
    values = encode_table(schema, frame)
    return {
        column.input: (values[column.name].astype(np.float32) if column.kind == "number" else values[column.name])[
            :, None
        ]
        for column in schema.columns
    }


def _numeric(frame: pd.DataFrame, shape: tuple[int, ...]) -> Array:
    numeric = frame.select_dtypes(include=["number", "bool"])
    n_features = int(np.prod(shape))
    if numeric.shape[1] != n_features:
        raise DataError(
            f"The table must have {n_features} columns of numbers, as the training rows had",
            f"it has {numeric.shape[1]}",
            "Leave out the target and any other column that the model was not trained on.",
        )
    return np.asarray(numeric.to_numpy(dtype=np.float64).reshape(-1, *shape))


def _strings(array: Array) -> Array | None:
    """Strings `(row, feature...)` as an object array of `str`; None where something is not one."""
    if array.dtype.kind in "UT":
        array = array.astype(object)
    flat = [value.decode() if isinstance(value, bytes) else value for value in array.ravel().tolist()]
    if not flat or not all(isinstance(value, str) for value in flat):
        return None
    found = np.empty(len(flat), dtype=object)
    found[:] = flat
    return found.reshape(array.shape if array.ndim > 1 else (-1, 1))


def _floats(array: Array) -> Array:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        for value in array.ravel().tolist():
            try:
                float(value)
            except (TypeError, ValueError):
                raise DataError(
                    "`x` must hold numbers where it is an array",
                    f"got {value!r}",
                    "Give a pandas DataFrame, where text, dates and missing values are handled.",
                ) from error
        raise DataError("`x` must hold numbers", f"converting it failed: {error}") from error
