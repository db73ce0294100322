import numpy as np
import pytest
from sklearn import datasets

from unitune.diagnosis import best_single_feature


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_real_features_do_not_give_the_target_away(name):
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    assert best_single_feature(x, y, "multiclass")[1] < 0.97


@pytest.mark.parametrize("leak", [lambda y: y * 3.0, lambda y: -y + 0.001 * np.arange(len(y)) / len(y)])
def test_a_copy_of_the_target_is_found(leak):
    x, y = datasets.load_wine(return_X_y=True)
    name, score = best_single_feature(np.column_stack([x, leak(y)]), y, "multiclass")
    assert name == "feature 14"
    assert score > 0.97


def test_text_and_missing_values_are_looked_at_too():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    columns = {
        "size": np.where(rng.random(300) < 0.2, np.nan, rng.normal(size=300)),
        "code": np.array(["no", "yes"])[y],
    }
    assert best_single_feature(columns, y, "binary") == ("code", 1.0)


def test_identifiers_predict_nothing():
    y = np.random.default_rng(0).integers(0, 2, 300)
    ids = {"id": np.array([f"row {i}" for i in range(300)])}
    assert best_single_feature(ids, y, "binary")[1] < 0.3


def test_numbers_are_compared_by_rank():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(400, 1))
    noise = rng.normal(size=400)
    assert best_single_feature({"noise": noise, "cube": y[:, 0] ** 3}, y, "regression") == ("cube", pytest.approx(1.0))
    assert best_single_feature({"noise": noise}, y, "regression")[1] < 0.1


@pytest.mark.parametrize("x", [np.zeros((3, 2)), np.zeros((50, 600)), np.zeros((50, 28, 28))])
def test_nothing_is_said_where_there_is_nothing_to_look_at(x):
    name, score = best_single_feature(x, np.zeros(len(x), dtype=int), "binary")
    assert name == ""
    assert np.isnan(score)


def test_constant_columns_and_targets_are_no_leak():
    assert best_single_feature(np.ones((50, 1)), np.arange(50) % 2, "binary")[1] <= 0
    assert best_single_feature(np.ones((50, 1)), np.arange(50.0)[:, None], "regression")[1] == 0
