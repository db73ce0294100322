"""Tables on disk: CSV, whose separator, decimal mark and encoding are found or given, and Parquet."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import charset_normalizer
import pandas as pd

from unitune.errors import DataError, OptionError, suggest

_SEPARATORS = ",;\t|"
_SAMPLE_BYTES = 1 << 18
_MISSING = ("?", "-", "--", "missing", "Missing", "NAN", "na")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+")
_SIGNATURES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
}


def read_table(
    path: str | Path,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    text_columns: Iterable[str] = (),
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Reads a CSV or Parquet file.

    Args:
        path: The file; `.gz` is unpacked.
        separator, decimal, encoding: Of a CSV file; None finds them.
        text_columns: Columns that are kept as they are written, `"007"` for example.

    Returns:
        The table, and notes: what was found, as sentences.

    Raises:
        DataError: There is no such file, or it is not a table.
        OptionError: An unknown encoding, a separator that is also the decimal mark, and the like.
    """
    path = Path(path).expanduser()
    _check_exists(path)
    try:
        with path.open("rb") as file:
            start = file.read(_SAMPLE_BYTES)
            packed = start[:2] == b"\x1f\x8b"
            if packed:
                with gzip.open(path) as unpacked:
                    start = unpacked.read(_SAMPLE_BYTES)
    except OSError as error:
        raise DataError(f"`{path}` must be a file that can be read", f"got: {error.strerror or error}") from error
    if not start.strip():
        raise DataError(f"`{path.name}` must be a table with a header and rows", "it is empty")
    if start[:4] == b"PAR1":
        return _read_parquet(path), ()
    for signature, what in _SIGNATURES.items():
        if start.startswith(signature):
            raise DataError(
                f"`{path.name}` must be a CSV or Parquet file", f"it is {what}", "Save the table as CSV first."
            )
    return _read_csv(path, start, packed, separator, decimal, encoding, tuple(text_columns))


def _check_exists(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"`{path}` must be a CSV or Parquet file", "it is a folder")
    if not path.exists():
        neighbours = []
        if path.parent.is_dir():
            neighbours = [p.name for p in path.parent.iterdir() if p.suffix in (".csv", ".tsv", ".txt", ".parquet")]
        remedy = suggest(path.name, neighbours, label="Tables in that folder") if neighbours else "Check the path."
        raise DataError(f"`{path}` must be a file", "there is no such file", remedy)


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow

    try:
        return pd.read_parquet(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"`{path.name}` must be a whole Parquet file", f"reading it failed: {error}") from error


def _read_csv(
    path: Path,
    start: bytes,
    packed: bool,
    separator: str | None,
    decimal: str | None,
    encoding: str | None,
    text_columns: tuple[str, ...],
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    notes = []
    found_encoding = encoding or find_encoding(start)
    if encoding is None and found_encoding not in ("utf-8", "utf-8-sig"):
        notes.append(f"`{path.name}` was read as {found_encoding}; set `encoding=` if letters look wrong.")
    try:
        # A character may be cut in two at the end of the sample.
        text = start.decode(found_encoding, errors="ignore" if len(start) == _SAMPLE_BYTES else "strict")
    except LookupError as error:
        raise OptionError("`encoding` must be known to Python", f"got {encoding!r}", "Use utf-8, say.") from error
    except UnicodeDecodeError as error:
        remedy = "Leave `encoding` out to have it found."
        raise DataError(f"`{path.name}` must be text in {found_encoding}", "it is not", remedy) from error
    if "\x00" in text:
        raise DataError(f"`{path.name}` must be a CSV or Parquet file", "it holds binary data")
    if separator is not None and len(separator) != 1:
        raise OptionError("`separator` must be one character", f"got {separator!r}", 'Use ",", ";" or a tab.')
    found_separator = separator or find_separator(text)
    rows = _sample_rows(text, found_separator)
    found_decimal = decimal or find_decimal(rows, found_separator)
    if found_decimal not in (".", ","):
        raise OptionError("`decimal` must be a point or a comma", f"got {decimal!r}")
    if found_decimal == found_separator:
        raise OptionError("`separator` and `decimal` must differ", f"both are {found_separator!r}")
    if separator is None and found_separator != ",":
        shown = "a tab" if found_separator == "\t" else f"`{found_separator}`"
        notes.append(f"`{path.name}`: columns are separated by {shown}.")
    if decimal is None and found_decimal == ",":
        notes.append(f"`{path.name}`: numbers have a decimal comma.")
    options: dict[str, Any] = {}
    if rows and len(rows) > 1 and all(_NUMBER.fullmatch(cell) for cell in rows[0]):
        names = [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
        options = {"header": None, "names": names}
        notes.append(f"`{path.name}` has no header; its columns are called {names[0]} to {names[-1]}.")
    try:
        frame = pd.read_csv(
            path,
            sep=found_separator,
            decimal=found_decimal,
            encoding=found_encoding,
            skipinitialspace=True,
            na_values=list(_MISSING),
            dtype=dict.fromkeys(text_columns, str),
            low_memory=False,
            compression="gzip" if packed else None,
            index_col=False,
            **options,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError, ValueError, csv.Error, OSError) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        remedy = "Check the file, or set `separator=`."
        raise DataError(f"`{path.name}` must be a table", f"reading it failed: {reason}", remedy) from error
    return frame, tuple(notes)


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
    best = charset_normalizer.from_bytes(start[: 1 << 16]).best()
    # Single-byte encodings of western Europe cannot be told apart in short texts; this one is by far the commonest.
    if best is None or best.encoding in ("cp1250", "cp1257", "latin_1", "mac_roman", "iso8859_15"):
        return "cp1252"
    return best.encoding


def find_separator(text: str) -> str:
    r"""The character that cuts the first lines into the most regular columns; a comma where none does.

    Example:
        >>> find_separator("a;b\n1,5;2,5\n")
        ';'
    """
    best, best_score = ",", (0.0, 0)
    for separator in _SEPARATORS:
        counts = Counter(len(row) for row in _sample_rows(text, separator))
        if not counts:
            continue
        width, lines = counts.most_common(1)[0]
        score = (lines / counts.total(), width)
        if width > 1 and score > best_score:
            best, best_score = separator, score
    return best


def find_decimal(rows: list[list[str]], separator: str) -> str:
    """The decimal mark: a comma where some column holds decimal commas and no other text."""
    if separator == "," or len(rows) < 2:
        return "."
    for column in zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True):
        cells = [cell for cell in column if cell]
        if all(_NUMBER.fullmatch(cell) for cell in cells) and any(_COMMA_NUMBER.fullmatch(cell) for cell in cells):
            return ","
    return "."


def _sample_rows(text: str, separator: str) -> list[list[str]]:
    lines = text.splitlines(keepends=True)[:1000]
    if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")):
        lines = lines[:-1] if len(text) > 4096 else lines
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return []
