"""Text that means numbers or dates: in which form a column has them, and what its cells then are."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd

from unitune.records import Array

ENOUGH = 0.9
"""The share of a column's cells that must read as numbers or dates for the others to count as missing."""

POINT, COMMA = "1,234.5", "1.234,5"
"""The forms of numbers: which mark groups the digits, which one is decimal."""

_SIGNS = r"[$€£¥₹₽₩₺₫฿₦₴₪¢]|(?:US|A|C|R|HK|S|NZ)\$"
_CODES = (
    r"USD|EUR|GBP|CHF|JPY|CNY|CAD|AUD|NZD|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|ZAR|MXN|RUB|TRY|KRW|kr\.?|zł|Kč|Fr\.|Rs\.?"
)
_CURRENCY = rf"(?:{_SIGNS}|{_CODES})"
_BLANKS = " \u00a0\u202f\u2009"
_CELL = re.compile(
    rf"(?P<open>\()?(?P<sign>[+\-\u2212]?) ?(?:{_CURRENCY})?[{_BLANKS}]?(?P<inner>[+\-\u2212]?)"
    rf"(?P<digits>[\d.,'\u2019{_BLANKS}]*\d[.,]?(?:[eE][+-]?\d+)?)[{_BLANKS}]?(?:{_CURRENCY}|%)?(?P<close>\))?(?P<after>-)?"
)
_DIGITS = {
    POINT: re.compile(r"([1-9]\d{0,2}(?:,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d+)?"),
    COMMA: re.compile(r"([1-9]\d{0,2}(?:\.\d{3})+|\d+)?(,\d*)?([eE][+-]?\d+)?"),
}
_SPACED = re.compile(rf"[1-9]\d{{0,2}}(?:(?:[{_BLANKS}]\d{{3}})+|(?:['\u2019]\d{{3}})+)(?:[.,]\d*)?")

ISO = "ISO8601"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?)?")
_NO_DATE = re.compile(
    r"(9999|0000|0001)[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.](9999|0000|0001)\b.*|99991231"
)
_DATE_LIKE = re.compile(
    r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}(?!\d).*|\d{4}[-/]\d{1,2}|\d{1,2}[-/]\d{4}"
    r"|([A-Za-z]{3,9},? )?(\d{1,2}\.?[- ])?[A-Za-z]{3,9}\.?[- ,]+(\d{1,2},? )?\d{2,4}\b.*"
)
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y", "%m-%d-%y")
_DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y", "%d-%m-%y")
_PLAIN = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y.%m.%d", "%d.%m.%y")
_NAMED: tuple[str, ...] = (
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b %d %Y",
    "%B %d %Y",
)
_NAMED += ("%A, %B %d, %Y", "%a, %d %b %Y", "%d. %B %Y", "%b %Y", "%B %Y")
_MONTHS = ("%Y-%m", "%m/%Y", "%Y/%m")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M", "T%H:%M:%S")
_SAMPLE = 1000


def read_numbers(cells: Array, form: str) -> Array:
    """Text as float64 `(row,)`, NaN where it is no number of that form.

    Currency signs, percent signs, blanks and apostrophes between groups of digits are understood, and so are negative
    amounts in parentheses. `12%` is 12.

    Example:
        >>> read_numbers(np.array(["$1,234.50", "(3)", "12%", "many"], dtype=object), POINT).tolist()
        [1234.5, -3.0, 12.0, nan]
    """
    codes, distinct = pd.factorize(cells)
    return np.asarray(np.array([_number(cell, form) for cell in distinct], dtype=np.float64)[codes])


def _number(cell: str, form: str) -> float:
    found = _CELL.fullmatch(cell)
    if found is None or bool(found["open"]) != bool(found["close"]):
        return np.nan
    digits = found["digits"]
    if _SPACED.fullmatch(digits):
        digits = re.sub(rf"[{_BLANKS}'\u2019]", "", digits)
    if not _DIGITS[form].fullmatch(digits):
        return np.nan
    plain = digits.replace(",", "") if form == POINT else digits.replace(".", "").replace(",", ".")
    marks = found["sign"] + found["inner"] + (found["after"] or "")
    negative = found["open"] or "-" in marks or "\u2212" in marks
    return -float(plain) if negative else float(plain)


def number_form(cells: Array, decimal: str = ".") -> tuple[str, float]:
    """The form in which most cells read as numbers, and the share of them.

    Args:
        cells: Text, none of it empty.
        decimal: Of the file; decides where both forms read alike (`1.234`).

    Example:
        >>> number_form(np.array(["1.234,50", "7"], dtype=object))
        ('1.234,5', 1.0)
    """
    forms = (COMMA, POINT) if decimal == "," else (POINT, COMMA)
    sample = cells[:: max(1, len(cells) // _SAMPLE)]
    shares = {form: float(np.mean(~np.isnan(read_numbers(sample, form)))) for form in forms}
    best = max(forms, key=lambda form: shares[form])
    if shares[best] < ENOUGH / 2:
        return best, shares[best]
    whole = {form: float(np.mean(~np.isnan(read_numbers(cells, form)))) for form in forms}
    best = max(forms, key=lambda form: whole[form])
    return best, whole[best]


def no_date(cells: Array) -> Array:
    """Which texts stand for no date at all, as databases write it (`9999-12-31`, `0000-00-00`): bool `(row,)`."""
    codes, distinct = pd.factorize(cells)
    return np.asarray(np.array([bool(_NO_DATE.fullmatch(cell)) for cell in distinct], dtype=bool)[codes])


def read_dates(cells: Array, form: str) -> pd.Series:
    """Text as UTC timestamps `(row,)`, NaT where it is no date of that form, nor one of ISO 8601."""
    given = pd.Series(cells, dtype=object)
    given = given.where((given != "") & ~no_date(cells))
    stamps = pd.to_datetime(given, format=form or ISO, errors="coerce", utc=True)
    if form not in ("", ISO) and (stamps.isna() & given.notna()).any():
        stamps = stamps.where(stamps.notna(), pd.to_datetime(given, format=ISO, errors="coerce", utc=True))
    return stamps


def date_form(cells: Array, decimal: str = ".") -> tuple[str, float]:
    """The form in which most cells read as dates (`strptime`, or `"ISO8601"`), and the share of them.

    Args:
        cells: Text, none of it empty.
        decimal: Of the file. With a comma, the day stands before the month where both orders read alike.

    Example:
        >>> date_form(np.array(["Jan 05, 2020", "Feb 11, 2021"], dtype=object))
        ('%b %d, %Y', 1.0)
    """
    cells = cells[~no_date(cells)]
    sample = cells[:: max(1, len(cells) // _SAMPLE)]
    if not len(sample) or np.mean([bool(_DATE_LIKE.fullmatch(cell)) for cell in sample]) < ENOUGH:
        return "", 0.0
    if np.mean([bool(_ISO.fullmatch(cell)) for cell in sample]) >= ENOUGH:
        return ISO, float(read_dates(cells, ISO).notna().mean())
    orders = (*_DAY_FIRST, *_MONTH_FIRST) if decimal == "," else (*_MONTH_FIRST, *_DAY_FIRST)
    times = [time for time in _TIMES if (":" in time) == (":" in sample[0])]
    best, best_share = "", 0.0
    for date in (*_PLAIN, *orders, *_NAMED, *_MONTHS):
        for time in times:
            share = float(pd.to_datetime(pd.Series(sample), format=date + time, errors="coerce").notna().mean())
            if share > best_share:
                best, best_share = date + time, share
    if best_share < ENOUGH:
        return "", best_share
    if len(sample) < len(cells):
        swapped = [best] + [best.replace(a, b) for a, b in _swaps() if best.startswith(a)]
        shares = {form: float(read_dates(cells, form).notna().mean()) for form in swapped}
        best = max(swapped, key=lambda form: shares[form])
        best_share = shares[best]
    return best, best_share


def _swaps() -> list[tuple[str, str]]:
    pairs = list(zip(_MONTH_FIRST, _DAY_FIRST, strict=True))
    return [*pairs, *((b, a) for a, b in pairs)]


def examples(cells: Array, limit: int = 3) -> str:
    """The commonest of some texts with their counts.

    Example:
        >>> examples(np.array(["?", "unknown", "?"], dtype=object))
        '`?` 2, `unknown` 1'
    """
    counts = Counter(cells.tolist()).most_common()
    shown = ", ".join(f"`{cell}` {count}" for cell, count in counts[:limit])
    return shown if len(counts) <= limit else f"{shown}, ..."
