import numpy as np
import pytest
from scipy import stats

from unitune.stats import summarise


def correlated_scores(n: int, ratio: float, runs: int, seed: int) -> np.ndarray:
    """Scores around 0 whose pairwise correlation is that of resampled folds: ratio / (1 + ratio)."""
    rng = np.random.default_rng(seed)
    rho = ratio / (1 + ratio)
    common = rng.normal(size=(runs, 1)) * np.sqrt(rho)
    return common + rng.normal(size=(runs, n)) * np.sqrt(1 - rho)


def test_without_a_ratio_it_is_the_t_interval_of_scipy():
    values = np.array([0.91, 0.93, 0.88, 0.95, 0.90])
    summary = summarise(values)
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert summary.low == pytest.approx(low)
    assert summary.high == pytest.approx(high)
    assert summary.std == pytest.approx(values.std(ddof=1))


@pytest.mark.parametrize(("n", "ratio"), [(5, 0.25), (10, 1 / 9), (15, 0.25)])
def test_the_interval_covers_the_mean_of_correlated_scores_95_times_in_100(n, ratio):
    summary = summarise(correlated_scores(n, ratio, runs=20_000, seed=3), validation_ratio=ratio)
    covered = np.mean((summary.low <= 0) & (summary.high >= 0))
    assert covered == pytest.approx(0.95, abs=0.006)


def test_the_uncorrected_interval_is_too_narrow_for_correlated_scores():
    summary = summarise(correlated_scores(10, 1 / 9, runs=20_000, seed=4))
    assert np.mean((summary.low <= 0) & (summary.high >= 0)) < 0.90


def test_it_works_along_the_last_axis():
    values = np.random.default_rng(0).normal(size=(3, 4, 5))
    summary = summarise(values, validation_ratio=0.25)
    assert summary.mean.shape == (3, 4)
    one = summarise(values[1, 2], validation_ratio=0.25)
    assert summary.low[1, 2] == pytest.approx(float(one.low))


def test_a_single_score_has_no_interval():
    summary = summarise(np.array([0.5]))
    assert summary.mean == 0.5
    assert np.isnan(summary.std)
    assert np.isnan(summary.low)
    assert np.isnan(summary.high)


def test_a_nan_score_makes_all_nan():
    summary = summarise(np.array([0.5, np.nan, 0.6]))
    assert np.isnan([summary.mean, summary.std, summary.low, summary.high]).all()
