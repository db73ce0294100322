import numpy as np
import pandas as pd
import pytest

from unitune.report.prepared.curves import curves, shown_metrics
from unitune.report.prepared.heatmap import units_by_activation


def history(values):
    """A long table from `{(fold, split): [value of each epoch]}`."""
    rows = [
        {"fold": fold, "split": split, "epoch": epoch, "metric": "loss", "value": value}
        for (fold, split), each in values.items()
        for epoch, value in enumerate(each, 1)
    ]
    return pd.DataFrame(rows)


def test_a_curve_is_the_mean_with_the_extremes():
    table = history({(0, "train"): [1.0, 0.5], (1, "train"): [3.0], (0, "validation"): [2.0, np.nan]})
    train, validation = curves(table, "loss")
    assert (train.split, train.n_members) == ("train", 2)
    np.testing.assert_array_equal(train.mean, [2.0, 0.5])
    np.testing.assert_array_equal(train.low, [1.0, 0.5])
    np.testing.assert_array_equal(train.high, [3.0, 0.5])
    np.testing.assert_array_equal(validation.epoch, [1])


def test_the_loss_and_one_metric_are_shown():
    table = pd.DataFrame({"metric": ["loss", "accuracy", "auc", "learning_rate"]})
    assert shown_metrics(table) == ("loss", "accuracy")


def trials(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"trial": range(1, n + 1), **columns})


@pytest.mark.parametrize(("direction", "expected"), [("maximize", 0.9), ("minimize", 0.7)])
def test_a_cell_holds_the_best_of_its_trials(direction, expected):
    table = trials(mean=[0.7, 0.9, 0.5], units=[16, 16, 8], activation=["relu", "relu", "tanh"])
    grid = units_by_activation(table, direction)
    assert (grid.rows, grid.columns) == (("relu", "tanh"), ("8", "16"))
    assert grid.values[0, 1] == expected
    assert np.isnan(grid.values[0, 0])


def test_layers_of_their_own_show_the_first():
    table = trials(mean=[0.7], units_1=[16], activation_1=["relu"], units_2=[4])
    assert units_by_activation(table, "maximize").column_name == "units_1"


def test_many_units_are_put_into_ranges():
    table = trials(mean=np.linspace(0, 1, 100), units=range(1, 101), activation=["relu"] * 100)
    grid = units_by_activation(table, "maximize")
    assert len(grid.columns) <= 12
    assert grid.columns[0].startswith("1–")
    assert grid.values[0, -1] == 1.0
    assert np.isfinite(grid.values).all()


def test_failed_trials_and_other_families_have_no_grid():
    assert units_by_activation(trials(mean=[np.nan], units=[1], activation=["relu"]), "maximize") is None
    assert units_by_activation(trials(mean=[0.5], model=["mine"]), "maximize") is None
