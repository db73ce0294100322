"""The columns of a table: which kind each is, and their values as arrays."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitune.data.schema import Column, Kind, input_names
from unitune.errors import DataError
from unitune.records import Array

MISSING_DATE = np.iinfo(np.int32).min
"""The value of a missing date, in minutes since 1970-01-01."""

ONE_HOT_LIMIT = 50
"""Text columns with more distinct values than this are hashed."""

_MAX_BINS = 256
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
_DATE_LIKE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2})?)?.*")
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d")
_TIMES = ("", " %H:%M", " %H:%M:%S")
_POINT_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d*)?([eE][+-]?\d+)?")
_ID_NAME = re.compile(r"(^|.*[_ .-])(id|uid|uuid|guid|key|index|nr|no)$|unnamed: 0|.*[a-z]I[dD]$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns that the network sees, their values, and what was inferred on the way."""

    columns: tuple[Column, ...]
    values: dict[str, Array]
    notes: tuple[str, ...]


def infer(frame: pd.DataFrame) -> Columns:
    """Decides the kind of each column, drops those without information, and converts the rest.

    Args:
        frame: The features; column names are distinct strings.

    Raises:
        DataError: No column is left; infinite numbers; cells that hold lists.
    """
    found: list[Column] = []
    values: dict[str, Array] = {}
    notes: list[str] = []
    empty: list[str] = []
    constant: list[str] = []
    for name, input_name in zip(frame.columns, input_names(frame.columns), strict=True):
        series = frame[name]
        if series.isna().all():
            empty.append(name)
            continue
        kind, form = _kind(series)
        column = Column(name=name, input=input_name, kind=kind, format=form)
        array = encode(column, series)
        present = array[~missing(column, array)]
        n_distinct = len(pd.unique(present))
        if n_distinct == 0:
            empty.append(name)
            continue
        if n_distinct == 1 and len(present) == len(array):
            constant.append(name)
            continue
        if kind == "category" and n_distinct > ONE_HOT_LIMIT:
            bins = min(_MAX_BINS, 1 << int(np.ceil(np.log2(n_distinct))))
            column = Column(name=name, input=input_name, kind="hashed", bins=bins)
        found.append(column)
        values[name] = array
        notes += _column_notes(column, array, present, n_distinct)
    if empty:
        notes.append(f"Dropped, because all values are missing: {_listed(empty)}.")
    if constant:
        notes.append(f"Dropped, because all values are the same: {_listed(constant)}.")
    if not found:
        received = f"{_listed(empty + constant)} are empty or constant" if len(frame.columns) else "there are none"
        raise DataError("The table must have a column, beside the target, that varies", received)
    return Columns(columns=tuple(found), values=values, notes=(*_kind_notes(found), *notes))


def encode(column: Column, series: pd.Series) -> Array:
    """One column's values as an array of its kind, as `Dataset.x` holds it.

    Raises:
        DataError: A value that is not of the column's kind, or an infinite number.
    """
    if column.kind == "number":
        return _numbers(column, series)
    if column.kind == "date":
        return _dates(column, series)
    text = _text(series)
    return np.array([cell.lower() for cell in text], dtype=object) if column.kind == "boolean" else text


def missing(column: Column, values: Array) -> Array:
    """Which values of an encoded column are missing: bool `(row,)`."""
    if column.kind == "number":
        return np.asarray(np.isnan(values))
    return np.asarray(values == (MISSING_DATE if column.kind == "date" else ""), dtype=bool)


def _kind(series: pd.Series) -> tuple[Kind, str]:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category", ""
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean", ""
    if pd.api.types.is_complex_dtype(dtype):
        raise DataError("Columns must be numbers, text, booleans or dates", f"`{series.name}` holds complex numbers")
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return "number", ""
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "date", ""
    present = series.dropna()
    kinds = {type(value) for value in present}
    if any(hasattr(kind, "__iter__") and not issubclass(kind, (str, bytes)) for kind in kinds):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(
            "Columns must be numbers, text, booleans or dates", f"the cells of `{series.name}` hold {names}"
        )
    if all(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        return "boolean", ""
    if all(issubclass(kind, (dt.date, np.datetime64)) for kind in kinds):
        return "date", ""
    if all(not issubclass(kind, (str, bool)) and hasattr(kind, "__float__") for kind in kinds):
        return "number", ""
    cells = pd.unique(_text(series))
    cells = cells[cells != ""]
    if len(cells) and {cell.lower() for cell in cells} <= {"true", "false"}:
        return "boolean", ""
    if len(cells):
        for form, pattern in (("1,234.5", _POINT_NUMBER), ("1.234,5", _COMMA_NUMBER)):
            if all(pattern.fullmatch(cell) and any(c.isdigit() for c in cell) for cell in cells):
                return "number", form
        form = _date_format(cells)
        if form:
            return "date", form
    return "category", ""


def _date_format(cells: Array) -> str:
    if not all(_DATE_LIKE.fullmatch(cell) for cell in cells[:100]):
        return ""
    if all(_ISO.fullmatch(cell) for cell in cells):
        return (
            ""
            if pd.to_datetime(pd.Series(cells), format="ISO8601", errors="coerce", utc=True).isna().any()
            else "ISO8601"
        )
    for date in _DATES:
        for time in _TIMES:
            if not pd.to_datetime(pd.Series(cells), format=date + time, errors="coerce").isna().any():
                return date + time
    return ""


def _numbers(column: Column, series: pd.Series) -> Array:
    if pd.api.types.is_timedelta64_dtype(series.dtype):
        values = series.dt.total_seconds().to_numpy(dtype=np.float64)
    elif pd.api.types.is_numeric_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        text = pd.Series(_text(series))
        if column.format == "1,234.5":
            text = text.str.replace(",", "", regex=False)
        elif column.format == "1.234,5":
            text = text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        values = pd.to_numeric(text.where(text != ""), errors="coerce").to_numpy(dtype=np.float64)
        wrong = text[np.isnan(values) & (text != "").to_numpy()]
        if len(wrong):
            raise DataError(f"Column `{column.name}` must hold numbers", f"got {wrong.iloc[0]!r}")
    beyond = np.abs(values) > _FLOAT32_MAX
    if beyond.any():
        raise DataError(
            f"Numbers must be finite, and within ±{_FLOAT32_MAX:.1e}",
            f"column `{column.name}` has {int(beyond.sum())} of {len(values)} beyond, "
            f"the first in row {int(np.flatnonzero(beyond)[0])}",
            "Leave the cell empty where the value is missing.",
        )
    return np.asarray(values)


def _dates(column: Column, series: pd.Series) -> Array:
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    plain = pd.api.types.is_datetime64_any_dtype(series.dtype)
    if not plain:
        text = pd.Series(_text(series))
        given = text.where(text != "")
        stamps = pd.to_datetime(given, format=column.format or "ISO8601", errors="coerce", utc=True)
        if (stamps.isna() & given.notna()).any() and column.format != "ISO8601":
            stamps = pd.to_datetime(given, format="ISO8601", errors="coerce", utc=True)
        wrong = given[stamps.isna() & given.notna()]
        if len(wrong):
            raise DataError(f"Column `{column.name}` must hold dates", f"got {wrong.iloc[0]!r}")
        series = stamps
    if getattr(series.dtype, "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    absent = series.isna().to_numpy()
    minutes = series.to_numpy().astype("datetime64[m]").astype(np.int64)
    if (np.abs(minutes[~absent]) > np.iinfo(np.int32).max).any():
        raise DataError("Dates must lie between the years -2113 and 6053", f"column `{column.name}` has others")
    return np.where(absent, MISSING_DATE, minutes).astype(np.int32)


def _text(series: pd.Series) -> Array:
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    absent = series.isna().to_numpy()
    cells = [_cell(value) for value in series.to_numpy(dtype=object, na_value=None)]
    text = np.empty(len(cells), dtype=object)
    text[:] = cells
    text[absent] = ""
    return text


def _cell(value: object) -> str:
    # A column of codes turns to floats in pandas as soon as one is missing: 7.0 must stay the category "7".
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _kind_notes(columns: Sequence[Column]) -> list[str]:
    phrases = {
        "number": "Numbers",
        "boolean": "Booleans, one-hot",
        "category": "Text, one-hot",
        "hashed": f"Text with more than {ONE_HOT_LIMIT} values, hashed",
        "date": "Dates, as year, month, day, weekday and hour",
    }
    by_kind = {kind: [c.name for c in columns if c.kind == kind] for kind in phrases}
    return [f"{phrases[kind]}: {_listed(names)}." for kind, names in by_kind.items() if names]


def _column_notes(column: Column, values: Array, present: Array, n_distinct: int) -> list[str]:
    notes = []
    n_missing = len(values) - len(present)
    if n_missing:
        notes.append(f"`{column.name}` is missing in {n_missing} of {len(values)} rows; the network is told which.")
    if column.kind == "date" and column.format.startswith(("%m/%d", "%m-%d")):
        notes.append(f"Dates in `{column.name}` were read with the month before the day.")
    elif column.kind == "date" and column.format.startswith(("%d/%m", "%d-%m")):
        notes.append(f"Dates in `{column.name}` were read with the day before the month.")
    if _looks_like_id(column, present, n_distinct):
        notes.append(
            f"`{column.name}` looks like an identifier (a different value in every row); "
            "leave it out with `ignore=` unless it carries meaning."
        )
    if column.kind == "number" and np.abs(present.mean()) > 1e6 * present.std():
        notes.append(
            f"`{column.name}` varies by less than a millionth of its size, which single precision hardly resolves; "
            "subtract a constant from it."
        )
    return notes


def _looks_like_id(column: Column, present: Array, n_distinct: int) -> bool:
    if n_distinct < len(present) or len(present) < 10 or column.kind in ("date", "boolean"):
        return False
    if column.kind != "number":
        return True
    whole = bool((present == np.floor(present)).all())
    return whole and (bool((np.diff(present) == 1).all()) or _ID_NAME.fullmatch(column.name) is not None)


def _listed(names: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
