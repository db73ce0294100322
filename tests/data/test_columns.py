import datetime as dt

import numpy as np
import pandas as pd
import pytest

from unitune.data.columns import MISSING_DATE, ONE_HOT_LIMIT, encode, infer, missing
from unitune.data.schema import Column, Schema, input_names, unique_names
from unitune.errors import DataError

VARYING = [1.0, 2.0, 3.0]


def kind_of(values):
    return infer(pd.DataFrame({"c": values})).columns[0].kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3], "number"),
        ([1.5, None, 2.5], "number"),
        (["1.5", "2", ""], "number"),
        (["1,234.5", "12", "3"], "number"),
        (["1.234,5", "12", "3"], "number"),
        (pd.array([1, None, 3], dtype="Int64"), "number"),
        (pd.to_timedelta([1, 2, 3], unit="h"), "number"),
        ([True, False, True], "boolean"),
        ([True, None, False], "boolean"),
        (["TRUE", "false", ""], "boolean"),
        (pd.array([True, None, False], dtype="boolean"), "boolean"),
        (["a", "b", None], "category"),
        (pd.Categorical([3, 1, 3]), "category"),
        (pd.to_datetime(["2020-01-01", None, "2021-05-05"]), "date"),
        (pd.to_datetime(["2020-01-01", "2021-05-05"], utc=True), "date"),
        ([dt.date(2020, 1, 1), dt.date(2021, 1, 1)], "date"),
        (pd.period_range("2020-01", periods=3, freq="M"), "date"),
        (["2020-01-01", "2021-12-31", ""], "date"),
        (["2020-01-01T10:00:00Z", "2021-12-31T11:30:00+02:00"], "date"),
        (["31.12.2020", "01.02.2021"], "date"),
        (["12/31/2020", "01/02/2021"], "date"),
        (["31/12/2020 10:30", "01/02/2021 00:00"], "date"),
        (["1-2", "3-4", "5-6"], "category"),
        ([None, "x", 3], "category"),
    ],
)
def test_kinds(values, kind):
    assert kind_of(values) == kind


def test_many_values_are_hashed():
    few = [f"v{i % ONE_HOT_LIMIT}" for i in range(200)]
    many = [f"v{i % (ONE_HOT_LIMIT + 1)}" for i in range(200)]
    found = infer(pd.DataFrame({"few": few, "many": many}))
    assert [c.kind for c in found.columns] == ["category", "hashed"]
    assert found.columns[1].bins == 64


def test_values_and_missing_ones():
    frame = pd.DataFrame(
        {
            "number": [1.5, None, 3.0],
            "german": ["1.000,5", "", "2"],
            "text": [" a ", None, "b"],
            "flag": [True, None, False],
            "date": ["1970-01-02", None, "1969-12-31"],
        }
    )
    found = infer(frame)
    np.testing.assert_array_equal(found.values["number"], [1.5, np.nan, 3.0])
    np.testing.assert_array_equal(found.values["german"], [1000.5, np.nan, 2.0])
    assert found.values["text"].tolist() == ["a", "", "b"]
    assert found.values["flag"].tolist() == ["true", "", "false"]
    assert found.values["date"].tolist() == [1440, MISSING_DATE, -1440]
    for column in found.columns:
        assert missing(column, found.values[column.name]).tolist() == [False, True, False]


def test_time_zones_are_converted_to_utc():
    column = Column(name="t", input="t", kind="date")
    aware = pd.Series(pd.to_datetime(["1970-01-01 02:00+02:00"]))
    assert encode(column, aware).tolist() == [0]


def test_day_and_month_are_told_apart_by_the_values():
    day_first = infer(pd.DataFrame({"d": ["13/01/2020", "01/02/2020"]}))
    assert day_first.columns[0].format == "%d/%m/%Y"
    ambiguous = infer(pd.DataFrame({"d": ["03/01/2020", "01/02/2020"]}))
    assert ambiguous.columns[0].format == "%m/%d/%Y"
    assert any("month before the day" in note for note in ambiguous.notes)


def test_a_code_that_became_a_float_keeps_its_name():
    column = Column(name="c", input="c", kind="category")
    assert encode(column, pd.Series([7.0, None])).tolist() == ["7", ""]
    assert encode(column, pd.Series([7, 8])).tolist() == ["7", "8"]


def test_columns_without_information_are_dropped_and_noted():
    found = infer(pd.DataFrame({"a": VARYING, "same": [1, 1, 1], "none": [None] * 3, "blank": ["", " ", ""]}))
    assert [c.name for c in found.columns] == ["a"]
    dropped = " ".join(note for note in found.notes if note.startswith("Dropped"))
    assert all(f"`{name}`" in dropped for name in ("same", "none", "blank"))


def test_a_constant_with_gaps_is_kept_for_its_gaps():
    assert [c.name for c in infer(pd.DataFrame({"a": [1.0, None, 1.0]})).columns] == ["a"]


def test_identifiers_are_noted():
    n = 30
    frame = pd.DataFrame({"customer_id": np.arange(n) * 7 % 1000, "row": np.arange(n), "x": np.linspace(0, 1, n)})
    notes = [note for note in infer(frame).notes if "identifier" in note]
    assert [note.split("`")[1] for note in notes] == ["customer_id", "row"]


def test_numbers_beyond_single_precision_are_noted():
    frame = pd.DataFrame({"t": 1.7e9 + np.arange(10.0) ** 2})
    assert any("single precision" in note for note in infer(frame).notes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.inf, 2.0], r"finite.*row 1"),
        ([1.0, 1e39, 2.0], "finite"),
        ([[1], [2], [3]], "hold list"),
        ([1j, 2j, 3j], "complex"),
        ([None, None, None], "that varies"),
        ([5, 5, 5], "that varies"),
    ],
)
def test_columns_that_cannot_be_used(values, message):
    with pytest.raises(DataError, match=message):
        infer(pd.DataFrame({"c": values}))


@pytest.mark.parametrize(("kind", "value"), [("number", "abc"), ("date", "next week")])
def test_a_value_of_another_kind_is_refused(kind, value):
    with pytest.raises(DataError, match=value):
        encode(Column(name="c", input="c", kind=kind), pd.Series(["", value]))


def test_schema_survives_json():
    schema = Schema(
        columns=(
            Column(name="a/b", input="a_b", kind="hashed", bins=64),
            Column(name="d", input="d", kind="date", format="%d.%m.%Y"),
        )
    )
    assert Schema.from_json(schema.to_json()) == schema
    assert Schema.from_json(Schema(shape=(8, 8, 3)).to_json()).shape == (8, 8, 3)


def test_names_are_distinct_even_where_the_suffix_is_taken():
    assert unique_names(["a", "a", "a.1"]) == ("a", "a.2", "a.1")
    assert len(set(input_names(["a/b", "a_b", "a\\b"]))) == 3
