"""How a CSV file is laid out: its separator, quotation marks, header, and what stands around the table."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from unitune.data.csv_lines import RULE, Kept

SPACES = " "
"""The separator of columns that any number of blanks stands between."""

_SEPARATORS = ",;\t|"
_COMMENTS = ("#", "%", "//")
_MOST_TITLES = 10
_MOST_FOOTERS = 10
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+")
_FRACTION = re.compile(r"\d[.,]\d")
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the lines of a file are cut, and which of them are the table.

    Attributes:
        separator: Between columns; `SPACES` is any number of blanks.
        quote: What stands around fields that hold a separator.
        kept: Which lines are the table.
        names: Of the columns, where the file has no header, or one that is a field short.
        has_header: Whether the first line is one.
        row_names: Whether the first column holds names of rows.
    """

    separator: str
    quote: str = '"'
    kept: Kept = field(default_factory=Kept)
    names: tuple[str, ...] | None = None
    has_header: bool = True
    row_names: bool = False


def find_layout(
    name: str, text: str, separator: str | None, *, header: bool | None, expected: frozenset[str], whole: bool
) -> tuple[Layout, list[list[str]], list[str]]:
    """What the beginning of a file tells.

    Args:
        name: What messages call it.
        text: The beginning, or all of it.
        separator: Between columns; None finds it.
        header: Whether the first row holds the names of the columns; None finds out.
        expected: Names that the header should have.
        whole: Whether this is the whole file.

    Returns:
        The layout, the rows of the text with the header first, and notes.
    """
    lines = list(io.StringIO(text, newline=""))
    notes: list[str] = []
    at, comments = 0, []
    while at < len(lines):
        said = _SEPARATOR_LINE.fullmatch(lines[at])
        if said:
            separator = separator or said[1]
        elif lines[at].startswith(_COMMENTS):
            comments.append(lines[at])
        elif lines[at].strip() and not RULE.fullmatch(lines[at]):
            break
        at += 1
    comment = next((mark for mark in _COMMENTS if comments and comments[0].startswith(mark)), "")
    kept = Kept(skip=at, comment=comment, rules=any(map(RULE.fullmatch, lines)))
    found = separator or find_separator("".join(kept.of(lines[at:])))
    quote = _find_quote(sample_rows("".join(kept.of(lines[at:])), found))
    if whole:
        n_footers, footer = _footers(lines[at:], found, quote)
        kept = replace(kept, stop=len(lines) - at - n_footers) if n_footers else kept
        if footer:
            notes.append(f"`{name}`: what stands below the table was left out (`{footer}`).")
    body = "".join(kept.of(lines[at:]))
    rows = sample_rows(body, found, quote)
    layout = Layout(separator=found, quote=quote, kept=kept)
    if comments:
        titled = sample_rows(comments[-1].lstrip("#%/ "), found, quote)
        if rows and titled and len(titled[0]) == len(rows[0]) > 1 and not has_header(rows):
            # `#chrom pos ref`: the last comment names the columns.
            rows = [titled[0], *rows]
            layout = replace(layout, names=tuple(titled[0]), has_header=False)
            return layout, rows, [f"`{name}`: the last comment line holds the names of the columns."]
        notes.append(f"`{name}`: lines that begin with `{comment}` are comments.")
    if not rows:
        return layout, rows, notes
    n_titles, rows = _without_titles(body, rows, expected)
    if n_titles:
        notes.append(
            f"`{name}`: {n_titles} {'line' if n_titles == 1 else 'lines'} above the table "
            f"{'was' if n_titles == 1 else 'were'} left out."
        )
        stop = None if kept.stop is None else kept.stop - n_titles
        layout = replace(layout, kept=replace(kept, skip=kept.skip + n_titles, stop=stop))
    width = Counter(len(row) for row in rows[1:]).most_common(1)[0][0] if len(rows) > 1 else len(rows[0])
    if header is not False and len(rows) > 1 and len(rows[0]) == width - 1:
        if all(not row[-1] for row in rows[1:] if len(row) == width):
            return layout, rows, notes  # a separator at the end of each row
        notes.append(f"`{name}`: the header is one field short, so the first column holds row names and is left out.")
        names = ("row names", *rows[0])
        rows = [list(names), *rows[1:]]
        return replace(layout, names=names, row_names=True), rows, notes
    if header is None and len(rows) > 1:
        header = any(not _NUMBER.fullmatch(one) for one in expected.intersection(rows[0]))
        header = header or has_header(rows) or (rows[0] in rows[1:] and _above_numbers(_once(rows)))
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
        return layout, [list(names), *rows], notes
    line = next(line for line in io.StringIO(body, newline="") if line.strip())
    if rows[0] in rows[1:] and sample_rows(line, found, quote) == rows[:1]:
        layout = replace(layout, kept=replace(layout.kept, again=line.rstrip("\r\n")))
        rows = _once(rows)
        notes.append(f"`{name}`: the header stands in it again, which is left out.")
    twice = [cell for cell, n in Counter(rows[0]).items() if n > 1 and cell]
    if twice:
        notes.append(f"`{name}` has several columns called `{twice[0]}`; the second is called `{twice[0]}.1`.")
    return layout, rows, notes


def _find_quote(rows: Sequence[Sequence[str]]) -> str:
    """What stands around fields: an apostrophe where all names and most cells have it."""
    if rows and rows[0] and all(len(c) > 1 and c[0] == c[-1] == "'" for c in rows[0]):
        cells = [cell for row in rows[1:] for cell in row if cell]
        if 2 * sum(cell[0] == cell[-1] == "'" for cell in cells) >= len(cells):
            return "'"
    return '"'


def _footers(lines: Sequence[str], separator: str, quote: str) -> tuple[int, str]:
    """How many physical lines stand below a table, which are no rows since they have no separator, and the first."""
    rows = sample_rows("".join(lines), separator, quote)
    width = Counter(len(row) for row in rows).most_common(1)[0][0] if rows else 0
    if width < 2 or separator == SPACES or any(separator in line and line.count(quote) % 2 for line in lines):
        return 0, ""  # a line may be a part of a field
    at, found, first = len(lines), 0, ""
    while at > 2 and found <= _MOST_FOOTERS and separator not in lines[at - 1]:
        at -= 1
        if lines[at].strip():
            found, first = found + 1, "".join(filter(str.isprintable, lines[at])).strip()
    if not found or found > _MOST_FOOTERS:
        return 0, ""
    return len(lines) - at, first if len(first) <= 60 else first[:57] + "..."


def _without_titles(body: str, rows: list[list[str]], names: frozenset[str]) -> tuple[int, list[list[str]]]:
    """How many physical lines of titles stand above the table, and its rows.

    Titles have one field, the table more; or they are what stands above a header that has the names that are expected.
    """
    width, lines = Counter(len(row) for row in rows).most_common(1)[0]
    n_titles = 0
    expected = [place for place, row in enumerate(rows[: _MOST_TITLES + 1]) if names.intersection(row)]
    if expected and expected[0] and len(set(rows[expected[0]])) == width and has_header(rows[expected[0] :]):
        n_titles = expected[0]
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
    if _above_numbers(rows):
        return True
    if not numbers:
        # Words above words: a row, if each of them stands in its column again.
        return not all(cell in column for cell, column in words)
    if len({cell for cell, _ in numbers}) < len(numbers) or any(cell in column for cell, column in words):
        return False
    if not words and any(column and not any(map(_NUMBER.fullmatch, column)) for _, column in numbers):
        return True  # a number above words
    return _are_names([cell for cell, _ in numbers], [column for _, column in numbers])


def _above_numbers(rows: Sequence[Sequence[str]]) -> bool:
    """Whether in some column a word stands in the first row, and numbers below it."""
    for place, cell in enumerate(rows[0]):
        if cell and not _NUMBER.fullmatch(cell):
            column = [row[place] for row in rows[1:] if len(row) == len(rows[0]) and row[place]]
            if column and all(map(_NUMBER.fullmatch, column)):
                return True
    return False


def _once(rows: Sequence[list[str]]) -> list[list[str]]:
    """The rows without those that are the first again."""
    return [rows[0], *(row for row in rows[1:] if row != rows[0])]


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


def sample_rows(text: str, separator: str, quote: str = '"') -> list[list[str]]:
    """The first rows of a text, cut at the separator; none where that cannot be done."""
    lines = list(io.StringIO(text, newline=""))[:1000]
    if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")):
        lines = lines[:-1] if len(text) > 4096 else lines
    try:
        return [[cell.strip() for cell in row] for row in _cut(lines, separator, quote) if row]
    except csv.Error:
        return []


def _cut(lines: list[str], separator: str, quote: str) -> Iterator[list[str]]:
    if separator == SPACES:
        lines = [line.strip().replace("\t", " ") + "\n" for line in lines if line.strip()]
    return csv.reader(lines, delimiter=separator, quotechar=quote, skipinitialspace=True)
