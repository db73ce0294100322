"""Shares of the variation against statsmodels, and what each value of a hyperparameter does."""

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from unitune.space import Choice, Float, Hyperparameter, Space
from unitune.stats import design_of, effect_marginals, effect_shares, is_complete, model_scores, sample_of

UNITS, ACTIVATIONS = (8, 16, 32, 64, 128), ("relu", "tanh", "gelu", "sigmoid")
SPACE = Space([Hyperparameter("units", Choice(UNITS, ordered=True)), Hyperparameter("activation", Choice(ACTIVATIONS))])
GRID = [{"units": u, "activation": a} for u, a in itertools.product(UNITS, ACTIVATIONS)]


def scores(seed, noise=0.3, interplay=0.3, cells=5):
    """`(trial, cell)` scores: effects of units, of activations and of both, of folds, and noise."""
    rng = np.random.default_rng(seed)
    trial = np.linspace(0, 2, 5)[:, None] + rng.normal(size=4) + interplay * rng.normal(size=(5, 4))
    return trial.reshape(-1, 1) + 0.5 * rng.normal(size=cells) + noise * rng.normal(size=(20, cells))


def posterior_of(values, seed=0):
    return model_scores(values, "maximize", design=design_of(SPACE, GRID), validation_ratio=0.25, seed=seed)


def omega_squared(values):
    """From a term to its share, by a two-way analysis of variance with folds."""
    frame = pd.DataFrame([{**one, "fold": fold} for one in GRID for fold in range(values.shape[1])])
    frame["y"] = values.ravel()
    table = anova_lm(ols("y ~ C(units) * C(activation) + C(fold)", frame).fit(), typ=2)
    ms = table.loc["Residual", "sum_sq"] / table.loc["Residual", "df"]
    total = ((values - values.mean()) ** 2).sum()
    names = {"C(units)": "units", "C(activation)": "activation", "C(fold)": "folds"}
    names["C(units):C(activation)"] = "units x activation"
    return {
        name: max(0.0, (table.loc[row, "sum_sq"] - table.loc[row, "df"] * ms) / (total + ms))
        for row, name in names.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_shares_agree_with_the_analysis_of_variance_within_their_intervals(seed):
    values = scores(seed)
    found = {one.term: one for one in effect_shares(posterior_of(values), SPACE)}
    assert list(found) == ["units", "activation", "units x activation", "folds", "seeds and the rest"]
    assert sum(one.share for one in found.values()) == pytest.approx(1)
    for term, share in omega_squared(values).items():
        assert found[term].low - 0.03 <= share <= found[term].high + 0.03, term
        assert found[term].share == pytest.approx(share, abs=0.08), term


def test_noise_is_not_taken_for_an_effect():
    rng = np.random.default_rng(0)
    found = effect_shares(posterior_of(rng.normal(size=(20, 5))), SPACE)
    effects = [one for one in found if one.term not in ("folds", "seeds and the rest")]
    assert all(one.low < 0.02 for one in effects)
    assert sum(one.share for one in effects) < 0.3


def test_equal_scores_have_nothing_to_share():
    found = effect_shares(posterior_of(np.ones((20, 5))), SPACE)
    assert all(np.isfinite([one.share, one.low, one.high]).all() for one in found)


def test_what_a_complete_grid_is():
    codes = np.array(list(itertools.product(range(3), range(2)))).T
    factors = {"a": codes[0], "b": codes[1]}
    assert is_complete(factors)
    assert not is_complete({name: code[:-1] for name, code in factors.items()})
    assert not is_complete({})


def test_a_sampled_space_is_divided_as_its_function_is():
    """Of a known function over two numbers and one that does nothing, within the intervals."""
    space = Space([Hyperparameter(name, Float(0.0, 1.0)) for name in ("a", "b", "idle")])
    rng = np.random.default_rng(1)
    rows = [
        {name: float(v) for name, v in zip("ab", row[:2], strict=True)} | {"idle": float(row[2])}
        for row in rng.random((60, 3))
    ]
    truth = np.array([np.sin(3 * one["a"]) + 0.5 * one["b"] for one in rows])
    values = truth[:, None] + 0.05 * rng.normal(size=(60, 5))
    posterior = model_scores(values, "maximize", design=design_of(space, rows), seed=0)
    found = {one.term: one for one in effect_shares(posterior, space)}
    x = (np.arange(500) + 0.5) / 500
    a, b = np.sin(3 * x).var(), (0.5 * x).var()
    whole = a + b + posterior.fold_variance + posterior.rest_variance
    assert found["a"].share == pytest.approx(a / whole, abs=0.12)
    assert found["b"].share == pytest.approx(b / whole, abs=0.12)
    assert found["idle"].share < 0.05


def test_marginals_are_what_to_expect_over_the_others_and_at_best():
    values = scores(0)
    posterior = posterior_of(values)
    codes = np.array([UNITS.index(one["units"]) for one in GRID])
    found = effect_marginals(posterior, codes)
    assert [one.value for one in found] == [0, 1, 2, 3, 4]
    for one in found:
        mine = values[codes == one.value]
        assert one.n_trials == 4
        assert one.low < mine.mean() < one.high
        assert codes[one.best] == one.value
        assert one.best_mean == pytest.approx(posterior.mean[codes == one.value].max(), abs=0.1)
    sampled = effect_marginals(
        posterior,
        codes,
        configurations=lambda code: design_of(SPACE, [{**one, "units": UNITS[code]} for one in sample_of(SPACE)]),
    )
    for one, other in zip(found, sampled, strict=True):
        assert other.mean == pytest.approx(one.mean, abs=0.5)
