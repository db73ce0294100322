"""How sure a result is: what may be best, the recommended trial, what to expect of it, interplay, marginals."""

import json
from dataclasses import replace

import numpy as np
import pytest

import unitune
from unitune.errors import OptionError, RunFolderError
from unitune.result.certainty import Certainty
from unitune.result.conclusion import conclude
from unitune.result.effects import interplay

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 4))
    return x, (x[:, 0] + x[:, 1] ** 2 + rng.normal(size=150) > 1).astype(int)


@pytest.fixture(scope="module")
def grid(data):
    return unitune.tune(*data, units=[2, 8, 32], activations=["relu", "tanh"], epochs=6, folds=3, progress=False)


def test_the_estimate_is_that_of_the_recommended_and_the_only_interval_of_it(grid):
    one = grid.estimate
    assert one.naive == pytest.approx(grid.recommended.scores["accuracy"].mean)
    row = grid.table().set_index("trial").loc[grid.recommended.number]
    assert (one.mean, one.low, one.high) == (row["expected"], row["low"], row["high"])
    assert one.low < one.mean
    assert abs(one.mean - one.naive) < one.high - one.low
    assert one.mean < one.high
    assert set(grid.estimates) == set(grid.run.metrics)


def certainty_of(result, trials=None):
    return Certainty(result.run, result.trials if trials is None else trials, result._get_predictions)


def test_the_recommended_is_the_cheapest_within_the_tolerance_of_the_smallest_expected_loss(grid):
    certainty = certainty_of(grid)
    ranked, posterior = certainty.ranked, certainty.posterior
    loss = posterior.expected_loss
    within = [one for one, lost in zip(ranked, loss, strict=True) if lost <= loss.min() + posterior.tolerance]
    assert grid.recommended.n_parameters == min(trial.n_parameters for trial in within)
    assert loss[ranked.index(grid.recommended)] <= loss.min() + posterior.tolerance


def test_a_small_network_that_is_clearly_worse_is_not_recommended(grid):
    """Not shown to be worse is not as good."""
    best = grid.best
    spread = np.resize([0.02, -0.02], len(best.scores["accuracy"].values))

    def scored(trial, level, size):
        values = tuple(level + spread)
        score = replace(trial.scores["accuracy"], values=values, mean=float(np.mean(values)))
        return replace(trial, scores={**trial.scores, "accuracy": score}, n_parameters=size)

    others = [one for one in grid.trials if one.number != best.number]
    trials = [scored(best, 0.93, 1000), *(scored(one, 0.80, 10) for one in others)]
    assert Certainty(grid.run, trials, lambda: None).recommended.number == best.number


def test_of_equally_large_trials_the_faster_is_recommended_where_it_saves_a_lot(grid):
    ranked = certainty_of(grid).ranked
    n_members = len(ranked[0].scores["accuracy"].values)
    same = ranked[0].scores
    for other_s, chosen in ((0.001, 0), (4.0, 1)):
        usual_s = 10.0 if chosen else 0.004  # what differs by less than a second is noise of measurement
        times = {ranked[1].number: other_s}
        trials = [
            replace(one, scores=same, n_parameters=10, elapsed_s=n_members * times.get(one.number, usual_s))
            for one in ranked
        ]
        found = Certainty(grid.run, trials, lambda: None)
        assert (found.recommended.number == ranked[1].number) == bool(chosen)


def test_the_tolerance_of_a_run_decides_what_is_recommended(grid):
    exact = certainty_of(grid)
    exact.run = replace(grid.run, tolerance=0.0)
    loss = exact.posterior.expected_loss
    assert exact.recommended.number == exact.ranked[int(loss.argmin())].number
    generous = certainty_of(grid)
    generous.run = replace(grid.run, tolerance=1.0)
    assert generous.recommended.n_parameters == min(one.n_parameters for one in grid.trials)
    assert grid.tolerance == exact.posterior.tolerance


@pytest.mark.parametrize("tolerance", [-0.1, float("nan"), float("inf"), "much"])
def test_a_tolerance_that_is_none_is_refused(data, tolerance):
    with pytest.raises(OptionError, match="tolerance"):
        unitune.tune(*data, units=2, tolerance=tolerance, progress=False)


def test_the_table_says_what_is_known_of_each_trial(grid):
    table = grid.table()
    assert set(table.loc[table["credible"], "trial"]) == set(grid.credible)
    assert table["p_best"].sum() == pytest.approx(1)
    assert table.loc[table["credible"], "p_best"].sum() >= 0.95 - 1e-9
    assert (table["expected_loss"] >= 0).all()
    assert ((table["low"] < table["expected"]) & (table["expected"] < table["high"])).all()
    picks = dict(zip(table["trial"], table["pick"], strict=True))
    assert "best" in picks[grid.best.number]
    assert "recommended" in picks[grid.recommended.number]
    assert sum(pick != "" for pick in picks.values()) <= 2
    by_loss = grid.table(metric="log_loss")
    assert ((by_loss["low"] < by_loss["expected"]) & (by_loss["expected"] < by_loss["high"])).all()
    assert "expected_loss" in grid._repr_html_()


def test_the_conclusion_is_three_sentences(grid):
    take, expect, left_open = grid.conclusion
    assert take.startswith("Take ")
    assert f"trial {grid.recommended.number}" in take
    assert f"{grid.estimate.mean:.4g}" in expect
    assert "with 95 %" in expect
    assert "open" in left_open


def test_interplay_adds_up_with_units_and_activation_first(grid):
    frame = grid.interplay()
    assert frame["term"].tolist() == ["units", "activation", "units x activation", "folds", "seeds and the rest"]
    assert frame["share"].sum() == pytest.approx(1)
    assert ((frame["low"] <= frame["share"]) & (frame["share"] <= frame["high"])).all()


def test_marginals_name_the_best_of_each_value(grid):
    frame = grid.marginals("units")
    assert frame["value"].tolist() == [2, 8, 32]
    for row in frame.itertuples():
        mine = [trial for trial in grid.trials if trial.configuration["units"] == row.value]
        means = {trial.number: trial.scores["accuracy"].mean for trial in mine}
        assert row.n_trials == 2
        assert row.low < row.mean < row.high
        assert row.low < np.mean(list(means.values())) < row.high
        assert row.best_trial in means
        assert row.best_mean == grid.table().set_index("trial").loc[row.best_trial, "expected"]
    with pytest.raises(OptionError, match="units, activation"):
        grid.marginals("dropout")


def test_a_saved_run_is_as_sure_as_before(grid, tmp_path):
    folder = grid.save(tmp_path / "run")
    loaded = unitune.load(folder)
    assert loaded.credible == loaded.tied == grid.credible
    assert loaded.estimates == grid.estimates
    assert loaded.conclusion == grid.conclusion
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["credible"] == list(grid.credible)
    assert summary["tolerance"] == pytest.approx(grid.tolerance)
    assert summary["recommended"]["trial"] == grid.recommended.number
    assert summary["estimate"]["accuracy"]["mean"] == pytest.approx(grid.estimate.mean)
    assert summary["conclusion"] == list(grid.conclusion)


def test_one_trial_is_handed_over_and_recorded(grid, data, tmp_path):
    assert grid.model() is grid.model(grid.recommended)
    folder = grid.save(tmp_path / "run")
    loaded = unitune.load(folder)
    assert loaded.recommended == grid.recommended
    np.testing.assert_allclose(loaded.predict(data[0]).iloc[:, 1], grid.predict(data[0]).iloc[:, 1], rtol=1e-5)
    other = next(one for one in grid.trials if one.number != grid.recommended.number)
    with pytest.raises(RunFolderError, match=f"best.keras is of trial {grid.recommended.number}"):
        loaded.model(other)


def test_a_run_of_an_older_version_hands_over_its_best(grid, tmp_path):
    folder = grid.save(tmp_path / "run")
    (folder / "predictions.npz").unlink()
    tree = json.loads((folder / "run.json").read_text())
    for name in ("recommended", "tolerance"):
        del tree["run"][name]
    (folder / "run.json").write_text(json.dumps(tree))
    old = unitune.load(folder)
    assert old.recommended.number == old.best.number == grid.best.number
    assert old.estimate.low < old.estimate.high  # folds tell without predictions
    assert set(old.credible) <= {one.number for one in old.trials}


def test_predictions_of_some_trials_tell_of_the_luck_of_rows(grid):
    """A run folder keeps those of the best trials, as far as they have room."""
    whole = grid._get_predictions()
    some = [one.number for one in certainty_of(grid).ranked[:3]]
    part = Certainty(grid.run, grid.trials, lambda: whole.only(some))
    assert part.recommended.number in [one.number for one in grid.trials]
    assert np.isfinite(part.columns().to_numpy()).all()
    without = Certainty(grid.run, grid.trials, lambda: None).posterior.noise
    assert not np.allclose(part.posterior.noise, without)


def test_one_hold_out_set_says_what_it_does_not_know(data):
    result = unitune.tune(
        *data, units=[2, 16], activations="relu", epochs=4, validation_split=0.3, folds=None, progress=False
    )
    assert result.estimate.low < result.estimate.high  # of its rows
    blind = Certainty(replace(result.run, recommended=None), result.trials, lambda: None)
    assert not blind.is_known
    assert set(blind.credible) == {1, 2}
    assert blind.recommended.number == result.best.number
    assert blind.columns().isna().all(axis=None)
    with pytest.raises(RunFolderError, match="folds"):
        _ = blind.estimates
    with pytest.raises(OptionError, match="folds"):
        interplay(blind)
    take, expect, left_open = conclude(blind, lambda trial: f"units {trial.configuration['units']}")
    assert take.startswith("Take units")
    assert "likely a little better" in expect
    assert "folds" in left_open


def test_sampled_spaces_are_divided_by_the_model(data):
    result = unitune.tune(
        *data,
        units=unitune.Int(2, 32, log=True),
        activations=["relu", "tanh"],
        learning_rates=unitune.Float(1e-4, 1e-1, log=True),
        strategy="random",
        trials=12,
        epochs=4,
        folds=3,
        progress=False,
    )
    frame = result.interplay().set_index("term")
    assert frame["share"].sum() == pytest.approx(1)
    assert {"units", "activation", "learning_rate", "units x activation"} <= set(frame.index)
    found = result.marginals("learning_rate")
    assert len(found) <= 12
    assert (found["low"] < found["mean"]).all()


def test_few_trials_off_the_grid_have_wide_intervals(data):
    result = unitune.tune(
        *data,
        units=[2, 4, 8],
        activations=["relu", "tanh"],
        strategy="random",
        trials=3,
        epochs=1,
        folds=2,
        progress=False,
    )
    frame = result.interplay()
    assert frame["share"].sum() == pytest.approx(1)
    assert (frame["high"] > frame["low"]).any()


def test_where_nothing_varied_there_is_nothing_to_divide(data):
    result = unitune.tune(*data, units=2, activations="relu", epochs=1, folds=2, progress=False)
    with pytest.raises(OptionError, match="every trial is the same"):
        result.interplay()
    assert result.estimate.low < result.estimate.high
    assert result.conclusion[0].startswith("One trial")
    assert result.credible == (1,)
