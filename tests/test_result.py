"""`Result`: before and after it was saved."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import unitune
from unitune.errors import OptionError, RunFolderError, SaveError, TrainingError
from unitune.result import compare_runs, probabilities

pytestmark = pytest.mark.slow

FILES = {
    *("summary.json", "run.json", "trials.csv", "members.parquet", "histories.parquet", "probes.parquet"),
    "predictions.npz",
    *("best.keras", "curves.png", "units_x_activation.png", "report.html"),
}


def table_of(n: int = 80, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n)
    return pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, size),
            "colour": rng.choice(["red", "green", "blue"], n),
            "kind": np.where(size + 0.3 * rng.normal(size=n) > 0, "large", "small"),
        }
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    result = unitune.tune(
        table_of(),
        target="kind",
        units=[2, 4],
        activations=["relu", "tanh"],
        epochs=3,
        folds=3,
        repeats=2,
        progress=False,
        out=folder,
        name="run",
        test_data=table_of(40, seed=1),
    )
    return result, folder / "run"


def test_the_table_ranks_from_best_to_worst(saved):
    table = saved[0].table()
    assert list(table.columns[:7]) == ["rank", "trial", "mean", "expected", "low", "high", "p_best"]
    assert list(table.columns[7:13]) == ["expected_loss", "std", "train", "gap", "credible", "pick"]
    assert list(table.columns[13:]) == ["units", "activation", "parameters", "seconds", "engine"]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["mean"].is_monotonic_decreasing
    np.testing.assert_allclose(table["gap"], table["train"] - table["mean"])
    assert saved[0].best.number == table.loc[0, "trial"]


def test_another_metric_keeps_the_order_of_the_objective(saved):
    result = saved[0]
    by_loss = result.table(metric="log_loss")
    assert by_loss["trial"].tolist() == result.table()["trial"].tolist()
    assert by_loss.loc[0, "mean"] == result.best.scores["log_loss"].mean
    np.testing.assert_allclose(by_loss["gap"], by_loss["mean"] - by_loss["train"])
    with pytest.raises(OptionError, match="rmse"):
        result.table(metric="rmse")


def test_the_history_is_a_long_table(saved):
    history = saved[0].history()
    assert list(history.columns) == ["trial", "fold", "repeat", "epoch", "metric", "split", "value"]
    # 6 members, 3 epochs, (loss, accuracy) on both splits and the learning rate
    assert len(history) == 6 * 3 * 5
    assert set(history["epoch"]) == {1, 2, 3}
    assert history["value"].notna().all()


def test_histories_end_with_the_recorded_scores(saved):
    result = saved[0]
    last = result.history().query("metric == 'accuracy' and split == 'validation' and epoch == 3")
    np.testing.assert_allclose(last["value"], result.recommended.scores["accuracy"].values, atol=1e-6)


def test_models_are_kept(saved):
    result = saved[0]
    assert result.model() is result.model(result.recommended) is result.model(result.recommended.number)
    other = next(trial for trial in result.trials if trial.number != result.recommended.number)
    assert result.model(other) is not result.model()


def test_an_unknown_trial_is_refused(saved):
    with pytest.raises(OptionError, match="from 1 to 4"):
        saved[0].history(77)


def test_it_shows_itself(saved):
    result = saved[0]
    assert f"recommended is trial {result.recommended.number}" in repr(result)
    page = result._repr_html_()
    assert "<table" in page
    assert "accuracy" in page


def test_the_folder_holds_what_is_promised(saved):
    assert {path.name for path in saved[1].iterdir()} == FILES | {"store.db"}
    summary = json.loads((saved[1] / "summary.json").read_text())
    assert summary["objective"] == "accuracy"
    assert (summary["n_trials"], summary["n_members"]) == (4, 24)
    assert sum(summary["members_by_engine"].values()) == 24
    assert summary["best"]["configuration"]["units"] in (2, 4)
    assert summary["estimate"]["accuracy"]["low"] < summary["estimate"]["accuracy"]["high"]
    assert {"data", "search", "refit", "total"} <= set(summary["elapsed_s"])
    assert {"python", "keras", "unitune"} <= set(summary["versions"])
    assert summary["test"]["accuracy"]["test"] == pytest.approx(saved[0].test_scores.loc["accuracy", "test"])
    assert len(pd.read_csv(saved[1] / "trials.csv")) == 4


def test_a_loaded_run_is_the_run_that_was_saved(saved):
    result, folder = saved
    loaded = unitune.load(folder)
    pd.testing.assert_frame_equal(loaded.table(everything=True), result.table(everything=True))
    assert loaded.trials == result.trials
    pd.testing.assert_frame_equal(loaded.history(), result.history(), check_categorical=False)
    pd.testing.assert_frame_equal(loaded.members(), result.members())
    pd.testing.assert_frame_equal(loaded.test_scores, result.test_scores)
    assert loaded.summary() == json.loads((folder / "summary.json").read_text())
    new = table_of(9, seed=2).drop(columns="kind")
    pd.testing.assert_frame_equal(loaded.predict(new), result.predict(new))


def test_a_loaded_run_has_the_recommended_model_only(saved):
    result, folder = saved
    other = next(trial for trial in result.trials if trial.number != result.recommended.number)
    with pytest.raises(RunFolderError, match="recommended"):
        unitune.load(folder).model(other)


def test_a_run_is_saved_again_from_what_was_loaded(saved, tmp_path):
    unitune.load(saved[1]).save(tmp_path / "copy")
    pd.testing.assert_frame_equal(unitune.load(tmp_path / "copy").table(), saved[0].table())


def test_the_model_predicts_the_same_where_unitune_is_not_known(saved):
    result, folder = saved
    code = f"""
import sys, keras, tensorflow as tf
sys.modules["unitune"] = None
model = keras.saving.load_model({str(folder / "best.keras")!r}, safe_mode=True)
rows = {{"size": tf.constant([[0.5], [float("nan")]]), "colour": tf.constant([["red"], ["pink"]])}}
print([float(p) for p in model(rows)[:, 0]])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = pd.DataFrame({"size": [0.5, np.nan], "colour": ["red", "pink"]})
    expected = result.predict(rows)["probability_small"]
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), expected, rtol=1e-5)


def test_a_full_disk_keeps_the_run_so_far(saved, tmp_path, monkeypatch):
    result = saved[0]

    def full(path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result.model(), "save", full)
    with pytest.raises(SaveError, match=r"best\.keras: No space left on device.*trials\.csv"):
        result.save(tmp_path / "full")
    left = {path.name for path in (tmp_path / "full").iterdir()}
    assert left == FILES - {"best.keras", "curves.png", "units_x_activation.png", "report.html"}
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    loaded = unitune.load(tmp_path / "full")
    assert len(loaded.trials) == 4
    with pytest.raises(RunFolderError, match=r"best\.keras"):
        loaded.model()


def test_a_search_that_cannot_be_saved_is_not_lost(tmp_path, monkeypatch):
    import unitune.store.folder as store

    def full(path, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    assert store.MARK
    with pytest.raises(SaveError, match=r"Nothing was saved.*What was trained is kept in store\.db") as caught:
        unitune.tune(
            table_of(), target="kind", units=2, activations="relu", epochs=1, folds=2, progress=False, out=tmp_path
        )
    assert len(caught.value.result.trials) == 1
    (folder,) = tmp_path.iterdir()
    assert [path.name for path in folder.iterdir()] == ["store.db"]
    assert len(unitune.load(folder).trials) == 1


def test_runs_on_the_same_folds_are_compared_in_pairs(saved):
    result = saved[0]
    same = compare_runs(result, result)
    assert same.paired
    assert same.difference == 0
    assert "same" in same.verdict
    other = unitune.tune(
        table_of(), target="kind", units=32, learning_rates=0.05, epochs=20, folds=3, repeats=2, progress=False
    )
    found = compare_runs(result, other)
    assert found.paired
    assert 0 <= found.p <= 1
    assert found.difference == pytest.approx(
        other.recommended.scores["accuracy"].mean - result.recommended.scores["accuracy"].mean
    )
    assert {"mean", "units"} <= set(found.table().columns)
    assert json.loads(json.dumps(found.summary()))["paired"] is True


def test_runs_on_other_folds_are_not_paired(saved):
    result = saved[0]
    other = type(result)(
        run=replace(result.run, seed=99), trials=result.trials, members=dict, histories=dict, source=None
    )
    found = compare_runs(result, other)
    assert not found.paired
    assert np.isnan(found.p)


def test_loading_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="there is no"):
        unitune.load(tmp_path / "nothing")
    with pytest.raises(RunFolderError, match=r"no run\.json"):
        unitune.load(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunFolderError, match="cannot be read"):
        unitune.load(tmp_path)


def test_logits_become_probabilities():
    raw = np.array([[[0.0], [2.0]], [[0.3], [0.9]]])
    turned = probabilities(raw, "binary", np.array([True, False]))
    np.testing.assert_allclose(turned[0, :, 0], 1 / (1 + np.exp(-raw[0, :, 0])))
    np.testing.assert_array_equal(turned[1], raw[1])
    several = probabilities(np.zeros((1, 2, 4)), "multiclass", np.array([True]))
    np.testing.assert_allclose(several, 0.25)
    assert probabilities(np.zeros((1, 2, 2)), "binary", np.array([True])).shape == (1, 2, 1)


def test_a_result_without_a_complete_trial_says_so(saved):
    result = saved[0]
    failed = [replace(trial, state="failed", failure="it diverged", scores={}) for trial in result.trials]
    empty = type(result)(run=result.run, trials=failed, members=dict, histories=dict, source=None)
    assert "all failed" in repr(empty)
    with pytest.raises(TrainingError):
        empty.best  # noqa: B018
    assert empty.table()["rank"].isna().all()
