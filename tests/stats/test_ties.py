"""Which trials are tied with the best."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from unitune.stats import Cell, OutOfFold, corrected_t_test, tied_by_rows, tied_with_best
from unitune.stats.additive import inverse_trigamma
from unitune.stats.ties import BY_ROWS, NOTHING, ONE_SET, holm_over_pairs


def test_two_trials_are_one_pair_and_more_are_many():
    assert holm_over_pairs(np.array([0.02])).tolist() == [0.02]
    p = np.random.default_rng(0).random(30) ** 3
    adjusted, single = holm_over_pairs(p), multipletests(p, method="holm")[1]
    assert (adjusted >= single).all()
    assert adjusted[p.argmin()] == pytest.approx(min(1, p.min() * 31 * 30 / 2))
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


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
    assert found.tied.sum() < (~(holm_over_pairs(np.where(np.arange(40) == best, np.nan, plain)) < 0.05)).sum()


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
    assert found.method == NOTHING


def predictions(chances, *, rows=300, folds=1, repeats=1, seed=0, luck=0.0):
    """Trials that are right with the given chances, moved by the luck of each network."""
    rng = np.random.default_rng(seed)
    chances = np.asarray(chances)
    y = rng.integers(0, 2, rows)
    cells = []
    for repeat in range(repeats):
        order = rng.permutation(rows)
        for fold in range(folds):
            held = np.sort(order[fold::folds])
            chance = chances + luck * rng.normal(size=len(chances))
            right = rng.random((len(chances), len(held))) < chance[:, None]
            p = np.where(right, y[held], 1 - y[held])[..., None] * 0.8 + 0.1
            cells.append(Cell(fold=fold, repeat=repeat, rows=held, trials=np.arange(len(chances)), predictions=p))
    return OutOfFold(task="binary", y=y, numbers=np.arange(len(chances)), cells=tuple(cells))


def test_hold_out_rows_tell_apart_what_one_score_cannot():
    oof = predictions([0.94, 0.92, 0.6])
    right = (oof.cells[0].predictions[..., 0] > 0.5) == oof.y
    found = tied_by_rows(oof, "accuracy", "maximize", best=0, validation_ratio=0.0)
    assert found.tied.tolist() == [True, True, False]
    assert found.method == ONE_SET
    d = right[0].astype(float) - right[1]
    expected = 2 * stats.norm.sf(abs(d.mean()) / (d.std() / np.sqrt(len(d))))
    assert found.p[1] == pytest.approx(min(1, expected), rel=0.25)


def test_rows_tell_more_than_folds():
    oof = predictions([0.93] * 4 + [0.8] * 4, folds=5, rows=500)
    values = np.stack([((c.predictions[..., 0] > 0.5) == oof.y[c.rows]).mean(axis=1) for c in oof.cells], axis=1)
    best = int(values.mean(axis=1).argmax())
    by_rows = tied_by_rows(oof, "accuracy", "maximize", best=best, validation_ratio=0.25)
    by_folds = tied_with_best(values, "maximize", best=best, validation_ratio=0.25)
    assert by_rows.tied.tolist() == [True] * 4 + [False] * 4
    assert by_rows.method == BY_ROWS
    assert np.nanmax(by_rows.p[4:]) < np.nanmin(by_folds.p[4:])


def test_networks_that_vary_make_trials_tie():
    steady = predictions([0.9] + [0.84] * 9, folds=5, rows=3000, seed=4)
    moody = predictions([0.9] + [0.84] * 9, folds=5, rows=3000, seed=4, luck=0.06)
    n_tied = {}
    for name, oof in (("steady", steady), ("moody", moody)):
        found = tied_by_rows(oof, "accuracy", "maximize", best=0, validation_ratio=0.25)
        n_tied[name] = int(found.tied.sum())
    assert n_tied["steady"] == 1
    assert n_tied["moody"] > 5


def test_a_poor_trial_whose_networks_vary_wildly_is_not_tied():
    rng = np.random.default_rng(2)
    good = predictions([0.93] * 5, folds=5, rows=500, seed=2)
    cells = []
    for cell, chance in zip(good.cells, [0.9, 0.3, 0.85, 0.2, 0.8], strict=True):
        right = rng.random(len(cell.rows)) < chance
        wild = np.where(right, good.y[cell.rows], 1 - good.y[cell.rows])[None, :, None] * 0.8 + 0.1
        both = np.concatenate([cell.predictions, wild])
        cells.append(Cell(fold=cell.fold, repeat=0, rows=cell.rows, trials=np.arange(6), predictions=both))
    oof = OutOfFold(task="binary", y=good.y, numbers=np.arange(6), cells=tuple(cells))
    best = int(np.mean([((c.predictions[..., 0] > 0.5) == oof.y[c.rows]).mean(axis=1) for c in cells], axis=0).argmax())
    found = tied_by_rows(oof, "accuracy", "maximize", best=best, validation_ratio=0.25)
    assert found.tied.tolist() == [True] * 5 + [False]


def test_seeds_count_where_one_set_is_repeated():
    rng = np.random.default_rng(0)
    rows = np.arange(1000)
    y = rng.integers(0, 2, 1000)
    base = rng.random(1000)
    cells = []
    for repeat, shift in enumerate([0.02, 0.2, -0.1, 0.18, -0.08]):
        right = np.stack([base < 0.7 + shift, base < 0.7])
        p = np.where(right, y, 1 - y)[..., None] * 0.8 + 0.1
        cells.append(Cell(fold=0, repeat=repeat, rows=rows, trials=np.arange(2), predictions=p))
    oof = OutOfFold(task="binary", y=y, numbers=np.arange(2), cells=tuple(cells))
    one = OutOfFold(task="binary", y=y, numbers=np.arange(2), cells=(cells[1],))
    assert not tied_by_rows(one, "accuracy", "maximize", best=0, validation_ratio=0.0).tied[1]
    assert tied_by_rows(oof, "accuracy", "maximize", best=0, validation_ratio=0.0).tied[1]


def test_equal_predictions_are_tied():
    oof = predictions([0.9, 0.9], folds=5)
    same = OutOfFold(
        task="binary",
        y=oof.y,
        numbers=oof.numbers,
        cells=tuple(
            Cell(fold=c.fold, repeat=0, rows=c.rows, trials=c.trials, predictions=c.predictions[[0, 0]])
            for c in oof.cells
        ),
    )
    assert tied_by_rows(same, "accuracy", "maximize", best=0, validation_ratio=0.25).tied.all()


@pytest.mark.parametrize("x", [0.1, 1.0, 30.0])
def test_inverse_of_the_trigamma_function(x):
    from scipy import special

    assert inverse_trigamma(float(special.polygamma(1, x))) == pytest.approx(x)
