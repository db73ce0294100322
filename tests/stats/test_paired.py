import numpy as np
import pytest
from scipy import stats

from unitune.stats import corrected_t_test


def test_without_a_ratio_it_is_the_paired_t_test_of_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.3, 1, 12), rng.normal(size=12)
    ours, theirs = corrected_t_test(a, b), stats.ttest_rel(a, b)
    assert ours.statistic == pytest.approx(theirs.statistic)
    assert ours.p_two_sided == pytest.approx(theirs.pvalue)
    assert ours.p_greater == pytest.approx(stats.ttest_rel(a, b, alternative="greater").pvalue)


def test_swapping_the_sides_changes_the_sign():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=6), rng.normal(size=6)
    one, other = corrected_t_test(a, b, validation_ratio=0.2), corrected_t_test(b, a, validation_ratio=0.2)
    assert one.statistic == pytest.approx(-other.statistic)
    assert one.p_greater == pytest.approx(1 - other.p_greater)


def test_five_in_a_hundred_are_false_positives_when_folds_correlate():
    rng = np.random.default_rng(2)
    n, ratio = 5, 0.25
    rho = ratio / (1 + ratio)
    found = []
    for _ in range(4_000):
        d = rng.normal() * np.sqrt(rho) + rng.normal(size=n) * np.sqrt(1 - rho)
        found.append(corrected_t_test(d, np.zeros(n), validation_ratio=ratio).p_greater < 0.05)
    assert np.mean(found) == pytest.approx(0.05, abs=0.012)


def test_equal_scores_are_no_difference():
    test = corrected_t_test(np.full(5, 0.9), np.full(5, 0.9), validation_ratio=0.25)
    assert test.difference == 0
    assert test.p_greater == 1


def test_a_constant_difference_is_certain():
    a = np.arange(5.0)
    assert corrected_t_test(a + 1, a).p_greater == 0
    assert corrected_t_test(a, a + 1).p_greater == 1


@pytest.mark.parametrize("scores", [[0.5], [0.5, np.nan]])
def test_too_few_scores_give_nan(scores):
    test = corrected_t_test(np.array(scores), np.zeros(len(scores)))
    assert np.isnan(test.p_greater)
