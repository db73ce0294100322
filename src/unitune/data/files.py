"""Tables on disk or at an address: CSV, Parquet and Excel, packed or not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module, util
from pathlib import Path
from typing import IO, Any

import pandas as pd

from unitune.data.csv_tables import SAMPLE_BYTES, Reading, read_csv
from unitune.errors import DataError, suggest

_ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".gz", ".zip")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?=[^/])(.*)", re.DOTALL)
_FETCHED = ("http", "https", "ftp", "file")
_PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\x00": lzma}
_SIGNATURES = {
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "Save it as .xlsx or CSV first."),
    b"\x89PNG": ("a picture", "Save the table as CSV first."),
    b"\xff\xd8\xff": ("a picture", "Save the table as CSV first."),
    b"%PDF": ("a PDF document", "Save the table as CSV first."),
    b"\x89HDF": ("an HDF5 file", "Read it with `pandas.read_hdf`, and give the frame."),
    b"SQLite format 3": ("an SQLite database", "Read it with `pandas.read_sql`, and give the frame."),
    b"ARROW1": ("a Feather file", "Read it with `pandas.read_feather`, and give the frame."),
    b"7z\xbc\xaf": ("a 7z archive", "Unpack it first."),
    b"Rar!": ("a rar archive", "Unpack it first."),
    b"<!DOCTYPE": ("a web page", "Use the address of the file itself."),
    b"<html": ("a web page", "Use the address of the file itself."),
    b"<table": ("a web page", "Read it with `pandas.read_html`, and give the frame."),
    b"@relation": ("an ARFF file", "Read it with `scipy.io.arff.loadarff`, and give `pandas.DataFrame(rows)`."),
}
_FORMS = {
    re.compile(rb'\s*(\{\s*"|\[\s*[\[{])'): (
        "JSON",
        "Read it with `pandas.read_json` (`lines=True` where each line is a row), and give the frame.",
    ),
    re.compile(rb"[+-]?\d+(\.\d+)?( \d+:[+-]?[\d.][\d.eE+-]*)+\s*[\r\n]"): (
        "in the form of LIBSVM",
        "Read it with `sklearn.datasets.load_svmlight_file`, and give the two arrays.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A file: what messages call it, and how to open its bytes."""

    name: str
    opened: Callable[[], IO[bytes]]
    path: Path | None = None

    def start(self) -> bytes:
        with self.opened() as file:
            return file.read(SAMPLE_BYTES)


def read_table(
    path: str | Path,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    text_columns: Iterable[str] = (),
    word_columns: Iterable[str] = (),
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Reads a CSV, Parquet or Excel file; gz, bz2, xz and zip are unpacked.

    Args:
        path: The file, or an address: what `http`, `https` and `ftp` fetch, or whatever `fsspec` opens (`s3://`, ...).
        separator, decimal, encoding: Of a CSV file; None finds them.
        header: Whether the first row of a CSV or Excel file holds the names of the columns; None finds out.
        text_columns: Columns that are kept as they are written, `"007"` for example.
        word_columns: Columns in which `NA`, `None` and the like are words.

    Returns:
        The table, and notes: what was found, as sentences.

    Raises:
        DataError: There is no such file, or it is not a table.
        OptionError: An unknown encoding, a separator that is also the decimal mark, and the like.
    """
    reading = Reading(
        separator=separator,
        decimal=decimal,
        encoding=encoding,
        header=header,
        text_columns=tuple(text_columns),
        word_columns=tuple(word_columns),
    )
    source = _unpacked(_source(path))
    start = source.start()
    if not start.strip():
        raise DataError(f"`{source.name}` must be a table with a header and rows", "it is empty")
    if start[:4] == b"PAR1":
        return _read_parquet(source), ()
    if start[:2] == b"PK":
        frame, notes = _read_excel(source, reading)
    else:
        for signature, (what, remedy) in _SIGNATURES.items():
            if start.lstrip()[: len(signature)].lower() == signature.lower():
                raise DataError(f"`{source.name}` must be a CSV, Parquet or Excel file", f"it is {what}", remedy)
        for form, (what, remedy) in _FORMS.items():
            if form.match(start):
                raise DataError(f"`{source.name}` must be a CSV, Parquet or Excel file", f"it is {what}", remedy)
        frame, notes = read_csv(source.name, source.opened, start, reading)
    return _without_index(source.name, frame, notes)


def address_of(path: str | Path) -> str | None:
    """The address that a text is; None where it is a path. A slash that `Path` swallowed is put back.

    Example:
        >>> address_of("https:/example.org/a.csv"), address_of("a.csv"), address_of("C:/a.csv")
        ('https://example.org/a.csv', None, None)
    """
    found = _ADDRESS.fullmatch(str(path))
    if found is None:
        return None
    return f"{found[1]}:{'///' if found[1].lower() == 'file' else '//'}{found[2]}"


def _source(path: str | Path) -> _Source:
    address = address_of(path)
    if address is not None:
        content = _fetched(address)
        return _Source(name=address.rstrip("/").rpartition("/")[2] or address, opened=lambda: io.BytesIO(content))
    path = Path(path).expanduser()
    _check_exists(path)
    try:
        path.open("rb").close()
    except OSError as error:
        raise DataError(f"`{path}` must be a file that can be read", f"got: {error.strerror or error}") from error
    return _Source(name=path.name, opened=lambda: path.open("rb"), path=path)


def _fetched(address: str) -> bytes:
    kind = address.partition(":")[0].lower()
    remedy = "Check the address, or download the file first."
    try:
        if kind in _FETCHED:
            request = urllib.request.Request(address, headers={"User-Agent": "unitune"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                return bytes(answer.read())
        if util.find_spec("fsspec") is None:
            remedy = f"Download the file first, or `pip install fsspec` and what it needs for {kind}."
            raise DataError(f"`{address}` must be an address that can be read", f"nothing here reads {kind}://", remedy)
        with import_module("fsspec").open(address, "rb") as file:
            return bytes(file.read())
    except (OSError, ValueError, ImportError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "reason", None) or error
        raise DataError(f"`{address}` must be an address that can be read", f"got: {reason}", remedy) from error


def _check_exists(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"`{path}` must be a CSV, Parquet or Excel file", "it is a folder")
    if not path.exists():
        neighbours = []
        if path.parent.is_dir():
            neighbours = [p.name for p in path.parent.iterdir() if p.suffix in _ENDINGS]
        remedy = suggest(path.name, neighbours, label="Tables in that folder") if neighbours else "Check the path."
        raise DataError(f"`{path}` must be a file", "there is no such file", remedy)


def _unpacked(source: _Source) -> _Source:
    start = source.start()
    for signature, module in _PACKED.items():
        if start.startswith(signature):
            return _readable(source, partial(_open_packed, module, source))
    if not start.startswith(b"PK\x03\x04"):
        return source
    try:
        with source.opened() as file, zipfile.ZipFile(file) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
            if any(name.startswith("xl/") for name in names):
                return source
            if len(names) != 1:
                shown = ", ".join(f"`{name}`" for name in names[:8]) or "none"
                raise DataError(f"`{source.name}` must hold one table", f"it holds {shown}", "Unpack it, and give one.")
            content = archive.read(names[0])
    except (zipfile.BadZipFile, RuntimeError, OSError) as error:
        raise _unreadable(source.name, error) from error
    return _Source(name=names[0].rpartition("/")[2], opened=lambda: io.BytesIO(content))


def _open_packed(module: Any, source: _Source) -> IO[bytes]:
    opened: IO[bytes] = module.open(source.path or source.opened())
    return opened


def _readable(source: _Source, opened: Callable[[], IO[bytes]]) -> _Source:
    unpacked = _Source(name=source.name, opened=opened)
    try:
        unpacked.start()
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _unreadable(source.name, error) from error
    return unpacked


def _unreadable(name: str, error: Exception) -> DataError:
    remedy = "Unpack it first, with its password." if "password" in str(error) else "Download or pack it again."
    return DataError(f"`{name}` must be a whole archive or Excel workbook", f"unpacking it failed: {error}", remedy)


def _read_parquet(source: _Source) -> pd.DataFrame:
    import pyarrow

    try:
        with source.opened() as file:
            return pd.read_parquet(file)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"`{source.name}` must be a whole Parquet file", f"reading it failed: {error}") from error


def _read_excel(source: _Source, reading: Reading) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The first sheet of a workbook that has rows."""
    if util.find_spec("openpyxl") is None:
        remedy = "`pip install unitune[excel]`, or save the table as CSV."
        raise DataError("Excel workbooks are read with openpyxl, which must be installed", "it is not", remedy)
    try:
        with source.opened() as file:
            content = io.BytesIO(file.read())
        book = pd.ExcelFile(content, engine="openpyxl")
        # As they stand in the sheet: which columns hold missing values depends on their names.
        sheets = {name: pd.read_excel(book, sheet_name=name, header=None, nrows=100) for name in book.sheet_names}
        name = next((name for name, sheet in sheets.items() if len(sheet) > 1), None)
        if name is None:
            raise DataError(f"`{source.name}` must hold a sheet with a header and rows", "it has none")
        rows = sheets[name].dropna(how="all")
        above = int((rows.notna().sum(axis=1) > 1).idxmax()) if rows.shape[1] > 1 else int(rows.index[0])
        has_names = reading.header is not False
        columns = [str(cell) for cell in sheets[name].loc[above]]
        frame = pd.read_excel(
            book,
            sheet_name=name,
            header=above if has_names else None,
            dtype=dict.fromkeys(reading.text_columns, str),
            **(reading.missing_values(columns) if has_names else {}),
        )
    except DataError:
        raise
    except Exception as error:  # openpyxl raises whatever its parsers do
        raise DataError(f"`{source.name}` must be a whole Excel workbook", f"reading it failed: {error}") from error
    frame = frame.dropna(how="all").dropna(axis=1, how="all").reset_index(drop=True)
    if not has_names:
        frame.columns = [f"column_{number}" for number in range(1, frame.shape[1] + 1)]
    notes = []
    if len(sheets) > 1:
        notes.append(f"`{source.name}`: the sheet `{name}` of {len(sheets)} was read.")
    if above and has_names:
        lines = "line above the table was" if above == 1 else "lines above the table were"
        notes.append(f"`{source.name}`: {above} {lines} left out.")
    return frame, tuple(notes)


def _without_index(name: str, frame: pd.DataFrame, notes: tuple[str, ...]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table without a first column that has no name and counts the rows: an index that was saved with it."""
    if not frame.shape[1] or not str(frame.columns[0]).startswith("Unnamed: 0") or frame.shape[1] < 2:
        return frame, notes
    first = frame.iloc[:, 0]
    counts = pd.api.types.is_integer_dtype(first.dtype) and len(first) > 1 and (first.diff().iloc[1:] == 1).all()
    if not counts:
        return frame, notes
    note = f"`{name}`: the first column has no name and counts the rows; it is left out."
    return frame.iloc[:, 1:], (*notes, note)
