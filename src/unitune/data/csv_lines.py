"""The lines of a CSV file that belong to its table, read as they are asked for."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO

RULE = re.compile(r"(?=[\s|+:=-]*-{3,})[\s|+:=-]+")
"""A line that is drawn under a header, as databases and Markdown do: `---+---`, `|---|:-:|`."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Which lines of a file are its table.

    Attributes:
        skip: How many lines stand above it.
        stop: How many lines there are from there to what stands below it; None: to the end.
        comment: Lines that begin so are comments; empty for none.
        rules: Whether lines are drawn between rows.
        again: The header's line where it stands again further below, as in files that were put together; else empty.
    """

    skip: int = 0
    stop: int | None = None
    comment: str = ""
    rules: bool = False
    again: str = ""

    def of(self, lines: Iterable[str]) -> Iterator[str]:
        """The table's lines among those below what stands above it."""
        kept: Iterator[str] = iter(lines) if self.stop is None else islice(lines, self.stop)
        if self.comment:
            kept = (line for line in kept if not line.startswith(self.comment))
        if self.rules:
            kept = (line for line in kept if not RULE.fullmatch(line))
        return self._once(kept) if self.again else kept

    def _once(self, lines: Iterator[str]) -> Iterator[str]:
        seen = False
        for line in lines:
            if line.rstrip("\r\n") != self.again:
                yield line
            elif not seen:
                seen = True
                yield line


class TableLines(io.TextIOBase):
    """A text of the kept lines of a file: what pandas reads.

    Args:
        file: The file's bytes, which are closed with this.
        encoding: Of the text.
        kept: Which lines are kept.
    """

    def __init__(self, file: IO[bytes], encoding: str, kept: Kept) -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding, newline="")
        for _ in range(kept.skip):
            self._text.readline()
        self._lines = kept.of(self._text)
        self._plain = kept == Kept(skip=kept.skip)
        self._rest = ""

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1, /) -> str:
        """The next characters; all of them without a size."""
        if self._plain:
            return self._text.read(size)
        parts, n = [self._rest], len(self._rest)
        whole = size is None or size < 0
        for line in self._lines:
            parts.append(line)
            n += len(line)
            if not whole and n >= (size or 0):
                break
        text = "".join(parts)
        self._rest = "" if whole else text[size:]
        return text if whole else text[:size]

    @property
    def lines(self) -> Iterator[str]:
        """The lines, instead of characters."""
        return self._lines

    def close(self) -> None:
        """Closes the file, too."""
        self._text.close()
        super().close()


def without_empty_ends(lines: Iterable[str], separator: str, quote: str) -> tuple[io.StringIO, list[str]]:
    """Lines whose rows are no longer than the first: fields beyond it are left out where they are empty.

    Returns:
        The lines, and the first row that is longer all the same.
    """
    reader = csv.reader(lines, delimiter=separator, quotechar=quote, skipinitialspace=True)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    width = 0
    for row in reader:
        width = width or len(row)
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            return text, row
        writer.writerow(row[:width])
    text.seek(0)
    return text, []
