import sys

import numpy as np
import pandas as pd
import pytest

from unitune.report.figures import learning_curves_png, units_by_activation_png

PNG = b"\x89PNG\r\n\x1a\n"


def history(n_epochs=5, n_folds=3):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"fold": fold, "split": split, "epoch": epoch, "metric": metric, "value": rng.random()}
            for fold in range(n_folds)
            for split in ("train", "validation")
            for epoch in range(1, n_epochs + 1)
            for metric in ("loss", "accuracy")
        ]
    )


@pytest.mark.parametrize(("n_epochs", "n_folds"), [(1, 1), (5, 3), (60, 2)])
def test_learning_curves_are_drawn(n_epochs, n_folds):
    assert learning_curves_png(history(n_epochs, n_folds), title="units 8", best_epoch=3).startswith(PNG)


def test_curves_without_a_finite_value_are_drawn():
    empty = history().assign(value=np.nan)
    assert learning_curves_png(empty, title="").startswith(PNG)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("n", [1, 3, 40])
def test_heat_maps_are_drawn(direction, n):
    table = pd.DataFrame({"trial": range(n), "mean": np.linspace(0.5, 0.6, n), "units": range(n), "activation": "relu"})
    assert units_by_activation_png(table, objective="accuracy", direction=direction).startswith(PNG)


def test_a_run_of_another_family_gets_a_picture_that_says_so():
    table = pd.DataFrame({"trial": [1], "mean": [0.5], "model": ["mine"]})
    assert units_by_activation_png(table, objective="accuracy", direction="maximize").startswith(PNG)


def test_the_same_run_gives_the_same_bytes():
    assert learning_curves_png(history(), title="a") == learning_curves_png(history(), title="a")


def test_the_users_figures_are_left_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    learning_curves_png(history(), title="a")
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []
