import numpy as np
import pandas as pd
import pytest

from unitune.data.frames import raw_inputs
from unitune.data.load import dataset
from unitune.data.schema import Schema
from unitune.errors import DataError

FRAME = pd.DataFrame(
    {
        "km/h": [1.5, None, 3.0, 4.0],
        "code": ["007", "008", None, "7a"],
        "on": [True, False, None, True],
        "day": ["01.02.2020", "13.02.2020", "14.02.2020", ""],
        "y": [0, 1, 0, 1],
    }
)
DATA = dataset(FRAME, target="y")


def test_inputs_have_names_types_and_shapes_of_the_model():
    inputs = raw_inputs(Schema.from_json(DATA.raw_schema.to_json()), FRAME)
    assert list(inputs) == ["km_h", "code", "on", "day"]
    assert all(values.shape == (4, 1) for values in inputs.values())
    assert [inputs[name].dtype.kind for name in inputs] == ["f", "O", "O", "i"]
    assert inputs["km_h"].dtype == np.float32
    assert inputs["code"].ravel().tolist() == ["007", "008", "", "7a"]
    assert inputs["on"].ravel().tolist() == ["true", "false", "", "true"]


def test_a_file_gives_the_same_as_the_frame(tmp_path):
    path = tmp_path / "new.csv"
    # A file with fewer rows must not make numbers of codes or lose their zeros.
    new = FRAME.iloc[:2].drop(columns="y").assign(more=1)[["day", "on", "more", "code", "km/h"]]
    new.to_csv(path, index=False, sep=";", decimal=",")
    from_file, from_frame = raw_inputs(DATA.raw_schema, path), raw_inputs(DATA.raw_schema, new)
    for name in from_frame:
        np.testing.assert_array_equal(from_file[name], from_frame[name])


def test_dates_may_come_as_dates():
    typed = FRAME.assign(day=pd.to_datetime(FRAME["day"], format="%d.%m.%Y"))
    np.testing.assert_array_equal(raw_inputs(DATA.raw_schema, typed)["day"], raw_inputs(DATA.raw_schema, FRAME)["day"])


def test_unknown_categories_are_allowed():
    assert raw_inputs(DATA.raw_schema, FRAME.assign(code="new"))["code"].ravel().tolist() == ["new"] * 4


def test_arrays_and_numeric_tables_for_a_model_of_arrays(tmp_path):
    x = np.arange(12.0).reshape(4, 3)
    schema = dataset(x, [0, 1, 0, 1]).raw_schema
    path = tmp_path / "x.csv"
    pd.DataFrame(x, columns=["a", "b", "c"]).assign(name="text").to_csv(path, index=False)
    np.testing.assert_array_equal(raw_inputs(schema, x), x)
    np.testing.assert_array_equal(raw_inputs(schema, path), x)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (FRAME.drop(columns="code"), r"`code` is missing"),
        (FRAME.rename(columns={"km/h": "km/H"}), r"Did you mean `km/H`"),
        (FRAME.assign(**{"km/h": "fast"}), "'fast'"),
        (FRAME.assign(day="soon"), "'soon'"),
        (FRAME.head(0), "must have rows"),
        (np.ones((2, 2)), "table with the columns"),
    ],
)
def test_rows_that_do_not_fit(source, message):
    with pytest.raises(DataError, match=message):
        raw_inputs(DATA.raw_schema, source)


def test_arrays_that_do_not_fit():
    schema = Schema(shape=(3,))
    for source in (np.ones((2, 4)), pd.DataFrame(np.ones((2, 4))), np.full((2, 3), np.nan)):
        with pytest.raises(DataError):
            raw_inputs(schema, source)
