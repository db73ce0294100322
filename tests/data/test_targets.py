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
        ([1.0, np.inf, 2.5], None, "finite"),
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
    with pytest.raises(DataError, match="'d' in 1 rows"):
        encode_target(["d"], task=first.task, classes=first.classes, n_outputs=3)
    with pytest.raises(DataError, match="must have 2 columns"):
        encode_target([1.0], task="regression", classes=None, n_outputs=2)


@pytest.mark.parametrize("values", [[1, 2, 10], [10.0, 2.0, 1.0], [True, False, True]])
def test_an_object_column_of_numbers_keeps_their_type_and_order(values):
    target = read_target(pd.Series(values * 10, dtype=object), task="multiclass")
    assert target.classes.tolist() == sorted(set(values))
    assert {type(label) for label in target.classes.tolist()} <= {int, bool}
