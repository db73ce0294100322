import numpy as np
import pandas as pd

from unitune.data.columns import MISSING_DATE
from unitune.models.dates import civil_parts, known_parts

RNG = np.random.default_rng(1)


def test_civil_parts_are_those_of_the_calendar():
    stamps = pd.to_datetime("1600-01-01") + pd.to_timedelta(RNG.integers(0, 4 * 10**8, 500), unit="m")
    edges = ["1900-02-28 23:59", "2000-02-29 00:00", "1970-01-01 00:00", "1969-12-31 23:59"]
    stamps = stamps.append(pd.to_datetime(edges))
    minutes = stamps.to_numpy().astype("datetime64[m]").astype(np.int64).astype(np.int32)
    expected = [stamps.year, stamps.month, stamps.day, stamps.day_of_week, stamps.hour * 60 + stamps.minute]
    for found, truth in zip(civil_parts(minutes), expected, strict=True):
        np.testing.assert_array_equal(found, truth)


def test_missing_dates_have_no_parts():
    parts = known_parts(np.array([[0], [MISSING_DATE]], dtype=np.int32), [0, 3])
    np.testing.assert_array_equal(parts, [[1970, 3], [np.nan, np.nan]])
