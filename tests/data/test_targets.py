from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from unitune.data.targets import encode_target, read_target
from unitune.errors import DataError, OptionError

rng = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["b", "a", "b"], "binary", ["a", "b"]),
        ([True, False, True], "binary", [False, True]),
        ([0, 1, 1], "binary", [0, 1]),
        ([0.0, 1.0, 1.0], "binary", [0, 1]),
        ([-1, 1, 1], "binary", [-1, 1]),
        (["x", "y", "z", "x"], "multiclass", ["x", "y", "z"]),
        ([0, 1, 2] * 2, "multiclass", [0, 1, 2]),
        ([3, 5, 9] * 5, "multiclass", [3, 5, 9]),
        (np.arange(10), "regression", None),
        ([1.5, 2.5, 3.0], "regression", None),
        (np.arange(100), "regression", None),
        (pd.Categorical(["u", "v", "u"]), "binary", ["u", "v"]),
        (pd.Series(["u", "v", "u"], dtype="string"), "binary", ["u", "v"]),
        (pd.Series([1, 0, 1], dtype="Int64"), "binary", [0, 1]),
        (np.array([[0], [1], [1]]), "binary", [0, 1]),
        (np.eye(3)[[0, 1, 2, 0, 1]], "multiclass", [0, 1, 2]),
        (np.array([[1.5, 2.0], [2.5, 1.0]]), "regression", None),
        (pd.DataFrame({"a": [1.0, 2.5], "b": [3.0, 1.0]}), "regression", None),
    ],
)
def test_the_task_is_inferred(values, task, classes):
    found = read_target(values)
    assert found.task == task
    assert (None if found.classes is None else found.classes.tolist()) == classes
    assert found.notes[-1 if task == "regression" else 0]


def test_labels_come_back_from_their_codes():
    labels = np.array(["setosa", "virginica", "versicolor"])[rng.integers(0, 3, 50)]
    found = read_target(labels)
    assert found.classes[found.y].tolist() == labels.tolist()


def test_regression_keeps_the_users_units():
    y = rng.normal(size=(20, 2))
    np.testing.assert_array_equal(read_target(y).y, y)
    assert read_target(y[:, 0]).y.shape == (20, 1)


def test_task_overrules():
    assert read_target([0, 1, 2] * 5, task="regression").task == "regression"
    assert read_target(np.arange(8) % 4, task="multiclass").classes.tolist() == [0, 1, 2, 3]
    assert read_target([0, 1, 0], task="multiclass").task == "multiclass"


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["a", None, "b"], None, "1 of 3 are missing, the first in row 1"),
        ([1.0, np.nan, 2.0], None, "missing"),
        (["a", "", "b"], None, "every row"),
        (["a", "a"], None, "at least two classes.*'a'"),
        ([1, 1, 1], None, "at least two classes"),
        ([1.5, 1.5], None, "must vary"),
        ([1.0, np.inf, 2.5], None, "finite, but 1 row is infinite. Drop"),
        ([None, None], None, "this one is empty"),
        (["2020-01-01", "2020-01-02", "2020-01-03"] * 9, None, '3 different dates.*task="multiclass"'),
        (["a", "b", "c"], "binary", "two classes"),
        (["a", "b", "c"], "regression", "numbers"),
        ([[1.5, 2], [2, 3]], "binary", "one column"),
        ([f"name {i}" for i in range(50)], None, "several rows of each class"),
        (np.zeros((2, 2, 2)), None, "shape"),
    ],
)
def test_bad_targets(values, task, message):
    with pytest.raises(DataError, match=message):
        read_target(values, task=task)


def test_an_unknown_task_lists_the_known_ones():
    with pytest.raises(OptionError, match="Did you mean `regression`"):
        read_target([1, 2], task="regresion")


def test_further_rows_take_the_classes_of_the_first():
    first = read_target(["b", "a", "c"] * 2)
    y = encode_target(["c", "a"], task=first.task, classes=first.classes, n_outputs=3)
    assert y.tolist() == [2, 0]
    with pytest.raises(DataError, match="'d' in 1 row\\."):
        encode_target(["d"], task=first.task, classes=first.classes, n_outputs=3)
    with pytest.raises(DataError, match="must have 2 columns"):
        encode_target([1.0], task="regression", classes=None, n_outputs=2)


@pytest.mark.parametrize("values", [[1, 2, 10], [10.0, 2.0, 1.0], [True, False, True]])
def test_an_object_column_of_numbers_keeps_their_type_and_order(values):
    target = read_target(pd.Series(values * 10, dtype=object), task="multiclass")
    assert target.classes.tolist() == sorted(set(values))
    assert {type(label) for label in target.classes.tolist()} <= {int, bool}


@pytest.mark.parametrize(
    ("cells", "decimal", "first"),
    [
        (["1,234.50", "$2,000", "17"], ".", 1234.5),
        (["1.234,50", "2.000,00", "17,5"], ".", 1234.5),
        (["1.234", "5.678", "9.101"], ",", 1234.0),
        (["12%", "3%", "7.5%"], ".", 12.0),
    ],
)
@pytest.mark.parametrize("task", [None, "regression"])
def test_amounts_are_numbers(cells, decimal, first, task):
    found = read_target(pd.Series([*cells, "3"]), task=task, decimal=decimal)
    assert found.task == "regression"
    assert found.y[0, 0] == first
    assert any("text that was read as numbers" in note for note in found.notes)
    later = encode_target(cells[:1], task="regression", classes=None, n_outputs=1, form=found.form)
    assert later.tolist() == [[first]]


def test_a_few_words_among_amounts_are_named():
    with pytest.raises(DataError, match=r"number in every row, but 2 of 62 rows have none \(`unknown` 2\). Drop these"):
        read_target([f"{n}.5" for n in range(60)] + ["unknown"] * 2)


def test_labels_as_text_stay_classes():
    assert read_target(["0", "1", "1"]).classes.tolist() == ["0", "1"]
    assert read_target(np.array(["yes", "no", "yes"])).classes.tolist() == ["no", "yes"]


@pytest.mark.parametrize("labels", [np.array([b"yes", b"no"]), np.array([b"yes", b"no"], dtype=object)])
def test_bytes_are_text(labels):
    assert read_target(labels).classes.tolist() == ["no", "yes"]


@pytest.mark.parametrize("one", [1.0, Decimal(1), np.float32(1), Fraction(1)])
def test_numbers_in_an_object_column_are_numbers(one):
    found = read_target(np.array([one, one * 2, one * 3] * 5, dtype=object))
    assert found.classes.tolist() == [1, 2, 3]
    assert read_target(np.array([one / 2, one, one * 2] * 5, dtype=object)).task == "regression"


@pytest.mark.parametrize("labels", [["a", 1, 2], ["a", 1.5], [True, "yes"], [1, True]])
def test_labels_of_several_types_are_refused(labels):
    with pytest.raises(DataError, match=r"labels of one type.*text"):
        read_target(np.array(labels, dtype=object))


def test_a_sequence_of_labels_is_refused():
    rows = np.empty(2, dtype=object)
    rows[:] = [["a", "b"], ["a"]]
    with pytest.raises(DataError, match=r"one label or number for each row.*list"):
        read_target(rows)
    with pytest.raises(DataError, match=r"sequences of different lengths\. A sequence .* is no target"):
        read_target([["a", "b"], ["a"]])


def test_classes_or_quantities_are_asked_about():
    letters = read_target(np.arange(520) % 26)
    assert (letters.task, len(letters.classes)) == ("multiclass", 26)
    assert any('use `task="regression"`' in note for note in letters.notes)
    ages = read_target(rng.integers(18, 90, 600))
    assert ages.task == "regression"
    assert any('use `task="multiclass"`' in note for note in ages.notes)
    counts = read_target(rng.poisson(12, 600))
    assert counts.task == "regression"
    assert any('use `task="multiclass"`' in note for note in counts.notes)


def test_words_for_missing_and_letter_case_are_noted():
    found = read_target(["None", "x", "Yes", "yes"] * 5)
    assert any("`None` in `y` is taken as a class (5 rows)" in note for note in found.notes)
    assert any("`Yes`, `yes` of `y` differ only in upper and lower case" in note for note in found.notes)


@pytest.mark.parametrize(
    ("values", "task", "remedy"),
    [
        ([f"2020-01-{day:02d}" for day in range(1, 29)], None, "turn them into numbers"),
        ([f"name {n}" for n in range(50)], None, "another column as target"),
        ([f"name {n}" for n in range(50)], "regression", "another column as target"),
        (["x", "y"] * 5, "regression", "Leave `task` out"),
    ],
)
def test_remedies_do_not_go_round_in_circles(values, task, remedy):
    with pytest.raises(DataError, match=remedy):
        read_target(values, task=task)
