"""`unitune.tune`, end to end on little data."""

import io

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold

import unitune
from unitune.engine.solo import SoloEngine
from unitune.errors import DataError, OptionError, RunFolderError, SpaceError, TrainingError
from unitune.report.progress import Lines, Listener
from unitune.testing import FakeEngine
from unitune.tuner.collect import Collector
from unitune.tuner.problem import member_seed

TIMES = ["seconds"]


def classes(n: int = 90, *, seed: int = 0, n_classes: int = 2):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype("float32")
    return x, (np.digitize(x[:, 0] + 0.3 * rng.normal(size=n), np.linspace(-1, 1, n_classes + 1)[1:-1])).astype(int)


def quick(x, y, **changes):
    settings = {"units": [2, 4], "activations": ["relu", "tanh"], "epochs": 2, "folds": 3, "progress": False}
    return unitune.tune(x, y, **(settings | changes))


def solved(x, y, **changes):
    """For what is around training."""
    return quick(x, y, engine=FakeEngine(), **changes)


@pytest.fixture(scope="module")
def result():
    return quick(*classes())


def test_every_configuration_is_trained_on_every_fold(result):
    assert len(result.trials) == 4
    assert {trial.state for trial in result.trials} == {"complete"}
    assert all(len(trial.scores["accuracy"].values) == 3 for trial in result.trials)
    assert result.summary()["n_members"] == 12


def test_the_same_seed_gives_the_same_table(result):
    again = quick(*classes())
    pd.testing.assert_frame_equal(result.table().drop(columns=TIMES), again.table().drop(columns=TIMES))
    pd.testing.assert_frame_equal(result.history(), again.history())


def test_another_seed_gives_another_table(result):
    assert not np.array_equal(quick(*classes(), seed=1).table()["mean"], result.table()["mean"])


def test_solo_and_fused_agree(result):
    solo = quick(*classes(), engine="solo").table().sort_values("trial")
    fused = result.table().sort_values("trial")
    assert set(solo["engine"]) == {"solo"}
    np.testing.assert_allclose(solo["mean"], fused["mean"], atol=0.02)
    np.testing.assert_allclose(solo["train"], fused["train"], atol=0.02)


def test_scores_of_one_trial_do_not_depend_on_the_others(result):
    alone = quick(*classes(), units=4, activations="tanh")
    same = next(
        trial
        for trial in result.trials
        if trial.configuration["units"] == 4 and trial.configuration["activation"] == "tanh"
    )
    np.testing.assert_allclose(alone.best.scores["auc"].values, same.scores["auc"].values, atol=1e-6)


def test_members_are_paired_over_trials_and_differ_over_folds_and_repeats():
    seeds = {member_seed(0, fold, repeat) for fold in range(5) for repeat in range(3)}
    assert len(seeds) == 15


def test_multiclass_and_regression():
    x, y = classes(n_classes=3)
    several = quick(x, np.array(["a", "b", "c"])[y], units=4, activations="relu", repeats=2)
    assert several.objective == "accuracy"
    assert len(several.best.scores["accuracy"].values) == 6
    assert set(several.predict(x)["prediction"]) <= {"a", "b", "c"}
    target = 1000 + 100 * x[:, 0]
    numbers = quick(x, target, units=8, activations="relu", epochs=60, learning_rates=0.02)
    assert (numbers.objective, numbers.direction) == ("rmse", "minimize")
    assert 0 < numbers.best.scores["rmse"].mean < 100  # in the units of the target, better than its mean
    assert numbers.predict(x)["prediction"].mean() == pytest.approx(1000, abs=60)


def test_ways_to_hold_rows_out():
    x, y = classes()
    split = solved(x, y, folds=None, validation_split=0.2, units=2, activations="relu")
    assert len(split.best.scores["accuracy"].values) == 1
    assert np.isnan(split.best.scores["accuracy"].low)
    given = solved(x, y, folds=None, validation_data=classes(30, seed=9), repeats=2, units=2, activations="relu")
    assert len(given.best.scores["accuracy"].values) == 2
    assert given.summary()["evaluation"]["validation_ratio"] == 0
    groups = np.repeat(np.arange(9), 10)
    grouped = solved(x, y, folds=None, cv=GroupKFold(3), groups=groups, units=2, activations="relu")
    assert grouped.run.folds["n_folds"] == 3


def test_five_folds_without_a_word_and_fewer_where_rows_are_few():
    x, y = classes()
    assert solved(x, y, folds=None, units=2, activations="relu").run.folds["n_folds"] == 5
    few = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:3]]
    found = solved(x[few], y[few], folds=None, units=2, activations="relu")
    assert found.run.folds["n_folds"] == 3
    assert any("3 folds instead of 5" in note for note in found.notes)


def test_a_class_of_one_row_is_warned_of_and_stops_nothing():
    x, y = classes()
    rare = np.r_[["rare"], np.where(y == 1, "a", "b")[1:]]
    found = solved(x, rare, folds=None, units=2, activations="relu")
    assert found.run.folds["n_folds"] == 5
    assert any("`rare` (1)" in note and "never validated" in note for note in found.notes)
    assert np.isfinite(found.best.scores["auc"].mean)
    with pytest.raises(unitune.DataError, match=r"2 rows each.*'b' has 1"):
        solved(x, np.r_[["b"], ["a"] * (len(x) - 1)], folds=None, units=2, activations="relu")


def test_test_rows_are_scored_once_at_the_end(result):
    assert result.test_scores is None
    x, y = classes()
    tested = quick(x, y, units=8, activations="relu", epochs=20, test_data=classes(60, seed=5))
    scores = tested.test_scores
    assert list(scores.columns) == ["train", "validation", "test", "gap_validation", "gap_test"]
    model = tested.model()
    x_test, y_test = classes(60, seed=5)
    accuracy = np.mean((np.asarray(model(x_test))[:, 0] > 0.5) == y_test)
    assert scores.loc["accuracy", "test"] == pytest.approx(accuracy)
    row = scores.loc["log_loss"]
    assert row["gap_test"] == pytest.approx(row["test"] - row["validation"])
    row = scores.loc["accuracy"]
    assert row["gap_validation"] == pytest.approx(row["train"] - row["validation"])


def test_weights_change_the_scores():
    x, y = classes()
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 5, len(y)) * (rng.random(len(y)) > 0.2)

    def scores(y=y, **weighting):
        return quick(x, y, units=4, activations="relu", folds=None, cv=KFold(3), **weighting).best.scores

    plain, weighted = scores(), scores(sample_weight=weights)
    assert plain["accuracy"].values != weighted["accuracy"].values
    assert plain["accuracy"].values != scores(class_weight={0: 10.0})["accuracy"].values
    # Rows of weight 0 count neither in training nor in scores, whatever their class; nor do weights of 1.
    assert scores(np.where(weights == 0, 1 - y, y), sample_weight=weights) == weighted
    assert scores(class_weight={0: 1.0}) == plain


def test_the_model_is_trained_for_the_median_best_epoch():
    x, y = classes()
    found = quick(x, y, units=16, activations="relu", learning_rates=0.05, epochs=30, patience=1)
    best = found.members()["best_epoch"]
    assert found.summary()["recommended"]["epochs"] == round(best.median())
    assert (best < 30).any()


def test_a_table_with_text_and_missing_values_becomes_a_model():
    x, y = classes()
    frame = pd.DataFrame(
        {"size": x[:, 0], "colour": np.where(x[:, 1] > 0, "red", "blue"), "sold": np.where(y, "yes", "no")}
    )
    frame.loc[3, "size"] = np.nan
    found = quick(frame, None, target="sold", units=4, activations="relu")
    assert set(found.predict(frame.drop(columns="sold"))["prediction"]) <= {"yes", "no"}


def test_one_at_a_time_reports_what_each_change_did():
    x, y = classes()
    found = solved(x, y, strategy="one-at-a-time", dropouts=[0.0, 0.9], baseline={"units": 2})
    changes = found.changes
    assert {"units", "activation", "dropout"} == set(changes["hyperparameter"])
    assert {"validation", "train", "p", "kept"} <= set(changes.columns)
    assert found.run.strategy == "one-at-a-time"


def test_a_space_without_end_takes_as_many_trials_as_it_may():
    x, y = classes()
    found = solved(x, y, units="2:64", learning_rates="1e-3:1e-1:log", trials=7)
    assert (len(found.trials), found.run.strategy) == (7, "qmc")


class Remembers(Listener):
    def __init__(self):
        self.calls = []

    def on_start(self, plan):
        self.plan = plan
        self.calls.append("start")

    def on_member(self, member, failure):
        self.calls.append("member")

    def on_trial(self, trial, best):
        self.best = best
        self.calls.append("trial")

    def on_end(self):
        self.calls.append("end")


def test_listeners_are_told_everything(result):
    listener = Remembers()
    found = quick(*classes(), callbacks=[listener])
    assert (listener.calls[0], listener.calls[-1]) == ("start", "end")
    assert listener.calls.count("member") == 12
    assert listener.calls.count("trial") == 4
    assert listener.best.scores["accuracy"].mean == found.best.scores["accuracy"].mean
    assert (listener.plan.n_trials, listener.plan.n_members) == (4, 12)


def test_silent_means_silent(capfd):
    quick(*classes(), units=2, activations="relu", progress=False)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "network" not in captured.err


def test_progress_goes_to_standard_error_with_the_notes_once(capsys):
    solved(*classes(), units=2, activations="relu", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("Task: binary") == 1
    assert "1/1 trial," in captured.err


class Interrupts(Listener):
    def __init__(self, after: int):
        self.left = after

    def on_trial(self, trial, best):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_what_is_done(tmp_path):
    found = solved(*classes(), units=[2, 3, 4], callbacks=[Interrupts(2)], out=tmp_path, name="cut")
    assert found.interrupted
    assert len(found.trials) == 2
    assert len(found.members(1)) == 3
    loaded = unitune.load(tmp_path / "cut")
    assert loaded.interrupted
    assert len(loaded.trials) == 2
    assert "Stopped by the user" in loaded.notes[-1]


def test_ctrl_c_before_anything_is_done_is_ctrl_c():
    class Now(Listener):
        def on_member(self, member, failure):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solved(*classes(), callbacks=[Now()])


def test_ctrl_c_while_the_best_is_refitted_keeps_the_search(tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unitune.tuner.refit.Refitter._as_a_member", stop)
        found = solved(*classes(), units=2, out=tmp_path, name="cut")
    assert found.interrupted
    assert not (tmp_path / "cut" / "best.keras").exists()
    assert len(unitune.load(tmp_path / "cut").trials) == 2


def test_a_winner_that_cannot_be_refitted_leaves_the_rest(tmp_path):
    def fail(*_, **__):
        raise MemoryError("no room")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unitune.tuner.refit.Refitter._as_a_member", fail)
        found = solved(*classes(), units=2, out=tmp_path, name="cut")
    assert "could not be refitted" in found.notes[-1]
    assert "MemoryError" in unitune.load(tmp_path / "cut").notes[-1]


def test_a_grid_that_is_cut_says_what_was_left_out():
    found = solved(*classes(), strategy="grid", trials=1)
    assert "3 of 4 configurations were left out" in found.run.left_out


@pytest.mark.parametrize("engine", ["solo", "fused"])
def test_a_time_limit_leaves_out_what_would_not_end_in_time_and_says_so(engine):
    found = quick(*classes(), engine=engine, units=list(range(2, 40)), time_limit_s=0.001)
    assert 1 <= len(found.trials) < 38 * 2
    assert f"{76 - len(found.trials)} of 76 trials were left out" in found.run.left_out
    assert found.run.left_out in found.notes


def test_a_generous_time_limit_leaves_nothing_out():
    found = solved(*classes(), units=2, time_limit_s=10_000)
    assert found.run.left_out == ""
    assert len(found.trials) == 2


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_trial_that_diverges_fails_with_a_reason_and_sorts_last():
    x, _ = classes()
    found = quick(
        x, 1e3 * x[:, 0], units=2, activations="linear", optimizers="sgd", learning_rates=[0.01, 1e25], epochs=6
    )
    table = found.table()
    assert len(table) == 2
    last = table.iloc[-1]
    assert last["learning_rate"] == 1e25
    assert "diverged" in last["failure"]
    assert np.isnan(last["mean"])
    assert pd.isna(last["rank"])
    assert found.best.state == "complete"
    with pytest.raises(TrainingError, match="diverged"):
        found.model(int(last["trial"]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_if_all_trials_fail_it_is_an_error_and_nothing_is_saved(tmp_path):
    x, _ = classes()
    settings = {"units": 2, "activations": "linear", "optimizers": "sgd", "learning_rates": 1e30}
    with pytest.raises(TrainingError, match=r"The only trial failed.*diverged"):
        quick(x, x[:, 0], **settings, out=tmp_path, name="a")
    assert list(tmp_path.iterdir()) == []


BAD = {
    "unknown objective": ({"objective": "acuracy"}, OptionError),
    "objective of another task": ({"objective": "rmse"}, OptionError),
    "wrong direction": ({"direction": "minimize"}, OptionError),
    "no direction": ({"direction": "up"}, OptionError),
    "unknown strategy": ({"strategy": "bayes"}, OptionError),
    "unknown engine": ({"engine": "gpu"}, OptionError),
    "no trials": ({"trials": 0}, OptionError),
    "half a trial": ({"trials": 1.5}, OptionError),
    "negative time": ({"time_limit_s": -1}, OptionError),
    "negative seed": ({"seed": -1}, OptionError),
    "negative patience": ({"patience": -1}, OptionError),
    "no repeats": ({"repeats": 0}, OptionError),
    "name with a slash": ({"name": "a/b"}, OptionError),
    "two ways to hold out": ({"validation_split": 0.2}, OptionError),
    "units below 1": ({"units": [0]}, SpaceError),
    "unknown activation": ({"activations": ["rleu"]}, SpaceError),
    "empty list": ({"units": []}, SpaceError),
    "too many folds": ({"folds": 80}, DataError),
    "bad validation data": ({"folds": None, "validation_data": (1, 2, 3, 4)}, OptionError),
    "grid of a range": ({"learning_rates": "1e-4:1e-2:log", "strategy": "grid"}, OptionError),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_training(case, tmp_path, monkeypatch):
    monkeypatch.setattr(SoloEngine, "train", lambda *_, **__: pytest.fail("it trained"))
    changes, error = BAD[case]
    with pytest.raises(error):
        quick(
            *classes(),
            engine=changes.pop("engine", "solo") if "engine" in changes else "solo",
            **({"out": tmp_path} | changes),
        )
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused_before_training(tmp_path, monkeypatch):
    solved(*classes(), units=2, activations="relu", out=tmp_path, name="run")
    monkeypatch.setattr(Collector, "score", lambda *_: pytest.fail("it trained"))
    with pytest.raises(RunFolderError, match="overwrite"):
        solved(*classes(), out=tmp_path, name="run")


def test_lines_tell_the_best_so_far():
    text = io.StringIO()
    from rich.console import Console

    lines = Lines(Console(file=text, width=200), every_s=0.0)
    found = solved(*classes(), callbacks=[lines])
    assert f"best accuracy {found.best.scores['accuracy'].mean:.4g}" in text.getvalue()
