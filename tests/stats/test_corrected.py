"""The corrected estimate on predictions whose truth is known."""

import numpy as np
import pytest

from unitune.stats import Cell, OutOfFold, bbc_cv, corrected_estimates
from unitune.stats.resampling import member_variance

ROWS, FOLDS = 200, 5


def predictions(n_trials, *, p_right=0.85, repeats=1, seed=0, weight=None, groups=None, folds=FOLDS):
    """Trials that are right on each row with equal chance: the best of them is luck alone."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, ROWS)
    cells = []
    for repeat in range(repeats):
        order = rng.permutation(ROWS)
        for fold in range(folds):
            rows = np.sort(order[fold::folds]) if folds > 1 else np.arange(ROWS // 2)
            right = rng.random((n_trials, len(rows))) < p_right
            p = np.where(right, y[rows], 1 - y[rows])[..., None] * 0.8 + 0.1
            cells.append(Cell(fold=fold, repeat=repeat, rows=rows, trials=np.arange(n_trials), predictions=p))
    numbers = np.arange(1, n_trials + 1)
    return OutOfFold(task="binary", y=y, numbers=numbers, cells=tuple(cells), weight=weight, groups=groups)


def test_the_luck_of_the_winner_is_taken_off():
    errors, naive = [], []
    for seed in range(10):
        found = corrected_estimates(predictions(50, seed=seed), ["accuracy"], "maximize", n_bags=100)["accuracy"]
        errors.append(found.mean - 0.85)
        naive.append(found.naive - 0.85)
    assert np.mean(naive) > 0.04
    assert abs(np.mean(errors)) < 0.02


def test_the_direction_is_honoured():
    found = corrected_estimates(predictions(50), ["log_loss", "accuracy"], "minimize", n_bags=100)
    assert found["log_loss"].mean > found["log_loss"].naive
    assert found["accuracy"].mean < found["accuracy"].naive
    for one in found.values():
        assert one.low < one.mean < one.high


def test_one_trial_was_not_chosen():
    found = corrected_estimates(predictions(1), ["accuracy"], "maximize")["accuracy"]
    assert found.mean == pytest.approx(found.naive)
    assert "nothing was chosen" in found.method
    # A binomial share of 200 rows.
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.85 * 0.15 / ROWS), rel=0.3)


def test_one_hold_out_set_is_bbc_cv():
    oof = predictions(20, folds=1)
    found = corrected_estimates(oof, ["accuracy"], "maximize")["accuracy"]
    assert found == bbc_cv(oof, ["accuracy"], "maximize")["accuracy"]
    assert "hold-out" in found.method
    assert found.low < found.mean < found.naive


def test_bbc_cv_is_the_published_algorithm():
    oof = predictions(6)
    found = bbc_cv(oof, ["accuracy"], "maximize", n_bags=40, seed=3, rescale=False)["accuracy"]
    generator = np.random.default_rng(3)
    values = []
    for _ in range(40):
        bag = np.bincount(generator.integers(ROWS, size=ROWS), minlength=ROWS)
        inside, outside = np.zeros(6), np.zeros(6)
        for cell in oof.cells:
            right = (cell.predictions[..., 0] > 0.5) == oof.y[cell.rows]
            inside += right @ bag[cell.rows] / bag[cell.rows].sum() / FOLDS
            out = bag[cell.rows] == 0
            outside += right[:, out].mean(axis=1) / FOLDS
        values.append(outside[inside.argmax()])
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]))


def test_repeats_do_not_leak_rows_into_the_choice():
    errors = []
    for seed in range(6):
        oof = predictions(30, repeats=3, seed=seed)
        errors.append(corrected_estimates(oof, ["accuracy"], "maximize", n_bags=60)["accuracy"].mean - 0.85)
    assert abs(np.mean(errors)) < 0.02


def test_trials_without_extra_repeats_stay_candidates():
    oof = predictions(10, repeats=2)
    first = [cell for cell in oof.cells if cell.repeat == 0]
    more = [
        Cell(fold=c.fold, repeat=1, rows=c.rows, trials=np.array([2, 7]), predictions=c.predictions[[2, 7]])
        for c in oof.cells
        if c.repeat == 1
    ]
    ragged = OutOfFold(task="binary", y=oof.y, numbers=oof.numbers, cells=(*first, *more))
    found = corrected_estimates(ragged, ["accuracy"], "maximize", n_bags=50)["accuracy"]
    assert 0.7 < found.low < found.mean < found.high < 0.95


def test_rows_of_a_group_are_resampled_together():
    # Rows of a group are copies: 20 groups know no more than 20 rows.
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 10)
    right = np.repeat(rng.random(20) < 0.7, 10)
    y = np.repeat(rng.integers(0, 2, 20), 10)
    p = np.where(right, y, 1 - y)[None, :, None] * 0.8 + 0.1
    cells = tuple(
        Cell(fold=f, repeat=0, rows=rows, trials=np.arange(1), predictions=p[:, rows])
        for f in range(5)
        for rows in [np.flatnonzero(groups % 5 == f)]
    )
    width = {}
    for key, given in (("rows", None), ("groups", groups)):
        oof = OutOfFold(task="binary", y=y, numbers=np.array([1]), cells=cells, groups=given)
        found = corrected_estimates(oof, ["accuracy"], "maximize")["accuracy"]
        width[key] = found.high - found.low
    assert width["groups"] > 2 * width["rows"]


def test_a_perfect_score_has_a_lower_bound_below_one():
    found = corrected_estimates(predictions(3, p_right=1.1), ["accuracy"], "maximize")["accuracy"]
    assert (found.mean, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / ROWS))


def test_the_same_seed_gives_the_same_estimate():
    oof = predictions(8)
    assert corrected_estimates(oof, ["accuracy", "auc"], "maximize") == corrected_estimates(
        oof, ["accuracy", "auc"], "maximize"
    )


def test_regression_metrics():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(ROWS, 1))
    cells = tuple(
        Cell(fold=f, repeat=0, rows=rows, trials=np.arange(9), predictions=y[rows] + rng.normal(size=(9, len(rows), 1)))
        for f in range(FOLDS)
        for rows in [np.arange(f, ROWS, FOLDS)]
    )
    oof = OutOfFold(task="regression", y=y, numbers=np.arange(9), cells=cells)
    found = corrected_estimates(oof, ["rmse", "mae", "r2", "loss"], "minimize", n_bags=200)
    assert found["rmse"].low < 1 < found["rmse"].high
    assert found["mae"].low < np.sqrt(2 / np.pi) < found["mae"].high
    assert found["r2"].high <= 1


def test_members_that_vary_beyond_their_rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 10, 5)) * 0.01
    own = rng.normal(size=(10, 5)) * 0.05
    rows[0] = rng.normal(size=(10, 5)) * 0.01 + own
    rows[1:] += rows[0]
    assert member_variance(rows) == pytest.approx(0.05**2, rel=0.5)
    assert member_variance(rows[:, :1]) == 0.0


def test_one_wild_trial_does_not_speak_for_all():
    rng = np.random.default_rng(0)
    scores = np.zeros((200, 8, 5))
    scores[:, 0] = [0.0, -3.0, 3.0, -2.0, 2.0]  # and rows that explain nothing of it
    scores[:, 1:] += 0.01 * rng.normal(size=(1, 7, 5))
    assert np.sqrt(member_variance(scores)) < 0.03
    assert np.sqrt(member_variance(scores, np.eye(8)[0])) > 1


def test_only_keeps_the_order_asked_for():
    oof = predictions(5)
    some = oof.only([4, 2])
    assert some.numbers.tolist() == [4, 2]
    np.testing.assert_array_equal(some.cells[0].predictions, oof.cells[0].predictions[[3, 1]])
