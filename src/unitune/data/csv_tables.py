"""CSV files as people have them: encoding, separator, decimal mark, header and row names are found or given."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import IO, Any

import pandas as pd

from unitune.errors import DataError, OptionError

SAMPLE_BYTES = 1 << 18
SPACES = " "
"""The separator of columns that any number of blanks stands between."""

_SEPARATORS = ",;\t|"
_NAMED_SEPARATORS = {"\\t": "\t", "tab": "\t", "space": SPACES}
_COMMENTS = ("#", "%", "//")
_MOST_TITLES = 10
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
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+")
_FRACTION = re.compile(r"\d[.,]\d")
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)
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

    def missing_values(self, columns: Iterable[Any]) -> dict[str, Any]:
        """What pandas is to take for missing, as its arguments have it."""
        everywhere = [*_NEVER_A_WORD, *_MISSING_WORDS]
        words = {name.strip() for name in self.word_columns}
        if not words:
            return {"na_values": everywhere, "keep_default_na": False}
        by_column = {c: list(_NEVER_A_WORD) if str(c).strip() in words else everywhere for c in columns}
        return {"na_values": by_column, "keep_default_na": False}


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """What was found out about a file: `skip` lines stand above the table, lines that begin with `comment` in it."""

    separator: str
    skip: int = 0
    comment: str = ""
    names: tuple[str, ...] | None = None
    has_header: bool = True
    row_names: bool = False


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
    layout, rows, more = _layout(name, text, given, reading.header)
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
    try:
        with opened() as file, _lines(file, encoding, layout) as lines, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows lose their last field
            frame = pd.read_csv(
                lines,
                sep=r"\s+" if layout.separator == SPACES else layout.separator,
                decimal=decimal,
                skipinitialspace=True,
                dtype=dict.fromkeys(reading.text_columns, str),
                low_memory=False,
                index_col=False,
                **reading.missing_values(columns),
                **options,
            )
    except _BAD_TABLE as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        remedy = "Check the file, or set `separator=`."
        raise DataError(f"`{name}` must be a table", f"reading it failed: {reason}", remedy) from error
    if layout.row_names:
        frame = frame.iloc[:, 1:]
    frame.attrs["decimal"] = decimal
    return frame, tuple(notes)


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


def _lines(file: IO[bytes], encoding: str, layout: _Layout) -> Any:
    """The table's text, without what stands above it and comments in it."""
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    for _ in range(layout.skip):
        text.readline()
    if not layout.comment:
        return text
    with text:
        return io.StringIO("".join(line for line in text if not line.startswith(layout.comment)), newline="")


def _layout(
    name: str, text: str, separator: str | None, header: bool | None
) -> tuple[_Layout, list[list[str]], list[str]]:
    """What a sample tells: the layout, the sample's rows with the header first, and notes."""
    lines = list(io.StringIO(text, newline=""))
    notes: list[str] = []
    at, comments = 0, []
    while at < len(lines):
        said = _SEPARATOR_LINE.fullmatch(lines[at])
        if said:
            separator = separator or said[1]
        elif lines[at].startswith(_COMMENTS):
            comments.append(lines[at])
        elif lines[at].strip():
            break
        at += 1
    comment = next((mark for mark in _COMMENTS if comments and comments[0].startswith(mark)), "")
    body = "".join(line for line in lines[at:] if not comment or not line.startswith(comment))
    found = separator or find_separator(body)
    layout = _Layout(separator=found, skip=at, comment=comment)
    rows = sample_rows(body, found)
    if comments:
        titled = sample_rows(comments[-1].lstrip("#%/ "), found)
        if rows and titled and len(titled[0]) == len(rows[0]) > 1 and not has_header(rows):
            # `#chrom pos ref`: the last comment names the columns.
            rows = [titled[0], *rows]
            layout = replace(layout, names=tuple(titled[0]), has_header=False)
            return layout, rows, [f"`{name}`: the last comment line holds the names of the columns."]
        notes.append(f"`{name}`: lines that begin with `{comment}` are comments.")
    if not rows:
        return layout, rows, notes
    n_titles, rows = _without_titles(body, rows)
    if n_titles:
        notes.append(f"`{name}`: {n_titles} {'line' if n_titles == 1 else 'lines'} above the table were left out.")
        layout = replace(layout, skip=layout.skip + n_titles)
    width = Counter(len(row) for row in rows[1:]).most_common(1)[0][0] if len(rows) > 1 else len(rows[0])
    if header is not False and len(rows) > 1 and len(rows[0]) == width - 1:
        if all(not row[-1] for row in rows[1:] if len(row) == width):
            return layout, rows, notes  # a separator at the end of each row
        notes.append(f"`{name}`: the header is one field short, so the first column holds row names and is left out.")
        names = ("row names", *rows[0])
        rows = [list(names), *rows[1:]]
        return replace(layout, names=names, row_names=True), rows, notes
    if header is None and len(rows) > 1:
        header = has_header(rows)
        if not header:
            notes.append(
                f"`{name}` has no header; its columns are called column_1 to column_{len(rows[0])}. "
                "If its first line is one, use `header=True`."
            )
        elif any(_NUMBER.fullmatch(cell) for cell in rows[0]):
            notes.append(
                f"`{name}`: the numbers of the first line are taken as names of columns. "
                "If it is a row, use `header=False`."
            )
    if header is False:
        names = tuple(f"column_{number}" for number in range(1, len(rows[0]) + 1))
        layout = replace(layout, names=names, has_header=False)
        rows = [list(names), *rows]
    return layout, rows, notes


def _without_titles(body: str, rows: list[list[str]]) -> tuple[int, list[list[str]]]:
    """How many physical lines of titles stand above the table, and its rows: titles have one field, the table more."""
    width, lines = Counter(len(row) for row in rows).most_common(1)[0]
    n_titles = 0
    while n_titles < min(_MOST_TITLES, len(rows) - 2) and sum(map(bool, rows[n_titles])) <= 1:
        n_titles += 1
    if not n_titles or width < 2 or lines < 2 or len(rows[n_titles]) < width - 1:
        return 0, rows
    seen = physical = 0
    for line in io.StringIO(body, newline=""):
        if seen == n_titles and line.strip():
            break
        physical += 1
        seen += bool(line.strip())
    return physical, rows[n_titles:]


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row holds names: its cells are of another kind than those below them.

    Example:
        >>> has_header([["a", "b"], ["1", "2"]]), has_header([["1.5", "no"], ["2.5", "yes"], ["3", "no"]])
        (True, False)
        >>> has_header([["2019", "2020", "2021"], ["0.5", "1.5", "2.5"], ["0.1", "0.2", "0.3"]])
        True
    """
    first = rows[0]
    below = [[row[place] for row in rows[1:] if len(row) == len(first) and row[place]] for place in range(len(first))]
    pairs = [(cell, column) for cell, column in zip(first, below, strict=True) if cell]
    words = [(cell, column) for cell, column in pairs if not _NUMBER.fullmatch(cell)]
    numbers = [(cell, column) for cell, column in pairs if _NUMBER.fullmatch(cell)]
    if any(column and all(map(_NUMBER.fullmatch, column)) for _, column in words):
        return True  # a word above numbers
    if not numbers:
        # Words above words: a row, if each of them stands in its column again.
        return not all(cell in column for cell, column in words)
    if len({cell for cell, _ in numbers}) < len(numbers) or any(cell in column for cell, column in words):
        return False
    if not words and any(column and not any(map(_NUMBER.fullmatch, column)) for _, column in numbers):
        return True  # a number above words
    return _are_names([cell for cell, _ in numbers], [column for _, column in numbers])


def _are_names(cells: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether numbers in the first row are names: years, a count, or the steps of a scale, above other numbers."""
    values = [_value(cell) for cell in cells]
    known = [[_value(cell) for cell in column if _NUMBER.fullmatch(cell)] for column in below]
    apart = all(
        not column or not min(column) <= value <= max(column) for value, column in zip(values, known, strict=True)
    )
    whole = all(re.fullmatch(r"\d+", cell) for cell in cells)
    steps = {round(second - first, 9) for first, second in pairwise(values)}
    regular = len(steps) == 1 and min(steps) > 0
    fractions = any(len(column) > 2 and all(map(_FRACTION.search, column)) for column in below)
    if whole and all(1800 <= value <= 2100 for value in values) and (apart or fractions):
        return True
    counted = whole and regular and values[0] in (0, 1) and steps == {1.0}
    return (counted and (len(values) > 3 or apart or fractions)) or (regular and apart and len(values) > 2)


def _value(cell: str) -> float:
    return float(cell.replace(",", "."))


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


def find_separator(text: str) -> str:
    r"""The character that cuts the first lines into the most regular columns; a comma where none does.

    Example:
        >>> find_separator("a;b\n1,5;2,5\n"), find_separator("a b\n1  2\n3 4\n")
        (';', ' ')
    """
    best, best_score = ",", (0.0, 0)
    for separator in _SEPARATORS:
        counts = Counter(len(row) for row in sample_rows(text, separator))
        if not counts:
            continue
        width, lines = counts.most_common(1)[0]
        score = (lines / counts.total(), width)
        if width > 1 and score > best_score:
            best, best_score = separator, score
    if best_score[1] == 0:
        rows = sample_rows(text, SPACES)
        widths = {len(row) for row in rows[1:]}
        if len(widths) == 1 and len(rows) > 1 and len(rows[0]) > 1 and widths <= {len(rows[0]), len(rows[0]) + 1}:
            return SPACES
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


def sample_rows(text: str, separator: str) -> list[list[str]]:
    """The first rows of a text, cut at the separator; none where that cannot be done."""
    lines = list(io.StringIO(text, newline=""))[:1000]
    if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")):
        lines = lines[:-1] if len(text) > 4096 else lines
    try:
        return [[cell.strip() for cell in row] for row in _cut(lines, separator) if row]
    except csv.Error:
        return []


def _cut(lines: list[str], separator: str) -> Iterator[list[str]]:
    if separator == SPACES:
        lines = [line.strip().replace("\t", " ") + "\n" for line in lines if line.strip()]
    return csv.reader(lines, delimiter=separator, skipinitialspace=True)
