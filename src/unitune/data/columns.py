"""The columns of a table: which kind each is, and their values as arrays."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitune.data.cells import (
    ENOUGH,
    TIMES,
    are_times,
    date_form,
    examples,
    how_read,
    no_date,
    number_form,
    read_dates,
    read_numbers,
)
from unitune.data.schema import Column, Kind, input_names
from unitune.errors import DataError
from unitune.records import Array

MISSING_DATE = np.iinfo(np.int32).min
"""The value of a missing date, in minutes since 1970-01-01."""

ONE_HOT_LIMIT = 50
"""Text columns with more distinct values than this are hashed, or cut into words."""

WORDS_OF_TEXT = 3
"""Text columns with as many words in a cell, on average, are free text: what counts are its words."""

_MAX_BINS = 256
_EXACT = 2**53  # beyond, floats cannot tell whole numbers apart
_MOST_DIGITS = 15
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_DAY_NAME = re.compile(r".*(date|datum|day|fecha|data)|(.*[_ .-])?(dt|tag|time|ymd)", re.IGNORECASE)
_DAY_NUMBER = "%Y%m%d"
_LATEST_YEAR = 6000
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
    decimal = frame.attrs.get("decimal", ".")
    empty: list[str] = []
    constant: list[str] = []
    for name, input_name in zip(frame.columns, input_names(frame.columns), strict=True):
        series = frame[name]
        if series.isna().all():
            empty.append(name)
            continue
        kind, form, loose = _kind(series, decimal)
        column = Column(name=name, input=input_name, kind=kind, format=form, loose=loose)
        array = encode(column, series)
        present = array[~missing(column, array)]
        n_distinct = len(pd.unique(present))
        if n_distinct == 0:
            empty.append(name)
            continue
        if n_distinct == 1 and len(present) == len(array):
            constant.append(name)
            continue
        if kind == "category" and n_distinct > ONE_HOT_LIMIT and _has_sentences(present):
            column = Column(name=name, input=input_name, kind="text")
        elif kind == "category" and n_distinct > ONE_HOT_LIMIT:
            bins = min(_MAX_BINS, 1 << int(np.ceil(np.log2(n_distinct))))
            column = Column(name=name, input=input_name, kind="hashed", bins=bins)
        found.append(column)
        values[name] = array
        notes += [*_reading_notes(column, series), *_column_notes(column, array, present, n_distinct)]
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


def _kind(series: pd.Series, decimal: str) -> tuple[Kind, str, bool]:
    """The kind of a column, the form of its text, and whether some cells are of another kind, and so missing."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category", "", False
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean", "", False
    if pd.api.types.is_complex_dtype(dtype):
        raise DataError("Columns must be numbers, text, booleans or dates", f"`{series.name}` holds complex numbers")
    if pd.api.types.is_integer_dtype(dtype) and series.abs().max() > _EXACT:
        return "category", "", False  # it names things
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return ("date", _DAY_NUMBER, False) if _are_days(series) else ("number", "", False)
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "date", "", False
    present = series.dropna()
    kinds = {type(value) for value in present}
    if any(hasattr(kind, "__iter__") and not issubclass(kind, (str, bytes)) for kind in kinds):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(
            "Columns must be numbers, text, booleans or dates",
            f"the cells of `{series.name}` hold {names}",
            f'Leave it out with `ignore="{series.name}"`, or spread it over columns.',
        )
    if all(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        return "boolean", "", False
    if all(issubclass(kind, (dt.date, np.datetime64)) for kind in kinds):
        return "date", "", False
    if all(not issubclass(kind, (str, bool)) and hasattr(kind, "__float__") for kind in kinds):
        huge = any(isinstance(value, int) and abs(value) > _EXACT for value in present)
        return ("category" if huge else "number"), "", False
    text = _text(series)
    text = text[text != ""]
    if len(text) and {cell.lower() for cell in pd.unique(text)} <= {"true", "false"}:
        return "boolean", "", False
    if len(text) and not _are_codes(text):
        form, share = number_form(text, decimal)
        if share >= ENOUGH:
            return "number", form, share < 1
        form, share = date_form(text, decimal)
        if share >= ENOUGH:
            return "date", form, share < 1
        share = are_times(text)
        if share >= ENOUGH:
            return "number", TIMES, share < 1
    return "category", "", False


def _are_codes(cells: Array) -> bool:
    """Whether digits are names rather than quantities: with zeros ahead, and few; or too many digits for a number."""
    if not all(cell.isdecimal() for cell in cells):
        return False
    if max(map(len, cells)) > _MOST_DIGITS:
        return True
    return any(cell[0] == "0" and len(cell) > 1 for cell in cells) and len(pd.unique(cells)) <= ONE_HOT_LIMIT


def _has_sentences(cells: Array) -> bool:
    return float(np.mean([len(cell.split()) for cell in cells[:: max(1, len(cells) // 1000)]])) >= WORDS_OF_TEXT


def _are_days(series: pd.Series) -> bool:
    """Whether whole numbers such as 20240131 are dates: all of them are, and the column is called so."""
    if not pd.api.types.is_integer_dtype(series.dtype) or not _DAY_NAME.fullmatch(str(series.name)):
        return False
    present = series.dropna()
    if not ((present >= 19000101) & (present <= 21001231)).all():
        return False
    return bool(pd.to_datetime(present.astype(str), format=_DAY_NUMBER, errors="coerce").notna().all())


def _numbers(column: Column, series: pd.Series) -> Array:
    if pd.api.types.is_timedelta64_dtype(series.dtype):
        values = series.dt.total_seconds().to_numpy(dtype=np.float64)
    elif pd.api.types.is_numeric_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        text = _text(series)
        if column.format:
            values = read_numbers(text, column.format)
        else:
            plain = pd.Series(text)
            values = pd.to_numeric(plain.where(plain != ""), errors="coerce").to_numpy(dtype=np.float64)
        wrong = text[np.isnan(values) & (text != "")]
        if len(wrong) and not column.loose:
            raise DataError(
                f"Column `{column.name}` must hold numbers",
                f"got {wrong[0]!r}",
                "Leave the cell empty where the value is missing.",
            )
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
        text = _text(series)
        stamps = read_dates(text, column.format)
        wrong = text[stamps.isna().to_numpy() & (text != "") & ~no_date(text)]
        if len(wrong) and not column.loose:
            raise DataError(
                f"Column `{column.name}` must hold dates",
                f"got {wrong[0]!r}",
                "Leave the cell empty where the date is missing.",
            )
        series = stamps
    if getattr(series.dtype, "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    # 9999-12-31 is how databases write that there is no date, and so is the year 1.
    absent = (series.isna() | (series.dt.year > _LATEST_YEAR) | (series.dt.year <= 1)).to_numpy()
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
    if isinstance(value, bytes):
        return value.decode(errors="replace").strip()
    return str(value).strip()


def _reading_notes(column: Column, series: pd.Series) -> list[str]:
    """What was made of text that is read as numbers or dates."""
    if column.kind not in ("number", "date") or pd.api.types.is_numeric_dtype(series.dtype):
        return []
    notes = []
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        endless = int(((series.dt.year > _LATEST_YEAR) | (series.dt.year <= 1)).sum())
    else:
        text = _text(series)
        endless = int(no_date(text).sum()) if column.kind == "date" else 0
        how = how_read(column.format) if column.kind == "number" else ""
        if how:
            known = np.flatnonzero(~np.isnan(read_numbers(text, column.format)))[0]
            value = read_numbers(text[known : known + 1], column.format)[0]
            notes.append(f"`{column.name}` is read as {how}: `{text[known]}` as {value:.6g}.")
        if column.loose:
            read = read_numbers(text, column.format) if column.kind == "number" else read_dates(text, column.format)
            strange = text[pd.isna(read) & (text != "") & ~(no_date(text) & (column.kind == "date"))]
            notes.append(
                f"`{column.name}` is read as {column.kind}s; {len(strange)} of {len(text)} values are none "
                f"({examples(strange)}) and count as missing."
            )
    if endless:
        notes.append(f"`{column.name}`: dates such as 9999-12-31 stand for no date and count as missing ({endless}).")
    return notes


def _kind_notes(columns: Sequence[Column]) -> list[str]:
    phrases = {
        "number": "Numbers",
        "boolean": "Booleans, one-hot",
        "category": "Text, one-hot",
        "hashed": f"Text with more than {ONE_HOT_LIMIT} values, hashed",
        "text": "Free text, as its words, weighted by tf-idf",
        "date": "Dates, as year, month, day, weekday and hour",
    }
    by_kind = {kind: [c.name for c in columns if c.kind == kind] for kind in phrases}
    return [f"{phrases[kind]}: {_listed(names)}." for kind, names in by_kind.items() if names]


def _column_notes(column: Column, values: Array, present: Array, n_distinct: int) -> list[str]:
    notes = []
    n_missing = len(values) - len(present)
    if n_missing and not column.loose:
        notes.append(f"`{column.name}` is missing in {n_missing} of {len(values)} rows; the network is told which.")
    if column.kind == "date" and column.format.startswith(("%m/%d", "%m-%d")):
        notes.append(
            f"Dates in `{column.name}` were read with the month before the day; if it stands after it, "
            "write them as 2020-12-31."
        )
    elif column.kind == "date" and column.format.startswith(("%d/%m", "%d-%m")):
        notes.append(
            f"Dates in `{column.name}` were read with the day before the month; if it stands after it, "
            "write them as 2020-12-31."
        )
    if _looks_like_id(column, present, n_distinct):
        notes.append(
            f"`{column.name}` looks like an identifier (a different value in every row); "
            "leave it out with `ignore=` unless it carries meaning."
        )
    if column.kind == "number" and n_distinct > 1 and np.abs(present.mean()) > 1e6 * present.std():
        notes.append(
            f"`{column.name}` varies by less than a millionth of its size, which single precision hardly resolves; "
            "subtract a constant from it."
        )
    return notes


def _looks_like_id(column: Column, present: Array, n_distinct: int) -> bool:
    if n_distinct < len(present) or len(present) < 10 or column.kind in ("date", "boolean", "text"):
        return False
    if column.kind != "number":
        return True
    whole = bool((present == np.floor(present)).all())
    return whole and (bool((np.diff(present) == 1).all()) or _ID_NAME.fullmatch(column.name) is not None)


def _listed(names: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
