"""Which trials are tied with the best."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from unitune.stats import Cell, OutOfFold, corrected_t_test, nothing_known, tied_on_hold_out, tied_with_best
from unitune.stats.ties import BOOTSTRAP, NOTHING, _inverse_trigamma, holm


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(0).random(30) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_two_trials_give_the_plain_corrected_t_test():
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(size=5) + 1.5, rng.normal(size=5)])
    found = tied_with_best(values, "maximize", best=0, validation_ratio=0.25)
    expected = corrected_t_test(values[0], values[1], validation_ratio=0.25)
    assert found.p[1] == pytest.approx(expected.p_two_sided)
    assert np.isnan(found.p[0])


def test_a_worse_trial_is_not_tied_and_the_best_always_is():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(12, 5)) * 0.01 + np.r_[np.full(6, 0.9), np.full(6, 0.6)][:, None]
    best = int(values.mean(axis=1).argmax())
    found = tied_with_best(values, "maximize", best=best, validation_ratio=0.25)
    assert found.tied[:6].all()
    assert not found.tied[6:].any()
    turned = tied_with_best(-values, "minimize", best=best, validation_ratio=0.25)
    np.testing.assert_array_equal(turned.tied, found.tied)


def test_many_trials_lend_each_other_degrees_of_freedom():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(40, 5)) * 0.01 + np.linspace(0.95, 0.85, 40)[:, None]
    best = int(values.mean(axis=1).argmax())
    found = tied_with_best(values, "maximize", best=best, validation_ratio=0.25)
    plain = [corrected_t_test(values[best], row, validation_ratio=0.25).p_two_sided for row in values]
    assert found.tied.sum() < (~(holm(np.where(np.arange(40) == best, np.nan, plain)) < 0.05)).sum()


def test_equal_trials_are_tied():
    values = np.tile(np.array([0.9, 0.8, 0.85]), (4, 1))
    assert tied_with_best(values, "maximize", best=0, validation_ratio=0.5).tied.all()


def test_a_trial_with_fewer_repeats_is_compared_on_those_it_has():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(6, 10)) * 0.01 + np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.5])[:, None]
    values[3:, 5:] = np.nan
    found = tied_with_best(values, "maximize", best=0, validation_ratio=0.25)
    assert found.tied.tolist() == [True, True, True, True, False, False]


def test_a_single_score_tells_nothing():
    found = tied_with_best(np.array([[0.9], [0.5]]), "maximize", best=0, validation_ratio=0.0)
    assert found.tied.all()
    assert found.method == NOTHING == nothing_known(2).method


def test_hold_out_rows_tell_apart_what_one_score_cannot():
    rng = np.random.default_rng(0)
    rows = 300
    y = rng.integers(0, 2, rows)
    right = rng.random((3, rows)) < np.array([0.9, 0.88, 0.6])[:, None]
    p = np.where(right, y, 1 - y)[..., None] * 0.8 + 0.1
    oof = OutOfFold(
        task="binary",
        y=y,
        numbers=np.arange(3),
        cells=(Cell(fold=0, repeat=0, rows=np.arange(rows), trials=np.arange(3), predictions=p),),
    )
    best = int(right.mean(axis=1).argmax())
    found = tied_on_hold_out(oof, "accuracy", "maximize", best=best)
    assert found.tied.tolist() == [True, True, False]
    assert found.method == BOOTSTRAP
    other = 1 - best
    d = right[best].astype(float) - right[other]
    expected = 2 * stats.norm.sf(abs(d.mean()) / (d.std() / np.sqrt(rows)))
    assert found.p[other] == pytest.approx(min(1, expected), rel=0.25)


@pytest.mark.parametrize("x", [0.1, 1.0, 30.0])
def test_inverse_of_the_trigamma_function(x):
    from scipy import special

    assert _inverse_trigamma(float(special.polygamma(1, x))) == pytest.approx(x)
