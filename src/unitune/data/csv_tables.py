"""CSV files as people have them: encoding, separator, decimal mark, header and row names are found or given."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Any

import pandas as pd

from unitune.data.csv_layout import SPACES, find_decimal, find_layout
from unitune.data.csv_lines import TableLines, without_empty_ends
from unitune.errors import DataError, OptionError

SAMPLE_BYTES = 1 << 18
_NAMED_SEPARATORS = {"\\t": "\t", "tab": "\t", "space": SPACES}
_NEVER_A_WORD: tuple[str, ...] = (
    "",
    "?",
    "nan",
    "NaN",
    "NAN",
    "-nan",
    "-NaN",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "<NA>",
    "1.#IND",
    "-1.#IND",
)
_NEVER_A_WORD += ("1.#QNAN", "-1.#QNAN")
_MISSING_WORDS = ("NA", "N/A", "n/a", "na", "NULL", "null", "None", "missing", "Missing", "-", "--")
_ZEROS_AHEAD = re.compile(r"0\d+")
_LONGER_ROW = re.compile(r"Expected \d+ fields in line \d+, saw \d+")
_BAD_TABLE = (
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    pd.errors.EmptyDataError,
    UnicodeError,
    ValueError,
    csv.Error,
    OSError,
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is read; what is None is found.

    Attributes:
        separator: Between columns; `" "` is any number of blanks.
        decimal: `"."` or `","`.
        encoding: As Python calls it.
        header: Whether the first row holds the names of the columns.
        text_columns: Columns that are kept as they are written, `"007"` for example.
        word_columns: Columns in which `NA`, `None` and the like are words: a target's classes may be called so.
    """

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool | None = None
    text_columns: tuple[str, ...] = ()
    word_columns: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names that the header is expected to have."""
        return frozenset(name.strip() for name in (*self.text_columns, *self.word_columns))

    def missing_values(self, columns: Iterable[Any]) -> dict[str, Any]:
        """What pandas is to take for missing, as its arguments have it."""
        everywhere = [*_NEVER_A_WORD, *_MISSING_WORDS]
        words = {name.strip() for name in self.word_columns}
        if not words:
            return {"na_values": everywhere, "keep_default_na": False}
        by_column = {c: list(_NEVER_A_WORD) if str(c).strip() in words else everywhere for c in columns}
        return {"na_values": by_column, "keep_default_na": False}


def read_csv(
    name: str, opened: Callable[[], IO[bytes]], start: bytes, reading: Reading
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Reads a CSV file.

    Args:
        name: What messages call it.
        opened: Opens its bytes, unpacked.
        start: Its first `SAMPLE_BYTES` bytes.
        reading: How to read it.

    Returns:
        The table, whose `attrs["decimal"]` is the decimal mark, and notes.

    Raises:
        DataError: It is no table.
        OptionError: An unknown encoding, a separator that is also the decimal mark, and the like.
    """
    text, encoding, notes = _decoded(name, start, reading.encoding)
    given = _NAMED_SEPARATORS.get(reading.separator or "", reading.separator)
    if given is not None and len(given) != 1:
        remedy = 'Use ",", ";", a tab, or " " for any number of blanks.'
        raise OptionError("`separator` must be one character", f"got {reading.separator!r}", remedy)
    whole = len(start) < SAMPLE_BYTES
    layout, rows, more = find_layout(name, text, given, header=reading.header, expected=reading.names, whole=whole)
    decimal = reading.decimal or find_decimal(rows, layout.separator)
    if decimal not in (".", ","):
        raise OptionError("`decimal` must be a point or a comma", f"got {reading.decimal!r}")
    if decimal == layout.separator:
        raise OptionError("`separator` and `decimal` must differ", f"both are {decimal!r}")
    if given is None and layout.separator != ",":
        shown = {"\t": "a tab", SPACES: "blanks"}.get(layout.separator, f"`{layout.separator}`")
        notes.append(f"`{name}`: columns are separated by {shown}.")
    if reading.decimal is None and decimal == ",":
        notes.append(f"`{name}`: numbers have a decimal comma.")
    notes += more
    options: dict[str, Any] = {"header": 0 if layout.has_header else None}
    if layout.names is not None:
        options["names"] = list(layout.names)
    columns: Sequence[Any] = layout.names or (rows[0] if rows else ())
    as_written = dict.fromkeys([*reading.text_columns, *_codes(rows)], str)

    def parsed(lines: Any, separator: str, quote: str) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows lose their last field
            return pd.read_csv(
                lines,
                sep=r"\s+" if separator == SPACES else separator,
                quotechar=quote,
                decimal=decimal,
                skipinitialspace=True,
                dtype=as_written,
                low_memory=False,
                index_col=False,
                **reading.missing_values(columns),
                **options,
            )

    try:
        with TableLines(opened(), encoding, layout.kept) as lines:
            try:
                frame = parsed(lines, layout.separator, layout.quote)
            except _BAD_TABLE as error:
                if not _LONGER_ROW.search(str(error)) or layout.separator == SPACES:
                    raise
                with TableLines(opened(), encoding, layout.kept) as again:
                    shorter, longer = without_empty_ends(again.lines, layout.separator, layout.quote)
                if longer:
                    raise _longer_row(name, longer, len(columns), layout.separator) from error
                frame = parsed(shorter, ",", '"')
    except DataError:
        raise
    except _BAD_TABLE as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        if reason.startswith("EOF inside string"):
            reason, remedy = "a quotation mark that opens a field is never closed", "Close or remove it."
        else:
            reason, remedy = f"reading it failed: {reason}", "Check the file, or set `separator=`."
        raise DataError(f"`{name}` must be a table", reason, remedy) from error
    if layout.row_names:
        frame = frame.iloc[:, 1:]
    frame.attrs["decimal"] = decimal
    return frame, tuple(notes)


def _longer_row(name: str, row: Sequence[str], width: int, separator: str) -> DataError:
    shown = separator.join(row)
    return DataError(
        f"`{name}` must be a table",
        f"its header has {width} fields, and the row `{shown if len(shown) <= 80 else shown[:77] + '...'}` {len(row)}",
        "Correct or remove that line (a field that holds a separator must stand in quotation marks), "
        "or set `separator=`.",
    )


def _codes(rows: Sequence[Sequence[str]]) -> list[str]:
    """The columns of whole numbers some of which have zeros ahead: what they mean may depend on these."""
    if len(rows) < 2:
        return []
    found = []
    whole = [row for row in rows[1:] if len(row) == len(rows[0])]
    for place, name in enumerate(rows[0]):
        cells = [row[place] for row in whole if row[place]]
        if any(map(_ZEROS_AHEAD.fullmatch, cells)) and all(map(str.isdecimal, cells)):
            found.append(name)
    return found


def _decoded(name: str, start: bytes, given: str | None) -> tuple[str, str, list[str]]:
    encoding = given or find_encoding(start)
    notes = []
    if given is None and encoding not in ("utf-8", "utf-8-sig"):
        notes.append(f"`{name}` was read as {encoding}; set `encoding=` if letters look wrong.")
    try:
        # A character may be cut in two at the end of the sample.
        text = start.decode(encoding, errors="ignore" if len(start) == SAMPLE_BYTES else "strict")
    except LookupError as error:
        raise OptionError("`encoding` must be known to Python", f"got {given!r}", "Use utf-8, say.") from error
    except UnicodeDecodeError as error:
        remedy = "Leave `encoding` out to have it found."
        raise DataError(f"`{name}` must be text in {encoding}", "it is not", remedy) from error
    if "\x00" in text:
        raise DataError(f"`{name}` must be a CSV or Parquet file", "it holds binary data")
    return text, encoding, notes


def find_encoding(start: bytes) -> str:
    """The encoding of a text from its first bytes: UTF-8 wherever it is valid, else the likeliest.

    Example:
        >>> find_encoding("größe".encode())
        'utf-8'
    """
    if start.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        start[: start.rfind(b"\n") + 1 or None].decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    import charset_normalizer

    best = charset_normalizer.from_bytes(start[: 1 << 16]).best()
    # Single-byte encodings of western Europe cannot be told apart in short texts; this one is by far the commonest.
    if best is None or best.encoding in ("cp1250", "cp1257", "latin_1", "mac_roman", "iso8859_15"):
        return "cp1252"
    return best.encoding
