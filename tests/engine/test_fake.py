"""`FakeEngine`: a whole search without a compiler, whose networks are real ones."""

import numpy as np
import pytest

import unitune
from unitune.testing import FakeEngine

SMALL = {"units": [4, 32], "activations": "tanh", "folds": 3, "progress": False, "references": False}


@pytest.fixture(scope="module")
def rows():
    x = np.random.default_rng(0).normal(size=(90, 4))
    return x, np.digitize(x[:, 0], [-0.4, 0.4])


def test_scores_are_those_of_the_networks_that_it_gives(rows, tmp_path):
    x, y = rows
    result = unitune.tune(x, y, engine=FakeEngine(), out=tmp_path, name="fake", test_data=(x[:50], y[:50]), **SMALL)
    assert [trial.state for trial in result.trials] == ["complete", "complete"]
    model = result.model()
    right = model.predict(x[:50], verbose=0).argmax(axis=1) == y[:50]
    assert result.test_scores.loc["accuracy", "test"] == pytest.approx(right.mean())
    assert result.best.scores["accuracy"].mean > 0.5  # and not 0.37, the share of the largest class
    assert unitune.load(result.folder).best.configuration == result.best.configuration


def test_the_same_seed_gives_the_same(rows):
    first, second = (unitune.tune(*rows, engine=FakeEngine(), **SMALL).table()["mean"].tolist() for _ in range(2))
    assert first == second


def test_members_fail_where_they_shall_and_are_told_of(rows):
    seen = []
    engine = FakeEngine(failures={1: "it diverged"}, on_member=lambda job: seen.append(job.member.trial))
    result = unitune.tune(*rows, engine=engine, **SMALL)
    assert {trial.number: trial.failure for trial in result.trials if trial.state == "failed"} == {
        1: "fold 1: it diverged"
    }
    assert sorted(seen) == [1, 1, 1, 2, 2, 2]


def test_what_is_no_engine_is_refused(rows):
    with pytest.raises(unitune.OptionError, match="name or an engine"):
        unitune.tune(*rows, engine=object(), **SMALL)
