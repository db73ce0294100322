import datetime as dt

import numpy as np
import pandas as pd
import pytest

from unitune.data.cells import COMMA, POINT, date_form, number_form, read_numbers
from unitune.data.columns import MISSING_DATE, encode, infer
from unitune.errors import DataError


def days(*texts):
    return [int((pd.Timestamp(text) - pd.Timestamp(0)).total_seconds()) // 60 for text in texts]


def text(*cells):
    return np.array(cells, dtype=object)


@pytest.mark.parametrize(
    ("cell", "form", "number"),
    [
        ("1,234.50", POINT, 1234.5),
        ("1.234,50", COMMA, 1234.5),
        ("$1,234", POINT, 1234),
        ("-$1,234.5", POINT, -1234.5),
        ("$-3", POINT, -3),
        ("(12.5)", POINT, -12.5),
        ("€ 1.234", COMMA, 1234),
        ("1.234,50 €", COMMA, 1234.5),
        ("USD 12", POINT, 12),
        ("12 CHF", POINT, 12),
        ("1'234.50", POINT, 1234.5),
        ("1 234,5", COMMA, 1234.5),
        ("1\u202f234,5", COMMA, 1234.5),
        ("12%", POINT, 12),
        ("12.5 %", POINT, 12.5),
        ("\u22125", POINT, -5),
        ("5-", POINT, -5),
        ("1e-3", POINT, 0.001),
        ("0,123", COMMA, 0.123),
        (".5", POINT, 0.5),
        ("0,123", POINT, np.nan),
        ("A12", POINT, np.nan),
        ("12 kg", POINT, np.nan),
        ("1.2.3", POINT, np.nan),
        ("079 123", POINT, np.nan),
        ("", POINT, np.nan),
        ("(5", POINT, np.nan),
        ("-", POINT, np.nan),
    ],
)
def test_numbers(cell, form, number):
    np.testing.assert_equal(read_numbers(text(cell), form)[0], number)


def test_the_file_decides_where_a_number_can_be_read_in_two_ways():
    assert number_form(text("1.234", "5.678"), ".")[0] == POINT
    assert number_form(text("1.234", "5.678"), ",")[0] == COMMA
    frame = pd.DataFrame({"a": ["1.234", "5.678"]})
    frame.attrs["decimal"] = ","
    assert infer(frame).values["a"].tolist() == [1234, 5678]


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (("Jan 05, 2020", "Dec 31, 2021"), "%b %d, %Y"),
        (("January 5, 2020", "May 31, 2021"), "%b %d, %Y"),
        (("March 3rd, 2021", "April 1st, 2020"), "%b %d, %Y"),
        (("3. März 2021", "31. Dezember 2020"), "%d. %b %Y"),
        (("1er août 2021", "3 févr. 2020"), "%d %b %Y"),
        (("5 de marzo de 2020", "31 de enero de 2021"), "%d %b %Y"),
        (("31/12/2020", "2021-01-02"), "%d/%m/%Y"),
        (("2020-01-05 10:00 CET", "2020-07-05 11:30 CEST"), "ISO8601"),
        (("05 Jan 2020", "31 Dec 2021"), "%d %b %Y"),
        (("05-Jan-2020", "31-Dec-2021"), "%d-%b-%Y"),
        (("31/12/2020", "01/02/2021"), "%d/%m/%Y"),
        (("12/31/2020", "01/02/2021"), "%m/%d/%Y"),
        (("31.12.20", "01.02.21"), "%d.%m.%y"),
        (("12/31/2020 3:15 PM", "01/02/2021 11:00 AM"), "%m/%d/%Y %I:%M %p"),
        (("2020-01", "2021-12"), "%Y-%m"),
        (("2020-01-05T10:00:00Z", "2021-12-31T11:30:00+02:00"), "ISO8601"),
        (("5.3", "2.2"), ""),
        (("12-34", "56-78"), ""),
        (("May flowers", "June bugs"), ""),
    ],
)
def test_dates(cells, form):
    assert date_form(text(*cells))[0] == form


def test_the_order_of_day_and_month_follows_from_all_cells_and_the_file():
    many = text(*[f"{1 + i % 12:02d}/05/2020" for i in range(95)], "31/05/2020")
    assert date_form(many)[0] == "%d/%m/%Y"
    assert date_form(text("01/02/2020", "03/04/2020"), ",")[0] == "%d/%m/%Y"


def test_a_few_words_among_numbers_are_missing_and_said():
    cells = ["$1,000"] * 96 + ["unknown"] * 3 + ["?"]
    found = infer(pd.DataFrame({"a": cells, "b": range(100)}))
    assert found.columns[0].kind == "number"
    assert np.isnan(found.values["a"]).sum() == 4
    assert any("`a` is read as numbers; 4 of 100 values are none (`unknown` 3, `?` 1)" in note for note in found.notes)
    # Later rows are read alike, whatever their words.
    assert np.isnan(encode(found.columns[0], pd.Series(["n.a.", "5"])))[0]


@pytest.mark.parametrize(
    ("cells", "numbers", "said"),
    [
        (("12.5 kg", "7 kg", "1,200 kg"), (12.5, 7, 1200), "without their unit `kg`: `12.5 kg` as 12.5"),
        (("2 days", "1 day", "3 Days"), (2, 1, 3), "without their unit `day`"),
        (("1.5 s", "12 s"), (1.5, 12), "without their unit `s`"),
        (("20°C", "-3°C"), (20, -3), "without their unit `°C`"),
        (
            ("0,25", "0.500", "2.125", "12,75"),
            (0.25, 0.5, 2.125, 12.75),
            "some with a decimal point and some with a decimal comma",
        ),
        (("0:45", "1:02:30", "23:59"), (45, 62.5, 1439), "read as minutes: `0:45` as 45"),
        (("1,23,456", "12,34,567.5"), (123456, 1234567.5), ""),
    ],
)
def test_numbers_with_what_people_write_around_them(cells, numbers, said):
    found = infer(pd.DataFrame({"a": cells}))
    assert found.values["a"].tolist() == list(numbers)
    assert said in " ".join(found.notes)
    assert encode(found.columns[0], pd.Series(cells[:1])).tolist() == [numbers[0]]


@pytest.mark.parametrize(
    "cells", [("5a", "6b", "7c"), ("10-20 kg", "20-30 kg"), ("Room 1", "Room 2"), ("1:75", "2:99")]
)
def test_codes_and_ranges_are_no_numbers(cells):
    assert infer(pd.DataFrame({"a": cells})).columns[0].kind == "category"


def test_digits_that_name_things_are_text():
    ids = [10**18 + 7 * i for i in range(60)]
    found = infer(pd.DataFrame({"zip": ["00501", "10001"] * 30, "id": ids, "uid": [str(10**20 + i) for i in ids]}))
    assert [column.kind for column in found.columns] == ["category", "hashed", "hashed"]
    assert found.values["zip"][:2].tolist() == ["00501", "10001"]
    many = infer(pd.DataFrame({"padded": [f"{i:04d}" for i in range(60)]}))
    assert many.columns[0].kind == "number"


def test_many_words_among_numbers_are_categories():
    assert infer(pd.DataFrame({"a": ["1"] * 80 + ["many"] * 20})).columns[0].kind == "category"


def test_a_column_of_numbers_alone_refuses_words_later():
    (column,) = infer(pd.DataFrame({"a": ["$1", "$2"]})).columns
    with pytest.raises(DataError, match="must hold numbers, but got 'many'"):
        encode(column, pd.Series(["many"]))


@pytest.mark.parametrize(
    "values",
    [
        ["2020-01-01", "9999-12-31", "2021-05-05"],
        ["01/01/2020", "12/31/9999", "05/05/2021"],
        ["2020-01-01", "0000-00-00", "2021-05-05"],
        [dt.date(2020, 1, 1), dt.date(9999, 12, 31), dt.date(2021, 5, 5)],
        pd.Series(["2020-01-01", "9999-12-31", "2021-05-05"]).astype("datetime64[s]"),
    ],
)
def test_the_end_of_time_is_no_date(values):
    found = infer(pd.DataFrame({"until": values}))
    assert found.values["until"].tolist() == [days("2020-01-01")[0], MISSING_DATE, days("2021-05-05")[0]]
    assert any("stand for no date" in note for note in found.notes)


def test_days_written_as_one_number():
    found = infer(pd.DataFrame({"date": [20200131, 20210505], "code": [20200131, 20210505]}))
    assert [column.kind for column in found.columns] == ["date", "number"]
    assert found.values["date"].tolist() == days("2020-01-31", "2021-05-05")


def test_bytes_are_text():
    assert infer(pd.DataFrame({"a": [b"yes", b"no"]})).values["a"].tolist() == ["yes", "no"]


def test_sentences_are_free_text_and_names_are_not():
    sentences = [f"this is the text of row {i}" for i in range(60)]
    found = infer(pd.DataFrame({"note": sentences, "name": [f"n{i}" for i in range(60)]}))
    assert [column.kind for column in found.columns] == ["text", "hashed"]
    assert any("Free text" in note for note in found.notes)
