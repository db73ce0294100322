"""`tune` and `compare` with models that take several inputs."""

import keras
import numpy as np
import pytest

import unitune
from unitune.errors import DataError, OptionError

layers = keras.layers
rng = np.random.default_rng(0)
FLAT = rng.normal(size=(60, 4)).astype("float32")
SERIES = rng.normal(size=(60, 5, 2)).astype("float32")
Y = (FLAT[:, 0] + SERIES[:, 0, 0] > 0).astype(int)
QUICK = {"folds": 2, "epochs": 2, "progress": False}


def build_model(hp, *, names=("flat", "series")):
    flat, series = keras.Input((4,), name=names[0]), keras.Input((5, 2), name=names[1])
    joined = layers.Concatenate()([layers.Dense(hp.Int("units", 2, 4, step=2))(flat), layers.Flatten()(series)])
    model = keras.Model([flat, series], layers.Dense(1, "sigmoid")(joined))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return unitune.tune(
        build_model, [FLAT, SERIES], Y, trials=2, test_data=([FLAT[:20], SERIES[:20]], Y[:20]),
        out=tmp_path_factory.mktemp("inputs"), name="run", **QUICK,
    )  # fmt: skip


def test_a_function_of_several_inputs_is_searched(result):
    assert [trial.engine for trial in result.trials] == ["fused", "fused"]
    assert {trial.configuration["units"] for trial in result.trials} == {2, 4}
    assert 0 <= result.test_scores.loc["accuracy", "test"] <= 1


def test_curves_are_those_of_fit(result):
    found = result.verify()
    assert found.largest_difference < 1e-5


def test_a_dictionary_gives_the_same_in_any_order(result):
    again = unitune.tune(build_model, {"series": SERIES, "flat": FLAT}, Y, trials=2, **QUICK)
    assert [trial.scores["accuracy"].mean for trial in again.trials] == [
        trial.scores["accuracy"].mean for trial in result.trials
    ]


def test_the_winner_takes_the_inputs_and_can_be_loaded(result, tmp_path):
    expected = result.model().predict([FLAT[:5], SERIES[:5]], verbose=0)
    result.model().save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict([FLAT[:5], SERIES[:5]], verbose=0), expected, rtol=1e-6)
    by_name = result.predict({"series": SERIES[:5], "flat": FLAT[:5]})
    np.testing.assert_allclose(by_name["probability_1"], expected[:, 0], rtol=1e-6)
    kept = unitune.load(result.folder)
    np.testing.assert_allclose(kept.predict([FLAT[:5], SERIES[:5]])["probability_1"], expected[:, 0], rtol=1e-6)


def test_models_are_compared(result):
    hp = unitune.HyperParameters()
    found = unitune.compare(
        {"one": build_model(hp), "other": build_model(hp)}, [FLAT, SERIES], Y,
        validation_data=([FLAT[:9], SERIES[:9]], Y[:9]), epochs=2, progress=False,
    )  # fmt: skip
    assert [trial.engine for trial in found.trials] == ["fused", "fused"]


def test_what_is_wrong_with_the_rows_is_said():
    def refused(x, **settings):
        with pytest.raises((DataError, OptionError)) as caught:
            unitune.tune(build_model, x, Y, trials=1, **(QUICK | settings))
        return str(caught.value)

    assert "a list of 2 arrays" in refused(FLAT)
    assert "got 3 items" in refused([FLAT, SERIES, FLAT])
    assert "`series` is missing" in refused({"flat": FLAT})
    assert "`more` is none of them" in refused({"flat": FLAT, "series": SERIES, "more": FLAT})
    assert "the same number of rows" in refused([FLAT, SERIES[:9]])
    assert "finite" in refused([FLAT, np.full_like(SERIES, np.nan)])
    assert "takes rows of shape" in refused([FLAT, FLAT])
    assert "Normalization" in refused([FLAT, SERIES], normalize=True)
    shown = refused([FLAT, SERIES], folds=None, validation_data=([FLAT, FLAT], Y))
    assert "(60, 4) and (60, 4) beside one of shape (60, 4) and (60, 5, 2)" in shown
    hp = unitune.HyperParameters()
    models = {"one": build_model(hp), "other": build_model(hp, names=("a", "b"))}
    with pytest.raises(OptionError, match="same inputs"):
        unitune.compare(models, [FLAT, SERIES], Y)
