import datetime as dt
import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from unitune.data.columns import MISSING_DATE
from unitune.data.frames import raw_inputs
from unitune.data.load import dataset, like
from unitune.errors import DataError
from unitune.models import preprocessing
from unitune.models.preprocessing import assemble, fit, predict

# Keras's own conversion of variables to NumPy, when a model is saved.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

N = 120
TRAIN, REST = np.arange(80), np.arange(80, N)
NAMES = {
    "plain": "num ber.1",
    "gaps": "km/h",
    "tiny": "größe (µm)",
    "huge": "$ 金",
    "text": "c:d",
    "hash": "名前",
    "flag": "a\\b?",
    "day": "when/seen",
}


def table(seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "plain": rng.normal(50, 7, N),
            "gaps": np.where(rng.random(N) < 0.2, np.nan, rng.normal(3, 2, N)),
            "tiny": rng.normal(5e-9, 1e-9, N),
            "huge": rng.normal(3e20, 1e20, N),
            "text": rng.choice(np.array(["a", "b c", "日本", None], dtype=object), N),
            "hash": [f"v{i}" for i in rng.integers(0, 90, N)],
            "flag": rng.random(N) < 0.5,
            "day": pd.to_datetime("1969-06-01 12:00") + pd.to_timedelta(rng.integers(-(10**7), 10**7, N), unit="m"),
        }
    ).rename(columns=NAMES)
    frame.loc[[3, 90], NAMES["day"]] = pd.NaT
    frame.loc[[5, 95], NAMES["hash"]] = None
    frame["y"] = np.arange(N) % 2
    return frame


FRAME = table()
DATA = dataset(FRAME, target="y")
RNG = np.random.default_rng(1)
X = RNG.normal(size=(N, 4)) * [1, 10, 1e3, 1e-9] + [0, 5, -1e4, 3e-9]
Y = np.arange(N) % 2


def core(preprocessor, units=3):
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(preprocessor.output_shape), keras.layers.Dense(units, "tanh")])


@pytest.fixture(scope="module")
def learnt():
    return fit(DATA, TRAIN)


@pytest.fixture(scope="module")
def saved(learnt, tmp_path_factory):
    net = core(learnt)
    model = assemble(learnt, net, np.array([2.0, 3.0, 4.0]), np.array([-1.0, 0.0, 1.0]))
    path = tmp_path_factory.mktemp("model") / "best.keras"
    model.save(path)
    return net, model, path


# --- what is learnt ------------------------------------------------------------------------------------------------


def test_arrays_are_standardised_on_the_training_rows():
    learnt = fit(dataset(X, Y), TRAIN)
    expected = StandardScaler().fit(X[TRAIN]).transform(X)
    np.testing.assert_allclose(learnt.transform(np.arange(N)), expected, rtol=1e-4, atol=1e-4)
    assert learnt.transform(TRAIN).dtype == np.float32


def test_other_rows_are_transformed_as_these_are():
    learnt = fit(dataset(X, Y), TRAIN)
    np.testing.assert_array_equal(learnt.transform(X[REST]), learnt.transform(REST))
    table_learnt = fit(DATA, TRAIN)
    np.testing.assert_array_equal(table_learnt.transform(DATA.take(REST)), table_learnt.transform(REST))


def test_images_are_normalised_by_channel_and_flattened_on_demand():
    images = RNG.integers(0, 256, (N, 5, 4, 3)).astype(np.uint8)
    kept = fit(dataset(images, Y), TRAIN, flatten=False)
    z = kept.transform(TRAIN)
    assert z.shape == (len(TRAIN), *kept.output_shape) == (len(TRAIN), 5, 4, 3)
    np.testing.assert_allclose(z.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(z.std((0, 1, 2)), 1, atol=1e-5)
    flat = fit(dataset(images, Y), TRAIN)
    np.testing.assert_array_equal(flat.transform(TRAIN), z.reshape(len(TRAIN), -1))
    assert flat.output_shape == (60,)


@pytest.mark.parametrize(
    ("normalize", "scale", "on"), [("auto", 1, False), ("auto", 10, True), (True, 1, True), (False, 10, False)]
)
def test_normalisation_is_skipped_where_it_is_not_needed(normalize, scale, on):
    x = np.random.default_rng(0).normal(size=(N, 3)) * scale
    learnt = fit(dataset(x, Y, normalize=normalize), TRAIN)
    assert learnt.numbers.on is on
    assert ("normalised" in learnt.notes[0]) is on
    if not on:
        np.testing.assert_array_equal(learnt.transform(REST), x[REST].astype(np.float32))


def test_a_column_that_is_constant_in_training_does_not_explode():
    x = np.column_stack([np.full(N, 0.1), np.arange(N)])
    x[REST, 0] = 0.7
    z = fit(dataset(x, Y), TRAIN).transform(np.arange(N))
    np.testing.assert_allclose(z[TRAIN, 0], 0, atol=1e-6)
    np.testing.assert_allclose(z[REST, 0], 0.6, atol=1e-6)


def test_missing_numbers_become_the_mean_and_are_flagged(learnt):
    z, names = learnt.transform(np.arange(N)), list(learnt.feature_names)
    absent = FRAME[NAMES["gaps"]].isna().to_numpy()
    assert absent.any()
    assert (z[absent, names.index("km/h")] == 0).all()
    np.testing.assert_array_equal(z[:, names.index("km/h is missing")], absent)
    assert "num ber.1 is missing" not in names


def test_missing_numbers_become_the_mean_without_normalisation_too():
    data = dataset(FRAME, target="y", normalize=False)
    learnt = fit(data, TRAIN)
    gaps = FRAME[NAMES["gaps"]]
    z = learnt.transform(np.arange(N))[:, learnt.feature_names.index("km/h")]
    np.testing.assert_allclose(z, gaps.fillna(gaps[TRAIN].mean()), rtol=1e-6)


def test_one_hot_over_training_values_and_zeros_for_others(learnt):
    names = list(learnt.feature_names)
    columns = [names.index(f"c:d = {value}") for value in ("a", "b c", "日本")]
    z = learnt.transform(np.arange(N))
    text = FRAME[NAMES["text"]]
    for value, column in zip(("a", "b c", "日本"), columns, strict=True):
        np.testing.assert_array_equal(z[:, column], (text == value).to_numpy())
    np.testing.assert_array_equal(z[:, names.index("c:d is missing")], text.isna().to_numpy())
    unknown = like(DATA, FRAME.assign(**{NAMES["text"]: "never seen"}))
    others = [i for i, name in enumerate(names) if name.startswith("c:d")]
    assert not learnt.transform(unknown)[:, others].any()


def test_hashes_set_one_bin_and_flag_the_missing(learnt):
    names = list(learnt.feature_names)
    bins = [i for i, name in enumerate(names) if name.startswith("名前 in bin")]
    z, absent = learnt.transform(np.arange(N)), FRAME[NAMES["hash"]].isna().to_numpy()
    np.testing.assert_array_equal(z[:, bins].sum(axis=1), ~absent)
    np.testing.assert_array_equal(z[:, names.index("名前 is missing")], absent)


def test_features_are_named_and_counted(learnt):
    assert len(learnt.feature_names) == learnt.n_features == learnt.transform(TRAIN).shape[1]
    assert len(set(learnt.feature_names)) == learnt.n_features


def test_features_are_finite(learnt):
    assert np.isfinite(learnt.transform(np.arange(N))).all()


def test_only_parts_of_dates_that_vary_are_features():
    days = [dt.date(2020, 3, 1 + i % 28) for i in range(N)]
    learnt = fit(dataset(pd.DataFrame({"d": days, "y": Y}), target="y"), TRAIN)
    assert learnt.feature_names == ("day of d", "weekday of d")


def test_text_without_tensorflow_is_refused(monkeypatch):
    monkeypatch.setattr(preprocessing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="TensorFlow"):
        fit(DATA, TRAIN)
    numbers = fit(dataset(FRAME[[NAMES["plain"], NAMES["day"], "y"]], target="y"), TRAIN)
    assert numbers.n_features > 1


def test_a_fold_in_which_nothing_varies_is_refused():
    frame = pd.DataFrame({"d": [dt.date(2020, 1, 1)] * len(TRAIN) + [dt.date(2021, 1, 1)] * len(REST), "y": Y})
    with pytest.raises(DataError, match="must vary"):
        fit(dataset(frame, target="y"), TRAIN)


# --- nothing leaks -------------------------------------------------------------------------------------------------


def test_validation_rows_change_nothing_in_an_array():
    changed = X.copy()
    changed[REST] = [1e30, -1e30, 0, 5]
    one, two = fit(dataset(X, Y), TRAIN), fit(dataset(changed, Y), TRAIN)
    assert one.transform(TRAIN).tobytes() == two.transform(TRAIN).tobytes()
    assert one.numbers.mean.tobytes() == two.numbers.mean.tobytes()
    assert one.numbers.scale.tobytes() == two.numbers.scale.tobytes()


def test_validation_rows_change_nothing_in_a_table():
    x = {name: values.copy() for name, values in DATA.x.items()}
    for name, values in x.items():
        if values.dtype == object:
            values[REST] = [f"new {i}" for i in range(len(REST) - 1)] + [""]
        elif values.dtype == np.int32:
            values[REST] = np.linspace(-(2**31), 2**31 - 1, len(REST)).astype(np.int32)
        else:
            values[REST] = 1e6 * np.nanmax(values) if name != NAMES["plain"] else np.nan
    one, two = fit(DATA, TRAIN), fit(replace(DATA, x=x), TRAIN)
    assert one.feature_names == two.feature_names
    assert one.transform(TRAIN).tobytes() == two.transform(TRAIN).tobytes()
    for a, b in ((one.numbers, two.numbers), (one.dates, two.dates)):
        assert all(getattr(a, f).tobytes() == getattr(b, f).tobytes() for f in ("mean", "scale", "power"))
    assert [vars(text) for text in one.texts] == [vars(text) for text in two.texts]
    assert np.isfinite(two.transform(REST)).all()


def test_training_rows_do_change_it():
    changed = FRAME.copy()
    changed.loc[0, NAMES["plain"]] = 1e6
    two = fit(dataset(changed, target="y"), TRAIN)
    assert (two.numbers.mean != fit(DATA, TRAIN).numbers.mean).sum() == 1


# --- the same inside the model -------------------------------------------------------------------------------------


def features_in_keras(learnt, rows):
    """The features that an assembled model computes: its core hands them through."""
    import keras

    identity = keras.Sequential([keras.Input(learnt.output_shape), keras.layers.Identity()])
    return predict(assemble(learnt, identity), rows)


def test_a_table_has_the_same_features_inside_the_model(learnt):
    inside = features_in_keras(learnt, raw_inputs(DATA.raw_schema, FRAME))
    np.testing.assert_allclose(inside, learnt.transform(np.arange(N)), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("normalize", [False, True, "auto"])
def test_rows_unlike_any_in_training_have_the_same_features_too(normalize):
    data = dataset(FRAME, target="y", normalize=normalize)
    learnt = fit(data, TRAIN)
    new = FRAME.assign(**{NAMES["text"]: "new", NAMES["hash"]: None, NAMES["flag"]: None, NAMES["plain"]: np.nan})
    new[NAMES["day"]] = pd.to_datetime("2262-01-01 00:00")
    inside = features_in_keras(learnt, raw_inputs(data.raw_schema, new))
    np.testing.assert_allclose(inside, learnt.transform(like(data, new)), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 4, 2), (5, 1)])
@pytest.mark.parametrize("flatten", [True, False])
def test_arrays_have_the_same_features_inside_the_model(normalize, shape, flatten):
    x = np.random.default_rng(0).normal(3, 20, (N, *shape))
    learnt = fit(dataset(x, Y, normalize=normalize), TRAIN, flatten=flatten)
    inside = features_in_keras(learnt, x.astype(np.float32))
    np.testing.assert_allclose(inside, learnt.transform(np.arange(N)), rtol=1e-6, atol=1e-6)


def test_extreme_scales_survive_in_keras():
    x = np.random.default_rng(0).normal(size=(N, 3)) * [1e-12, 1e25, 1] + [1e-12, 1e25, 0]
    learnt = fit(dataset(x, Y), TRAIN)
    inside = features_in_keras(learnt, x.astype(np.float32))
    np.testing.assert_allclose(inside, learnt.transform(np.arange(N)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(inside[TRAIN].std(axis=0), 1, rtol=1e-4)


def test_duplicate_and_odd_names_become_inputs():
    frame = pd.DataFrame(RNG.normal(size=(N, 6)), columns=["a", "a", "a/b", "a_b", 7, ""])
    data = dataset(frame, Y)
    learnt = fit(data, TRAIN)
    inside = features_in_keras(learnt, raw_inputs(data.raw_schema, frame))
    np.testing.assert_allclose(inside, learnt.transform(np.arange(N)), rtol=1e-5, atol=1e-6)


def test_predictions_are_in_the_users_units(learnt, saved):
    net, model, _ = saved
    by_hand = np.asarray(net(learnt.transform(np.arange(N)))) * [2.0, 3.0, 4.0] + [-1.0, 0.0, 1.0]
    np.testing.assert_allclose(predict(model, raw_inputs(DATA.raw_schema, FRAME)), by_hand, rtol=1e-5, atol=1e-5)
    small = predict(model, raw_inputs(DATA.raw_schema, FRAME), batch_size=7)
    np.testing.assert_allclose(small, by_hand, rtol=1e-5, atol=1e-5)


def run(code, **environment):
    settings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=settings, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_saved_model_needs_only_keras(saved, tmp_path):
    _, model, path = saved
    rows = raw_inputs(DATA.raw_schema, FRAME)
    plain = {name: values.astype(str) if values.dtype == object else values for name, values in rows.items()}
    np.savez(tmp_path / "rows.npz", **{str(i): values for i, values in enumerate(plain.values())})
    run(
        f"""
        import sys, numpy as np, keras, tensorflow as tf
        model = keras.models.load_model({str(path)!r}, safe_mode=True)
        names = {list(plain)!r}
        stored = np.load({str(tmp_path / "rows.npz")!r})
        rows = {{name: tf.constant(stored[str(i)]) for i, name in enumerate(names)}}
        np.save({str(tmp_path / "out.npy")!r}, model.predict(rows, batch_size=8192, verbose=0))
        assert not any(name.startswith("unitune") for name in sys.modules)
        """
    )
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), predict(model, rows))


def test_no_layer_of_the_saved_model_is_custom(saved):
    _, model, _ = saved
    for layer in model._flatten_layers():
        assert type(layer).__module__.startswith("keras.")
        assert type(layer).__name__ != "Lambda"


def test_on_jax_arrays_work_and_text_can_be_transformed_and_saved(learnt, tmp_path):
    """The model of a table with text runs on TensorFlow only, also when it was assembled beside JAX."""
    FRAME.to_pickle(tmp_path / "frame.pkl")
    np.save(tmp_path / "x.npy", X)
    run(
        f"""
        import numpy as np, pandas as pd, keras
        assert keras.backend.backend() == "jax"
        from unitune.data.frames import raw_inputs
        from unitune.data.load import dataset
        from unitune.errors import DataError
        from unitune.models.preprocessing import assemble, fit, predict
        folder, train = {str(tmp_path)!r}, np.arange({len(TRAIN)})
        def identity(p):
            return keras.Sequential([keras.Input(p.output_shape), keras.layers.Identity()])
        x = np.load(folder + "/x.npy")
        p = fit(dataset(x, np.arange(len(x)) % 2), train)
        inside = predict(assemble(p, identity(p)), x.astype("float32"))
        np.testing.assert_allclose(inside, p.transform(np.arange(len(x))), rtol=1e-5, atol=1e-6)
        frame = pd.read_pickle(folder + "/frame.pkl")
        few = frame[{[NAMES["gaps"], NAMES["day"], "y"]!r}]
        data = dataset(few, target="y")
        p = fit(data, train)
        inside = predict(assemble(p, identity(p)), raw_inputs(data.raw_schema, few))
        np.testing.assert_allclose(inside, p.transform(np.arange(len(few))), rtol=1e-5, atol=1e-6)
        data = dataset(frame, target="y")
        p = fit(data, train)
        np.save(folder + "/features.npy", p.transform(np.arange(len(frame))))
        model = assemble(p, identity(p))
        model.save(folder + "/text.keras")
        try:
            predict(model, raw_inputs(data.raw_schema, frame))
        except DataError as error:
            assert "TensorFlow" in str(error)
        else:
            raise AssertionError("a text model ran on JAX")
        """,
        KERAS_BACKEND="jax",
    )
    import keras

    features = np.load(tmp_path / "features.npy")
    np.testing.assert_array_equal(features, learnt.transform(np.arange(N)))
    model = keras.models.load_model(tmp_path / "text.keras", safe_mode=True)
    np.testing.assert_allclose(predict(model, raw_inputs(DATA.raw_schema, FRAME)), features, rtol=1e-5, atol=2e-6)


def test_arrays_are_prepared_without_keras():
    out = run(
        """
        import sys, numpy as np
        from unitune.data.folds import make_folds
        from unitune.data.load import dataset
        from unitune.models.preprocessing import fit
        from unitune.models.splits import split_arrays
        data = dataset(np.arange(40.0).reshape(20, 2), np.arange(20) % 2)
        fold = make_folds(data, folds=2, seed=0)[0]
        split_arrays(data, fold, fit(data, fold.train))
        print([name for name in ("keras", "tensorflow", "jax") if name in sys.modules])
        """
    )
    assert out.strip() == "[]"


def test_the_sentinel_of_missing_dates_is_no_date_of_the_table():
    assert MISSING_DATE not in DATA.x[NAMES["day"]][FRAME[NAMES["day"]].notna()]
