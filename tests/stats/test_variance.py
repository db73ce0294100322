"""Shares of the variation against statsmodels, and on scores whose shares are known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from unitune.stats import Axis, forest_shares, is_complete, marginals, summarise, variance_shares

GRID = np.array(list(itertools.product(range(5), range(4), range(2)))).T
FACTORS = dict(zip(("units", "activation", "dropout"), GRID, strict=True))


def scores(seed=0, noise=0.3, interplay=0.5, cells=5):
    rng = np.random.default_rng(seed)
    units, activation, _ = GRID
    trial = rng.normal(size=5)[units] + rng.normal(size=4)[activation]
    trial = trial + interplay * rng.normal(size=(5, 4))[units, activation]
    return trial[:, None] + rng.normal(size=cells) + noise * rng.normal(size=(40, cells))


def test_omega_squared_is_that_of_type_2_sums_of_squares():
    values = scores()
    frame = pd.DataFrame({name: np.repeat(codes, 5) for name, codes in FACTORS.items()})
    frame["y"], frame["folds"] = values.ravel(), np.tile(np.arange(5), 40)
    formula = "y ~ (C(units) + C(activation) + C(dropout)) ** 2 + C(folds)"
    table = anova_lm(ols(formula, frame).fit(), typ=2)
    ms = table.loc["Residual", "sum_sq"] / table.loc["Residual", "df"]
    total = ((values - values.mean()) ** 2).sum()
    found = {one.term: one for one in variance_shares(FACTORS, values)}
    for row in table.index.drop("Residual"):
        term = row.replace("C(", "").replace(")", "").replace(":", " x ")
        expected = (table.loc[row, "sum_sq"] - table.loc[row, "df"] * ms) / (total + ms)
        assert found[term].share == pytest.approx(max(0, expected), abs=1e-9)
        assert found[term].low <= found[term].share <= found[term].high
    assert sum(one.share for one in found.values()) == pytest.approx(1)
    assert list(found)[3] == "units x activation"


def test_noise_is_not_taken_for_an_effect():
    rng = np.random.default_rng(0)
    found = variance_shares(FACTORS, rng.normal(size=(40, 5)))
    assert sum(one.share for one in found[:-1]) < 0.12
    assert all(one.low < 0.03 for one in found[:-1])


def test_the_interval_of_a_share_covers_it():
    truth, hit = 0.5, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        effect = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
        effect *= np.sqrt(truth / (1 - truth)) / effect.std()
        values = effect[GRID[0]][:, None] + rng.normal(size=(40, 1))
        share = variance_shares(FACTORS, values)[0]
        hit += share.low <= truth <= share.high
    assert hit >= 88


def test_one_split_of_two_hyperparameters_has_no_interplay_to_tell_from_noise():
    units, activation = np.array(list(itertools.product(range(3), range(3)))).T
    found = variance_shares({"units": units, "activation": activation}, np.arange(9.0)[:, None])
    assert [one.term for one in found] == ["units", "activation", "seeds and the rest"]


def test_equal_scores_have_nothing_to_share():
    assert all(one.share == 0 for one in variance_shares(FACTORS, np.ones((40, 5))))


def test_an_incomplete_grid_is_refused():
    part = {name: codes[:-1] for name, codes in FACTORS.items()}
    assert not is_complete(part)
    assert not is_complete({})
    with pytest.raises(ValueError, match="not complete"):
        variance_shares(part, np.zeros((39, 5)))


def test_a_forest_finds_what_matters():
    rng = np.random.default_rng(0)
    x = rng.random((150, 3))
    values = (np.sin(3 * x[:, 0]) + (x[:, 1] > 0.5) * (x[:, 0] > 0.5))[:, None] + rng.normal(size=(150, 5)) * 0.05
    axes = {f"h{i}": Axis(name=f"h{i}", x=x[:, i], grid=(np.arange(32) + 0.5) / 32) for i in range(3)}
    found = {one.term: one for one in forest_shares(axes, values)}
    # Integrals of the function over the unit square.
    a = (np.arange(2000) + 0.5) / 2000
    f = np.sin(3 * a)[:, None] + (a[None, :] > 0.5) * (a[:, None] > 0.5)
    total = f.var()
    first = f.mean(axis=1).var() / total
    second = f.mean(axis=0).var() / total
    assert found["h0"].share == pytest.approx(first, abs=0.1)
    assert found["h1"].share == pytest.approx(second, abs=0.1)
    assert found["h0 x h1"].share == pytest.approx(1 - first - second, abs=0.1)
    assert found["h2"].share < 0.03
    assert found["h0"].low <= found["h0"].share <= found["h0"].high
    assert sum(one.share for one in found.values()) == pytest.approx(1)


def test_a_forest_needs_trials():
    with pytest.raises(ValueError, match="10 trials"):
        forest_shares({"a": Axis(name="a", x=np.zeros(5), grid=np.zeros(2))}, np.zeros((5, 2)))


def test_marginals_are_means_and_bests():
    values = scores()
    found = marginals(GRID[0], values, "maximize", validation_ratio=0.25)
    assert [one.value for one in found] == [0, 1, 2, 3, 4]
    for one in found:
        mine = values[GRID[0] == one.value]
        assert one.n_trials == 8
        assert one.mean == pytest.approx(mine.mean())
        assert one.best_mean == pytest.approx(mine.mean(axis=1).max())
        assert one.best_low == pytest.approx(float(summarise(values[one.best], validation_ratio=0.25).low))
    assert marginals(GRID[0], values, "minimize")[0].best_mean < found[0].best_mean
    assert len(marginals(np.where(GRID[0] == 0, -1, GRID[0]), values, "minimize")) == 4
