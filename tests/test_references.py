"""Simpler models beside the trials: their scores, where they are shown, and what is said of them."""

import pickle
import time

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, root_mean_squared_error

import unitune
from unitune.diagnosis import simpler_model
from unitune.options import TuneOptions
from unitune.report.page import page
from unitune.result.facts import facts_of
from unitune.tuner.posed import pose_dense
from unitune.tuner.references import REFERENCES, train_references

pytestmark = pytest.mark.slow

OPTIONS = {"units": [4, 8], "activations": "relu", "folds": 3, "progress": False}


@pytest.fixture(scope="module")
def straight():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 5))
    return x, x @ [2.0, -1.0, 0.5, 0.0, 1.0] + rng.normal(size=240)


@pytest.fixture(scope="module")
def found(straight, tmp_path_factory):
    return unitune.tune(*straight, out=tmp_path_factory.mktemp("runs"), name="straight", **OPTIONS)


def test_they_are_scored_on_the_folds_of_the_search(found, straight):
    x, y = straight
    folds = pose_dense(TuneOptions(x, y, **OPTIONS)).problem.folds
    scores = {"the mean": [], "linear model": []}
    for fold in folds:
        for name, model in (("the mean", DummyRegressor()), ("linear model", LinearRegression())):
            fitted = model.fit(x[fold.train], y[fold.train])
            scores[name].append(root_mean_squared_error(y[fold.validation], fitted.predict(x[fold.validation])))
    table = found.references.set_index("reference")
    assert list(table.index) == ["the mean", "linear model", "gradient boosting"]
    assert table["mean"]["the mean"] == pytest.approx(np.mean(scores["the mean"]))
    assert table["mean"]["linear model"] == pytest.approx(np.mean(scores["linear model"]), rel=0.03)


def test_they_are_never_ranked(found):
    assert len(found.table()) == len(found.trials) == 2
    table = found.table(references=True)
    assert len(table) == 5
    assert table["rank"].notna().sum() == 2
    assert table["reference"].notna().sum() == 3


def test_a_linear_model_that_no_network_beats_is_a_finding(found):
    """It does as well where no network is better by more than the tolerance, with 95 %."""
    evidence = found._evidence
    (finding,) = [one for one in found.findings if one.kind == "linear_as_good"]
    assert finding.title.startswith("No network scored better than a linear model")
    fields = {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}
    sure = type(evidence)(**{**fields, "tolerance": 1.0})
    (finding,) = simpler_model.find(sure)
    assert "units and activation do not matter here" in finding.title


def test_they_are_in_the_report_the_summary_and_the_run_folder(found):
    text = page(facts_of(found))
    assert "Simpler models on the same folds" in text
    assert "gradient boosting" in text
    assert [row["reference"] for row in found.summary()["references"]] == found.references["reference"].tolist()
    again = unitune.load(found.folder)
    assert again.references.equals(found.references)
    assert pickle.loads(pickle.dumps(again)).references.equals(found.references)


def test_boosting_that_is_clearly_ahead_is_a_finding():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, size=(600, 8)).astype(float)
    y = (x[:, :4].sum(axis=1) % 2).astype(int)  # parity: trees split it, and an epoch of a network does not
    result = unitune.tune(x, y, epochs=1, references=["boosting"], **OPTIONS)
    assert result.references["reference"].tolist() == ["gradient boosting"]
    titles = {finding.kind: finding.title for finding in result.findings}
    assert titles["boosting_ahead"].startswith("On this table boosting is better")
    folds = pose_dense(TuneOptions(x, y, **OPTIONS)).problem.folds
    scores = []
    for fold in folds:
        model = HistGradientBoostingClassifier(random_state=0).fit(x[fold.train], y[fold.train])
        scores.append(accuracy_score(y[fold.validation], model.predict(x[fold.validation])))
    assert result.references["mean"][0] == pytest.approx(np.mean(scores))


def test_a_network_that_beats_the_linear_model_has_no_such_finding():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(400, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    result = unitune.tune(
        x, y, units=32, activations="relu", folds=5, references=["majority", "linear"], progress=False
    )
    assert result.references["reference"].tolist() == ["the largest class", "linear model"]
    assert "linear_as_good" not in {finding.kind for finding in result.findings}


@pytest.mark.parametrize("none", [False, "none", ()])
def test_they_can_be_left_out(straight, none):
    x, y = straight
    result = unitune.tune(x[:40], y[:40], epochs=1, references=none, **OPTIONS)
    assert result.references.empty
    assert len(result.table(references=True)) == 2


def test_a_time_limit_leaves_them_out_and_says_so(straight):
    problem = pose_dense(TuneOptions(*straight, **OPTIONS)).problem
    over = time.perf_counter() - 1
    trained, notes = train_references(problem, REFERENCES, search_s=10, ends=over)
    assert [one.kind for one in trained] == ["majority"]
    assert [note.partition(":")[0] for note in notes] == [
        "The reference `linear` was left out",
        "The reference `boosting` was left out",
    ]


def test_several_classes_weights_and_outputs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    weight = rng.uniform(0.5, 2, size=120)
    classes = unitune.tune(x, np.digitize(x[:, 0], [-0.5, 0.5]), epochs=1, sample_weight=weight, **OPTIONS)
    assert classes.references["mean"].between(0, 1).all()
    assert len(classes.references) == 3
    both = unitune.tune(x, x[:, :2] * 3, task="regression", epochs=1, **OPTIONS)
    assert both.references["reference"].tolist() == ["the mean", "linear model"]


def test_one_that_fails_is_a_note_and_loses_nothing(straight, monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr("unitune.tuner.references._boosted_fold", fail)
    x, y = straight
    result = unitune.tune(x[:40], y[:40], epochs=1, references=["majority", "boosting"], **OPTIONS)
    assert result.references["reference"].tolist() == ["the mean"]
    assert result.notes[-1] == "The reference `boosting` could not be trained: MemoryError: no room"
