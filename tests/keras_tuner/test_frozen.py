"""A frozen part in front of what is trained is computed once, and the model that is handed over is whole."""

import numpy as np
import pytest

from unitune import keras_tuner

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(40, 6, 6, 2)).astype("float32")
Y = (IMAGES.mean(axis=(1, 2, 3)) > 0).astype("int32")


def base(dropout=0.0):
    import keras
    from keras import layers

    entry = keras.Input((6, 6, 2))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, activation="relu")(layers.Rescaling(2.0)(entry)))
    if dropout:
        x = layers.Dropout(dropout)(x)
    return keras.Model(entry, layers.Conv2D(4, 3)(x))


def nested(hp, **call):
    import keras
    from keras import layers

    inner = base(call.pop("dropout", 0.0))
    inner.trainable = False
    entry = keras.Input((6, 6, 2))
    x = layers.GlobalAveragePooling2D()(inner(entry, **call))
    return entry, layers.Dense(hp.Choice("units", [3, 5]), activation="tanh")(x)


def flat(hp):
    from keras import layers

    inner = base()
    for layer in inner.layers:
        layer.trainable = False
    x = layers.Flatten()(inner.output)
    return inner.input, layers.Dropout(0.2)(layers.Dense(hp.Choice("units", [3, 5]), activation="tanh")(x))


def model_of(ends):
    import keras

    model = keras.Model(ends[0], keras.layers.Dense(1, activation="sigmoid")(ends[1]))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model


def sequential(hp):
    import keras

    inner = base()
    inner.trainable = False
    layers = [inner, keras.layers.Flatten(), keras.layers.Dense(hp.Choice("units", [3, 5])), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    "build",
    [
        lambda hp: model_of(nested(hp)),
        lambda hp: model_of(nested(hp, training=False, dropout=0.5)),
        lambda hp: model_of(flat(hp)),
        sequential,
    ],
    ids=["nested", "in inference", "flat", "sequential"],
)
def test_it_is_computed_once_and_the_rest_is_fused(build, tmp_path):
    made = keras_tuner.GridSearch(build, "val_loss", seed=0, directory=tmp_path)
    made.search(IMAGES, Y, epochs=2, batch_size=8, validation_split=0.25, verbose=0)
    table = made.results()
    assert list(table["engine"]) == ["fused"] * 2, table["engine_reason"]
    best = made.get_best_models()[0]
    found = best.evaluate(IMAGES[30:], Y[30:], verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(min(table["score"]), rel=1e-4)


def test_what_changes_while_it_is_trained_is_not_frozen(tmp_path):
    """Dropout within the base draws in each epoch, whatever `training` the base was called with."""
    from unitune.models.frozen import parted

    hp = keras_tuner.HyperParameters()
    kept = nested(hp, dropout=0.5, training=False)
    assert parted(model_of(kept)) is None
    build = lambda hp: model_of(nested(hp, dropout=0.5))  # noqa: E731
    made = keras_tuner.RandomSearch(build, "val_loss", 1, seed=0, directory=tmp_path)
    made.search(IMAGES, Y, epochs=1, validation_split=0.25, verbose=0)
    assert list(made.results()["engine"]) == ["fused"]


def test_networks_with_and_without_a_frozen_part_are_trained_in_one_search_each_on_its_own_rows(tmp_path):
    """What the frozen part makes of a row is wider than the row, whose numbers are looked up one by one."""
    import keras
    from keras import layers

    words = RNG.integers(0, 12, (40, 7))

    def build(hp):
        table = layers.Embedding(12, 4)
        table.trainable = not hp.Boolean("frozen")
        model = keras.Sequential([keras.Input((7,)), table, layers.Flatten(), layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.05), "mse")
        return model

    tuner = keras_tuner.GridSearch(build, objective="val_loss", directory=tmp_path, progress=False)
    tuner.search(words, Y, epochs=2, validation_split=0.25, verbose=0)
    assert [trial.engine for trial in tuner.oracle.trials.values()] == ["fused", "fused"]


def test_what_is_not_worth_a_program_is_trained_by_fit_without_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("unitune.engine.plan.price", lambda *_: 1e9)
    tuner = keras_tuner.GridSearch(
        lambda hp: model_of(flat(hp)), objective="val_loss", directory=tmp_path, max_trials=2, progress=False
    )
    tuner.search(IMAGES, Y, validation_split=0.25, epochs=1, verbose=0)
    for trial in tuner.oracle.trials.values():
        assert (trial.status, trial.engine) == ("COMPLETED", "solo")
        assert trial.engine_reason.endswith("takes less time than compiling a program for them")
