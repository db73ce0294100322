"""Runs of a function that builds models, and of models of the user's own, go on like any other."""

import keras
import numpy as np
import pytest

import unitune
from unitune.errors import OptionError, RunFolderError
from unitune.report.progress import Listener

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = (X[:, 0] > 0).astype(int)


def build_model(hp, activation="relu"):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(hp.Choice("units", [2, 3, 4]), activation=activation),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def another_function(hp):
    return build_model(hp, "tanh")


class Kill(Listener):
    """As Ctrl-C twice: nothing more is trained, and what was recorded stays."""

    def __init__(self, after):
        self.left = after

    def on_member(self, member, failure):
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("killed")


class Count(Listener):
    def __init__(self):
        self.n = 0

    def on_trial(self, trial, best):
        self.n += 1


def scores(result):
    return [(trial.number, trial.configuration, dict(trial.scores)) for trial in result.trials]


SETTINGS = {"folds": 2, "epochs": 2, "batch_sizes": [8, 16], "strategy": "grid", "progress": False}


@pytest.fixture
def cut(tmp_path):
    with pytest.raises(RuntimeError, match="killed"):
        unitune.tune(build_model, X, Y, **SETTINGS, out=tmp_path, name="cut", callbacks=[Kill(5)])
    return tmp_path / "cut"


@pytest.fixture(scope="module")
def whole():
    return unitune.tune(build_model, X, Y, **SETTINGS)


def test_a_function_is_asked_for_again(cut):
    with pytest.raises(OptionError, match=r"made with `build_model`.*resume\(.*, build_model, x, y\)"):
        unitune.resume(cut, X, Y, progress=False)
    with pytest.raises(OptionError, match=r"rows of the run are needed.*build_model, x, y"):
        unitune.resume(cut, build_model, progress=False)


def test_another_function_is_refused(cut):
    with pytest.raises(RunFolderError, match=r"`network` was Dense\(activation=relu.*and is Dense\(activation=tanh"):
        unitune.resume(cut, another_function, X, Y, progress=False)


def test_a_function_that_builds_another_network_later_is_refused(cut):
    def wider_later(hp):
        model = build_model(hp)
        if hp.get("units") == 2:
            return model
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(9), keras.layers.Dense(1, "sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model

    with pytest.raises(RunFolderError, match=r"trial \d had 1\d parameters and would have 55 parameters"):
        unitune.resume(cut, wider_later, X, Y, progress=False)


def test_a_function_goes_on(cut, whole):
    count = Count()
    found = unitune.resume(cut, build_model, X, Y, progress=False, callbacks=[count])
    assert scores(found) == scores(whole)
    assert count.n == 6
    again = unitune.tune(build_model, X, Y, **SETTINGS, out=cut.parent, name="cut", resume=True)
    assert scores(again) == scores(whole)


def test_a_function_is_not_for_a_run_without_one(tmp_path):
    unitune.tune(X, Y, units=[2], activations="relu", epochs=1, folds=2, out=tmp_path, name="dense", progress=False)
    with pytest.raises(OptionError, match="made without a function"):
        unitune.resume(tmp_path / "dense", build_model, X, Y, trials=3, progress=False)


def models(seed=1, units=3):
    keras.utils.set_random_seed(seed)
    found = {}
    for activation in ("relu", "tanh"):
        layers = [keras.Input((4,)), keras.layers.Dense(units, activation), keras.layers.Dense(1, "sigmoid")]
        found[activation] = keras.Sequential(layers)
        found[activation].compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return found


def test_a_comparison_goes_on_with_the_same_models(tmp_path):
    settings = {"folds": 2, "epochs": 2, "progress": False}
    kept = {"out": tmp_path, "name": "mine", "resume": True, "keep": 1}
    with pytest.raises(RuntimeError, match="killed"):
        unitune.compare(models(), X, Y, **settings, **kept, callbacks=[Kill(3)])
    with pytest.raises(RunFolderError, match="other weights"):
        unitune.compare(models(seed=2), X, Y, **settings, **kept)
    with pytest.raises(RunFolderError, match=r"`models` was .*units=3.* and is .*units=4"):
        unitune.compare(models(units=4), X, Y, **settings, **kept)
    with pytest.raises(RunFolderError, match="`epochs` was 2 and is 3"):
        unitune.compare(models(), X, Y, **(settings | {"epochs": 3}), **kept)
    with pytest.raises(OptionError, match="Call that function again with `resume=True`"):
        unitune.resume(tmp_path / "mine", X, Y)
    found = unitune.compare(models(), X, Y, **settings, **kept)
    assert scores(found) == scores(unitune.compare(models(), X, Y, **settings))
    assert len(found.weights()) == 2
