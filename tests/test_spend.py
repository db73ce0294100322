"""`spend="repeats"` and `nested`: repeats where they are worth most, and a search inside each outer fold."""

import json

import numpy as np
import pytest

import unitune
from unitune.errors import OptionError
from unitune.report.progress import Listener
from unitune.testing import FakeEngine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    return x, (x[:, 0] + rng.normal(size=120) > 0).astype(int)


class Count(Listener):
    def __init__(self):
        self.members = []

    def on_member(self, member, failure):
        self.members.append((member.trial, member.fold, member.repeat))


@pytest.fixture(scope="module")
def spent(data, tmp_path_factory):
    count = Count()
    result = unitune.tune(
        *data,
        units=[2, 4],
        activations=["relu", "tanh"],
        epochs=4,
        folds=3,
        trials=16,
        spend="repeats",
        tolerance=1e-4,
        engine=FakeEngine(),
        progress=False,
        callbacks=[count],
        out=tmp_path_factory.mktemp("runs"),
        name="run",
    )
    return result, count


def test_repeats_go_to_some_trials_within_the_budget(spent):
    result, count = spent
    run = result.run
    assert run.spent["rounds"] >= 1
    assert run.spent["members"] == len(count.members) - 12 <= 12 * 3
    assert len(set(count.members)) == len(count.members)
    repeated = {trial for trial, _, repeat in count.members if repeat > 0}
    for trial in result.trials:
        values = trial.scores["accuracy"].values
        assert len(values) == len(result.members(trial))
        assert (len(values) > 3) == (trial.number in repeated)
        assert trial.scores["accuracy"].mean == pytest.approx(np.mean(values))
    assert len(result.best.scores["accuracy"].values) > 3  # what was repeated comes first


def test_it_says_why_it_ended(spent):
    result, _ = spent
    reason = result.run.spent["reason"]
    assert any(text in reason for text in ("settled", "budget is spent", "are the most"))
    assert reason in result.conclusion[2]


def test_a_run_with_more_repeats_is_saved_whole(spent):
    result, _ = spent
    loaded = unitune.load(result.folder)
    assert loaded.trials == result.trials
    assert loaded.estimates == result.estimates
    assert loaded.credible == result.credible
    assert json.loads((result.folder / "summary.json").read_text())["spent"] == dict(result.run.spent)
    assert (result.folder / "report.html").is_file()


def test_repeats_are_those_of_a_search_with_repeats(data):
    options = {
        "units": [2, 4],
        "activations": "relu",
        "epochs": 3,
        "folds": 3,
        "engine": FakeEngine(),
        "progress": False,
    }
    both = unitune.tune(*data, **options, repeats=2)
    more = unitune.tune(*data, **options, trials=4, spend="repeats", tolerance=1e-4)
    assert more.run.spent["rounds"] >= 1
    for one, other in zip(both.trials, more.trials, strict=True):
        first = other.scores["accuracy"].values[:6]
        assert one.scores["accuracy"].values[: len(first)] == pytest.approx(first)


def test_a_search_that_would_use_the_whole_budget_leaves_some(data):
    result = unitune.tune(
        *data,
        units=unitune.Int(2, 40),
        activations="relu",
        strategy="random",
        trials=6,
        epochs=2,
        folds=2,
        spend="repeats",
        engine=FakeEngine(),
        progress=False,
    )
    assert len(result.trials) == 4
    assert result.run.spent["members"] <= 4


def test_nothing_is_left_to_spend(data):
    result = unitune.tune(
        *data,
        units=[2, 4],
        activations="relu",
        epochs=2,
        folds=2,
        trials=2,
        spend="repeats",
        engine=FakeEngine(),
        progress=False,
    )
    assert result.run.spent["rounds"] == 0
    assert any(text in result.run.spent["reason"] for text in ("settled", "budget is spent"))


def test_it_stops_once_the_expected_loss_is_within_the_tolerance(data):
    result = unitune.tune(
        *data,
        units=[2, 4],
        activations="relu",
        epochs=2,
        folds=2,
        trials=9,
        spend="ties",
        tolerance=1.0,
        engine=FakeEngine(),
        progress=False,
    )
    assert result.run.spent["rounds"] == 0
    assert "settled" in result.run.spent["reason"]


def test_an_unknown_way_to_spend_is_an_error(data):
    with pytest.raises(OptionError, match="spend"):
        unitune.tune(*data, units=2, spend="all", engine=FakeEngine(), progress=False)


def test_nested_cross_validation_is_the_estimate(data, tmp_path):
    result = unitune.tune(
        *data, units=[2, 8], activations="relu", epochs=8, folds=2, learning_rates=0.05, nested=3, progress=False
    )
    one = result.estimate
    assert one.method == "nested cross-validation with 3 outer folds"
    assert one.low < one.mean < one.high
    assert one.naive == pytest.approx(result.recommended.scores["accuracy"].mean)
    assert abs(one.mean - one.naive) < 0.2
    assert set(result.estimates) == set(result.run.metrics)
    assert "nested" in result.conclusion[1]
    assert unitune.load(result.save(tmp_path / "run")).estimates == result.estimates


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"nested": 1}, "`nested` must be a whole number of at least 2"),
        ({"nested": 3, "validation_data": (np.zeros((4, 4)), np.array([0, 1, 0, 1]))}, "validation_data"),
        ({"nested": 3, "cv": [(np.arange(60), np.arange(60, 120))]}, "anew"),
    ],
)
def test_what_nested_cannot_do(data, options, what):
    with pytest.raises(OptionError, match=what):
        unitune.tune(*data, units=2, progress=False, **options)
