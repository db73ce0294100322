"""How sure a result is: ties, the recommended trial, corrected estimates, interplay, marginals."""

import json
from dataclasses import replace

import numpy as np
import pytest

import unitune
from unitune.errors import OptionError, RunFolderError
from unitune.result.certainty import Certainty


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 4))
    return x, (x[:, 0] + x[:, 1] ** 2 + rng.normal(size=150) > 1).astype(int)


@pytest.fixture(scope="module")
def grid(data):
    return unitune.tune(*data, units=[2, 8, 32], activations=["relu", "tanh"], epochs=6, folds=3, progress=False)


def test_the_estimate_is_near_the_score_and_in_its_interval(grid):
    one = grid.estimate
    assert one.naive == pytest.approx(grid.best.scores["accuracy"].mean)
    assert one.low < one.mean
    assert abs(one.mean - one.naive) < one.high - one.low
    assert one.mean < one.high
    assert set(grid.estimates) == set(grid.run.metrics)


def certainty_of(result, trials=None):
    return Certainty(result.run, result.trials if trials is None else trials, result._get_predictions)


def test_the_recommended_is_the_cheapest_within_the_tolerance_of_the_smallest_expected_loss(grid):
    certainty = certainty_of(grid)
    ranked, posterior = certainty._ranked, certainty.posterior
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
    ranked = certainty_of(grid)._ranked
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


def test_the_table_marks_the_tied_and_the_picks(grid):
    table = grid.table()
    assert set(table.loc[table["tied"], "trial"]) == set(grid.tied)
    picks = dict(zip(table["trial"], table["pick"], strict=True))
    assert "best" in picks[grid.best.number]
    assert "recommended" in picks[grid.recommended.number]
    assert sum(pick != "" for pick in picks.values()) <= 2


def test_the_conclusion_is_three_sentences(grid):
    who, expect, take = grid.conclusion
    assert f"trial {grid.best.number}" in who
    assert f"{grid.estimate.mean:.4g}" in expect
    assert take.startswith("Take ")


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
        assert row.mean == pytest.approx(np.mean(list(means.values())))
        assert row.best_mean == pytest.approx(max(means.values()))
    with pytest.raises(OptionError, match="units, activation"):
        grid.marginals("dropout")


def test_a_saved_run_is_as_sure_as_before(grid, tmp_path):
    folder = grid.save(tmp_path / "run")
    loaded = unitune.load(folder)
    assert loaded.tied == grid.tied
    assert loaded.estimates == grid.estimates
    assert loaded.conclusion == grid.conclusion
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["tied"]["trials"] == list(grid.tied)
    assert summary["recommended"]["trial"] == grid.recommended.number
    assert summary["estimate"]["accuracy"]["mean"] == pytest.approx(grid.estimate.mean)
    assert summary["conclusion"] == list(grid.conclusion)


def test_a_run_of_an_older_version_has_no_estimate_but_ties(grid, tmp_path):
    folder = grid.save(tmp_path / "run")
    (folder / "predictions.npz").unlink()
    old = unitune.load(folder)
    with pytest.raises(RunFolderError, match="out-of-fold predictions"):
        _ = old.estimate
    assert old.best.number in old.tied
    assert "likely a little better" in old.conclusion[1]


def test_one_hold_out_set_says_what_it_does_not_know(data):
    result = unitune.tune(
        *data, units=[2, 16], activations="relu", epochs=4, validation_split=0.3, folds=None, progress=False
    )
    assert "hold-out" in result.estimate.method
    assert result.estimate.low < result.estimate.high
    assert "hold-out" in result.summary()["tied"]["method"]


def test_sampled_spaces_are_divided_by_a_forest(data):
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
    assert len(result.marginals("learning_rate")) <= 12


def test_too_few_trials_off_the_grid_are_an_error(data):
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
    with pytest.raises(OptionError, match="complete grid or 10 trials"):
        result.interplay()


def test_where_nothing_varied_there_is_nothing_to_divide(data):
    result = unitune.tune(*data, units=2, activations="relu", epochs=1, folds=2, progress=False)
    with pytest.raises(OptionError, match="every trial is the same"):
        result.interplay()
    assert "nothing was chosen" in result.estimate.method
    assert result.conclusion[0].startswith("One trial")
