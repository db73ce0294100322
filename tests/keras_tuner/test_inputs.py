"""Models with several inputs through `search`, in every form in which `fit` takes rows."""

import numpy as np
import pytest

from unitune import keras_tuner

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(rows):
    x, y, (x_val, y_val) = rows
    return [x[:, :3], x[:, 3:]], y, ([x_val[:, :3], x_val[:, 3:]], y_val)


def build(hp, as_dict=False):
    """Always with the same weights, so that what comes out can be compared with `fit`."""
    import keras

    left, right = keras.Input((3,), name="z"), keras.Input((1,), name="a")
    hidden = [keras.layers.Dense(hp.Choice("units", [3, 5]), "tanh")(left), keras.layers.Dense(2, "relu")(right)]
    output = keras.layers.Dense(2, "softmax")(keras.layers.Concatenate()(hidden))
    inputs = {"z": left, "a": right} if as_dict else [left, right]
    model = keras.Model(inputs, output)
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_from_dict(hp):
    return build(hp, as_dict=True)


def scores(folder, builder, *args, engine="fused", **fit):
    fit = {"epochs": 3, "batch_size": 16, "shuffle": False, "verbose": 0, **fit}
    tuner = keras_tuner.GridSearch(builder, "val_loss", seed=0, directory=folder, engine=engine, overwrite=True)
    tuner.search(*args, **fit)
    assert set(tuner.results()["engine"]) == {engine}
    (best,) = tuner.get_best_models()
    return sorted(tuner.results()["score"]), best


@pytest.fixture(scope="module")
def plain(two, tmp_path_factory):
    x, y, held_out = two
    found, _ = scores(tmp_path_factory.mktemp("solo"), build, x, y, validation_data=held_out, engine="solo")
    return found


def named(x):
    return {"a": x[1], "z": x[0]}


def forms(two):
    x, y, (x_val, y_val) = two
    return {
        "lists": (build, (x, y), (x_val, y_val)),
        "tuples": (build, (tuple(x), y), (tuple(x_val), y_val)),
        "names": (build, (named(x), y), (named(x_val), y_val)),
        "keys": (build_from_dict, (named(x), y), (named(x_val), y_val)),
    }


@pytest.mark.parametrize("form", ["lists", "tuples", "names", "keys"])
def test_they_are_fused_and_give_what_fit_gives(form, two, plain, tmp_path):
    builder, args, held_out = forms(two)[form]
    found, best = scores(tmp_path, builder, *args, validation_data=held_out)
    np.testing.assert_allclose(found, plain, rtol=1e-5)
    again = best.evaluate(*held_out, verbose=0)[0]
    np.testing.assert_allclose(again, min(plain), rtol=1e-4)


def test_rows_in_batches_and_rows_held_out(two, tmp_path):
    tf = pytest.importorskip("tensorflow")
    x, y, (x_val, y_val) = two
    data = tf.data.Dataset.from_tensor_slices(((x[0], x[1]), y)).batch(16)
    held_out = tf.data.Dataset.from_tensor_slices(((x_val[0], x_val[1]), y_val)).batch(16)
    batched, _ = scores(tmp_path, build, data, validation_data=held_out, batch_size=None)
    whole = [np.concatenate(pair) for pair in zip(x, x_val, strict=True)]
    split, _ = scores(
        tmp_path, build, whole, np.concatenate([y, y_val]), validation_split=len(y_val) / (len(y) + len(y_val))
    )
    np.testing.assert_allclose(batched, split, rtol=1e-6)


def test_folds(two, tmp_path):
    x, y, _ = two
    found, _ = scores(tmp_path, build, x, y, folds=2)
    assert len(found) == 2
    assert np.isfinite(found).all()


def test_inputs_that_do_not_fit_are_left_to_keras_which_says_what_is_wrong(two, tmp_path):
    x, y, held_out = two
    tuner = keras_tuner.GridSearch(build, "val_loss", directory=tmp_path, max_consecutive_failed_trials=1)
    with pytest.raises(RuntimeError, match="expects 2 named input"):
        tuner.search(x[:1], y, epochs=1, validation_data=held_out, verbose=0)
