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

MIXED = "1,234.5 or 1.234,5"
"""The form of columns in which some cells have a decimal point and others a decimal comma."""

TIMES = "h:mm"
"""The form of durations and times of day, which are read as minutes."""

_UNIT_MARK = " | "
_UNIT = re.compile(r"(?<=[\d.,)])\s?([^\W\d_]|[°µ/'\"])[^\d.,;:]{0,11}")
_TIME = re.compile(r"(-?)(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:[.,]\d+)?))?")

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
    # In India digits are grouped as 12,34,567.
    POINT: re.compile(r"([1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}|\d+)?(\.\d*)?([eE][+-]?\d+)?"),
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
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b %d %Y",
)
_NAMED += ("%A, %b %d, %Y", "%a, %d %b %Y", "%d. %b %Y", "%b %Y")
_MONTHS = ("%Y-%m", "%m/%Y", "%Y/%m")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M", "T%H:%M:%S")
# Babel has these names in all languages, in 10 MB; and pandas' own parser guesses.
_MONTH_NAMES = (
    "january januar jänner janv janvier enero ene gennaio gen janeiro januari",
    "february februar févr février febrero febbraio fevereiro fev februari",
    "march märz mär mrz mars marzo março maart mrt",
    "april avril avr abril abr aprile",
    "mai mayo maggio mag maio mei",
    "june juni juin junio giugno giu junho",
    "july juli juil juillet julio luglio lug julho",
    "august août aout agosto ago augustus",
    "september sept septembre septiembre setiembre settembre set setembro",
    "october oktober okt octobre octubre ottobre ott outubro out",
    "november novembre noviembre novembro",
    "december dezember dez déc décembre diciembre dic dicembre dezembro",
)
_ENGLISH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS_OF = {name: english for english, names in zip(_ENGLISH, _MONTH_NAMES, strict=True) for name in names.split()}
_MONTH = re.compile(r"[^\W\d_]{3,}\.?")
_AROUND = re.compile(r"(?<=\d)(?:st|nd|rd|th|er|º|ª)\b|\b(?:de|del|do) (?=\w)")
_ZONE = re.compile(r"(?<=\d) [A-Z]{3,4}$")
_SAMPLE = 1000


def read_numbers(cells: Array, form: str) -> Array:
    """Text as float64 `(row,)`, NaN where it is no number of that form.

    Currency signs, percent signs, blanks and apostrophes between groups of digits are understood, and so are negative
    amounts in parentheses. `12%` is 12.

    Args:
        cells: Text.
        form: From `number_form`.

    Example:
        >>> read_numbers(np.array(["$1,234.50", "(3)", "12%", "many"], dtype=object), POINT).tolist()
        [1234.5, -3.0, 12.0, nan]
    """
    codes, distinct = pd.factorize(cells)
    plain, _, unit = form.partition(_UNIT_MARK)
    return np.asarray(np.array([_number(_without(cell, unit), plain) for cell in distinct], dtype=np.float64)[codes])


def _without(cell: str, unit: str) -> str:
    """A cell without its unit, which may be in the plural and in other letters."""
    if unit:
        for end in (f"{unit}s", unit):
            if cell.casefold().endswith(end.casefold()):
                return cell[: -len(end)].rstrip()
    return cell


def _number(cell: str, form: str) -> float:
    if form == TIMES:
        time = _TIME.fullmatch(cell)
        if time is None:
            return np.nan
        minutes = 60 * int(time[2]) + int(time[3]) + float((time[4] or "0").replace(",", ".")) / 60
        return -minutes if time[1] else minutes
    if form == MIXED:
        # A mark that stands once is decimal here, and so is the last of both.
        points, commas = cell.count("."), cell.count(",")
        decimal_comma = cell.rfind(",") > cell.rfind(".") if points and commas else commas == 1 or points > 1
        return _number(cell, COMMA if decimal_comma else POINT)
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
        >>> number_form(np.array(["12 kg", "7.5 kg"], dtype=object))
        ('1,234.5 | kg', 1.0)
    """
    forms = (COMMA, POINT) if decimal == "," else (POINT, COMMA)
    sample = cells[:: max(1, len(cells) // _SAMPLE)]
    unit = _unit_of(sample)
    tried = [form + unit for form in (*forms, MIXED)]
    shares = {form: _share(sample, form) for form in tried}
    best = max(tried[:2], key=lambda form: shares[form])
    if shares[best] < ENOUGH <= shares[tried[2]]:
        best = tried[2]
    if shares[best] < ENOUGH / 2:
        return best, shares[best]
    whole = {form: _share(cells, form) for form in (tried[:2] if best in tried[:2] else tried[2:])}
    best = max(whole, key=lambda form: whole[form])
    return best, whole[best]


def _share(cells: Array, form: str) -> float:
    return float(np.mean(~np.isnan(read_numbers(cells, form))))


def _unit_of(cells: Array) -> str:
    """The unit of measure that stands behind nearly all numbers, as the end of a form; empty where there is none."""
    ends = [found[0].strip() for cell in cells if (found := _UNIT.search(cell)) and found.end() == len(cell)]
    alike = Counter(map(_singular, ends)).most_common(1)
    if not alike or alike[0][1] < ENOUGH * len(cells):
        return ""
    written = next(end for end in ends if _singular(end) == alike[0][0])
    return _UNIT_MARK + written[: len(alike[0][0])]


def _singular(unit: str) -> str:
    return unit.casefold().removesuffix("s") if len(unit) > 2 else unit.casefold()


def how_read(form: str) -> str:
    """What is said of numbers of a form that is not the usual one; empty for the usual ones.

    Example:
        >>> how_read("1,234.5 | kg"), how_read(POINT)
        ('numbers without their unit `kg`', '')
    """
    plain, _, unit = form.partition(_UNIT_MARK)
    if plain == TIMES:
        return "minutes"
    mixed = "numbers, some with a decimal point and some with a decimal comma" if plain == MIXED else ""
    return f"{mixed or 'numbers'} without their unit `{unit}`" if unit else mixed


def are_times(cells: Array) -> float:
    """The share of texts that are durations or times of day.

    Example:
        >>> are_times(np.array(["14:05", "1:02:03", "noon"], dtype=object)) > 0.6
        True
    """
    return _share(cells[:: max(1, len(cells) // _SAMPLE)], TIMES)


def no_date(cells: Array) -> Array:
    """Which texts stand for no date at all, as databases write it (`9999-12-31`, `0000-00-00`): bool `(row,)`."""
    codes, distinct = pd.factorize(cells)
    return np.asarray(np.array([bool(_NO_DATE.fullmatch(cell)) for cell in distinct], dtype=bool)[codes])


def read_dates(cells: Array, form: str) -> pd.Series:
    """Text as UTC timestamps `(row,)`, NaT where it is no date of that form, nor one of ISO 8601."""
    given = pd.Series(cells, dtype=object)
    given = given.where((given != "") & ~no_date(cells))
    form = form.replace("%B", "%b") or ISO
    stamps = pd.to_datetime(given, format=form, errors="coerce", utc=True)
    for other in dict.fromkeys((form, ISO)):
        left = stamps.isna() & given.notna()
        if left.any():
            stamps[left] = pd.to_datetime(in_english(given[left]), format=other, errors="coerce", utc=True)
    return stamps


def in_english(cells: pd.Series) -> pd.Series:
    """Dates with English names of months, in three letters, and without what stands around days and hours.

    Example:
        >>> in_english(pd.Series(["5 de marzo de 2020", "3. M\u00e4rz 2021", "March 3rd, 2021"])).tolist()
        ['5 Mar 2020', '3. Mar 2021', 'Mar 3, 2021']
    """

    def plain(cell: str) -> str:
        cell = _MONTH.sub(lambda word: _MONTHS_OF.get(word[0].rstrip(".").lower(), word[0]), cell)
        return _ZONE.sub("", _AROUND.sub("", cell))

    return cells.map(plain, na_action="ignore")


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
    sample = in_english(pd.Series(cells[:: max(1, len(cells) // _SAMPLE)], dtype=object))
    if not len(sample) or np.mean([bool(_DATE_LIKE.fullmatch(cell)) for cell in sample]) < ENOUGH:
        return "", 0.0
    iso = np.array([bool(_ISO.fullmatch(cell)) for cell in sample])
    if iso.mean() >= ENOUGH:
        return ISO, float(read_dates(cells, ISO).notna().mean())
    orders = (*_DAY_FIRST, *_MONTH_FIRST) if decimal == "," else (*_MONTH_FIRST, *_DAY_FIRST)
    other = sample[~iso]
    times = [time for time in _TIMES if (":" in time) == (":" in other.iloc[0])]
    best, best_share = "", 0.0
    for date in (*_PLAIN, *orders, *_NAMED, *_MONTHS):
        for time in times:
            read = pd.to_datetime(other, format=date + time, errors="coerce").notna()
            share = float(read.sum() + iso.sum()) / len(sample) if read.any() else 0.0
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


def examples(cells: Array) -> str:
    """The commonest of some texts with their counts.

    Example:
        >>> examples(np.array(["?", "unknown", "?"], dtype=object))
        '`?` 2, `unknown` 1'
    """
    counts = Counter(cells.tolist()).most_common()
    shown = ", ".join(f"`{cell}` {count}" for cell, count in counts[:3])
    return shown if len(counts) <= 3 else f"{shown}, ..."
