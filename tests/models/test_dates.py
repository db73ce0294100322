import numpy as np
import pandas as pd

from unitune.data.columns import MISSING_DATE
from unitune.models.dates import civil_parts, known_parts

RNG = np.random.default_rng(1)


def test_civil_parts_are_those_of_the_calendar():
    edges = ["1900-02-28T23:59", "2000-02-29T00:00", "1970-01-01T00:00", "1969-12-31T23:59"]
    drawn = np.datetime64("1600-01-01T00:00", "s") + 60 * RNG.integers(0, 4 * 10**8, 500)
    stamps = pd.DatetimeIndex(np.concatenate([drawn, np.array(edges, "datetime64[s]")]))
    minutes = stamps.to_numpy().astype("datetime64[m]").astype(np.int64).astype(np.int32)
    expected = [stamps.year, stamps.month, stamps.day, stamps.day_of_week, stamps.hour * 60 + stamps.minute]
    for found, truth in zip(civil_parts(minutes), expected, strict=True):
        np.testing.assert_array_equal(found, truth)


def test_missing_dates_have_no_parts():
    parts = known_parts(np.array([[0], [MISSING_DATE]], dtype=np.int32), [0, 3])
    np.testing.assert_array_equal(parts, [[1970, 3], [np.nan, np.nan]])
