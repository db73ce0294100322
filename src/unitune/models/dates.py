"""The parts of a date, the same for arrays and inside a Keras model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from unitune.data.columns import MISSING_DATE
from unitune.records import Array

T = TypeVar("T")

DATE_PARTS = ("year", "month", "day", "weekday", "minute of the day")


def civil_parts(minutes: T) -> tuple[T, T, T, T, T]:
    """The parts of a date in `DATE_PARTS` (Monday is 0), by integer arithmetic that arrays and Keras tensors share.

    Args:
        minutes: Whole minutes since 1970-01-01, NumPy array or Keras tensor of integers.

    Example:
        >>> civil_parts(60)
        (1970, 1, 1, 3, 60)

    Source: H. Hinnant, chrono-compatible low-level date algorithms, `civil_from_days`.
    """
    stamp: Any = minutes
    days = stamp // 1440
    shifted = days + 719468
    era = shifted // 146097
    day_of_era = shifted - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (year_of_era * 365 + year_of_era // 4 - year_of_era // 100)
    from_march = (day_of_year * 5 + 2) // 153
    day = day_of_year - (from_march * 153 + 2) // 5 + 1
    month = from_march + 3 - (from_march // 10) * 12
    year = year_of_era + era * 400 + from_march // 10
    return year, month, day, (days + 3) % 7, stamp - days * 1440


def known_parts(minutes: Array, chosen: Iterable[int]) -> Array:
    """Some parts of dates `(row, date)` as float64 `(row, part)`, NaN where the date is missing.

    `chosen` are positions among all years, then all months, and so on.
    """
    parts = np.concatenate(civil_parts(minutes), axis=1).astype(np.float64)
    parts[np.tile(minutes == MISSING_DATE, len(DATE_PARTS))] = np.nan
    return np.asarray(parts[:, list(chosen)])
