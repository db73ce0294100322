"""The model of all scores: what it must get right in cases whose truth is known."""

import numpy as np
import pytest

from unitune.space import Choice, Float, Hyperparameter, Space
from unitune.space.domains import Int
from unitune.space.space import Condition
from unitune.stats import (
    RowNoise,
    design_of,
    model_scores,
    next_repeats,
    repeats_to_settle,
)

UNITS, ACTIVATIONS = (4, 8, 16, 32, 64, 128), ("relu", "tanh", "gelu", "sigmoid")
GRID = Space(
    [
        Hyperparameter("units", Choice(UNITS, ordered=True)),
        Hyperparameter("activation", Choice(ACTIVATIONS)),
    ]
)
CONFIGURATIONS = [{"units": u, "activation": a} for u in UNITS for a in ACTIVATIONS]
TRUTH = np.array([0.93 - 0.4 / c["units"] - 0.02 * (c["activation"] == "sigmoid") for c in CONFIGURATIONS])


def grid_scores(rng, *, sd=0.012, luck=0.01, members=5):
    """`(trial, member)`: the truth, the luck of each fold, and noise."""
    return TRUTH[:, None] + luck * rng.normal(size=(1, members)) + sd * rng.normal(size=(len(TRUTH), members))


def grid_posterior(seed, **options):
    values = grid_scores(np.random.default_rng(seed), **options)
    return values, model_scores(
        values, "maximize", design=design_of(GRID, CONFIGURATIONS), attainable=(0.0, 1.0), seed=seed
    )


def test_a_grid_gives_a_better_pick_a_small_set_and_intervals_that_hold():
    regrets, held, sizes, covered = [], [], [], []
    for seed in range(30):
        values, posterior = grid_posterior(seed)
        pick = int(posterior.expected_loss.argmin())
        regrets.append((TRUTH.max() - TRUTH[pick], TRUTH.max() - TRUTH[values.mean(axis=1).argmax()]))
        best = posterior.credible()
        held.append(TRUTH[best].max() == TRUTH.max())
        sizes.append(len(best))
        low, high = posterior.interval()
        covered.append(((low <= TRUTH) & (high >= TRUTH)).mean())
    ours, raw = np.mean(regrets, axis=0)
    assert ours < 0.8 * raw
    assert np.mean(held) >= 0.93
    assert np.mean(sizes) < 14
    assert 0.92 <= np.mean(covered) <= 0.995


def test_trials_that_racing_stopped_are_weighed_and_what_is_said_of_them_holds():
    regrets, covered, held, widths = [], [], [], []
    for seed in range(30):
        values = grid_scores(np.random.default_rng(100 + seed))
        stopped = values[:, :2].mean(axis=1) < values[:, :2].mean(axis=1).max() - 0.025
        seen = np.where(stopped[:, None] & (np.arange(5) >= 2), np.nan, values)
        design = design_of(GRID, CONFIGURATIONS)
        whole = model_scores(seen, "maximize", design=design, attainable=(0.0, 1.0), seed=seed)
        rest = np.flatnonzero(~stopped)
        few = model_scores(seen[rest], "maximize", design=design.take(rest), attainable=(0.0, 1.0), seed=seed)
        picks = rest[whole.expected_loss[rest].argmin()], rest[few.expected_loss.argmin()]
        regrets.append(TRUTH.max() - TRUTH[list(picks)])
        low, high = whole.interval()
        covered.append(((low <= TRUTH) & (high >= TRUTH))[stopped].mean())
        widths.append((high - low)[stopped].mean() / (high - low)[~stopped].mean())
        held.append(TRUTH[whole.credible()].max() == TRUTH.max())
        assert 5 < stopped.sum() < 23
    weighed, dropped = np.mean(regrets, axis=0)
    assert weighed <= dropped
    assert np.mean(held) >= 0.93
    assert 0.9 <= np.mean(covered) <= 0.995
    assert np.mean(widths) > 1.1


def test_the_same_seed_gives_the_same_posterior_and_equals_share_the_best():
    _, first = grid_posterior(3)
    _, second = grid_posterior(3)
    assert np.array_equal(first.draws, second.draws)
    equal = model_scores(np.full((4, 5), 0.9), "maximize", attainable=(0.0, 1.0))
    assert equal.probability_best == pytest.approx(np.full(4, 0.25), abs=0.05)
    assert equal.expected_loss == pytest.approx(np.zeros(4), abs=1e-6)
    assert equal.mean == pytest.approx(np.full(4, 0.9), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "direction", "attainable"),
    [
        ([[1.0] * 5, [0.99] * 5, [1.0, 0.98, 1.0, 1.0, 0.98]], "maximize", (0.0, 1.0)),
        ([[0.0] * 5, [0.2, 0.1, 0.3, 0.2, 0.1], [5.0] * 5], "minimize", (0.0, np.inf)),
        ([[0.9, 0.8, 0.85], [-40.0, -3.0, -700.0], [0.7, 0.75, 0.72]], "maximize", (-np.inf, 1.0)),
        ([[3.0, 4.0], [1.0, 2.0]], "minimize", (-np.inf, np.inf)),
        ([[0.9, np.nan, 0.8], [np.nan, np.nan, 0.7], [np.nan] * 3, [0.9, 0.8, 0.7]], "maximize", (0.0, 1.0)),
        ([[0.9], [0.8], [0.7]], "maximize", (0.0, 1.0)),
        ([[0.9, 0.8, 0.85]], "maximize", (0.0, 1.0)),
        ([[0.9]], "maximize", (0.0, 1.0)),
    ],
)
def test_draws_are_attainable_and_finite_at_the_edges(values, direction, attainable):
    posterior = model_scores(np.array(values), direction, attainable=attainable)
    assert np.isfinite(posterior.draws).all()
    assert posterior.draws.min() >= attainable[0]
    assert posterior.draws.max() <= attainable[1]
    assert posterior.probability_best.sum() == pytest.approx(1.0)
    assert (posterior.expected_loss >= 0).all()
    assert 0 < len(posterior.credible()) <= len(values)


def test_one_score_for_each_trial_says_what_cannot_be_said():
    posterior = model_scores(np.array([[0.9], [0.8], [0.7]]), "maximize", attainable=(0.0, 1.0))
    assert posterior.relative
    assert np.isnan(posterior.interval()[0]).all()
    assert any("luck" in sentence for sentence in posterior.limits)
    with pytest.raises(ValueError, match="no finite score"):
        model_scores(np.full((2, 3), np.nan), "maximize")


def test_conditions_ranges_and_choices_of_numbers_become_positions():
    space = Space(
        [
            Hyperparameter("layers", Choice([1, 2], ordered=True)),
            Hyperparameter("units", Choice([16, 64, 256])),
            Hyperparameter("units_2", Int(8, 32), (Condition("layers", (2,)),)),
            Hyperparameter("learning_rate", Float(1e-4, 1e-2, log=True)),
            Hyperparameter("flag", Choice([True, False])),
        ]
    )
    rows = [
        {"layers": 1, "units": 64, "learning_rate": 1e-3, "flag": True},
        {"layers": 2, "units": 256, "units_2": 20, "learning_rate": 1e-2, "flag": False},
    ]
    found = {column.name: (column.numeric, column.x.tolist()) for column in design_of(space, rows).columns}
    assert found["units"] == (True, pytest.approx([0.5, 1.0]))
    assert found["learning_rate"] == (True, pytest.approx([0.5, 1.0]))
    assert found["units_2"] == (True, pytest.approx([np.nan, 0.5], nan_ok=True))
    assert found["flag"] == (False, [0.0, 1.0])


def test_repeats_are_worth_most_on_the_contenders_and_fewer_settle_a_wider_tolerance():
    _, posterior = grid_posterior(1)
    worth = next_repeats(posterior, members=5)
    assert 2 <= len(worth.trials) <= 12
    assert posterior.probability_best[list(worth.trials)].sum() > 0.5
    assert worth.loss_after < worth.loss_now
    wide = repeats_to_settle(posterior, members=5, tolerance=posterior.standard_error)
    narrow = repeats_to_settle(posterior, members=5, tolerance=0.5 * posterior.standard_error)
    assert wide is not None
    assert narrow is None or narrow.repeats >= wide.repeats


def test_all_rows_right_is_not_known_to_be_perfect():
    rng = np.random.default_rng(0)
    rows = RowNoise(scores=np.ones((50, 2)), n_rows=300)
    posterior = model_scores(np.ones((2, 5)), "maximize", attainable=(0.0, 1.0), rows=rows)
    low, high = posterior.interval()
    assert (low > 1 - 12 / 300).all()
    assert (low < 1 - 2 / 300).all()
    assert (high > 1 - 1 / 300).all()
    worse = 0.9 + 0.02 * rng.normal(size=(50, 2))
    wide = model_scores(
        np.full((2, 5), 0.9), "maximize", attainable=(0.0, 1.0), rows=RowNoise(scores=worse, n_rows=300)
    )
    assert (wide.interval()[1] - wide.interval()[0] > 0.03).all()
