"""Targets of networks of the user's own: what `compare` and `tune` train is what `fit` trains on the same targets."""

import numpy as np
import pandas as pd
import pytest

import unitune
from unitune.errors import DataError, TrainingError

pytestmark = pytest.mark.slow

keras = pytest.importorskip("keras")
N = 60
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(N, 4)).astype("float32")
LABELS = np.resize([0, 1, 3, 4], N)
ONE_HOT = keras.utils.to_categorical(LABELS, 5)
SPARSE = "sparse_categorical_crossentropy"


def own(target, prediction):
    return keras.ops.mean(keras.ops.abs(keras.ops.cast(target, "float32") - prediction), axis=-1)


def network(units, activation, loss, metrics=(), shape=(4,)):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), keras.layers.Dense(6, "relu"), keras.layers.Dense(units, activation)])
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=list(metrics))
    return model


CASES = {
    "gaps": (SPARSE, 5, "softmax", LABELS),
    "gaps in a column": (SPARSE, 5, "softmax", LABELS[:, None].astype("float32")),
    "from 1": (SPARSE, 4, "softmax", np.resize([1, 2, 3], N)),
    "two of many": (SPARSE, 9, "softmax", np.resize([2, 7], N)),
    "a name of one's own": (keras.losses.SparseCategoricalCrossentropy(from_logits=True, name="mine"), 5, None, LABELS),
    "one-hot": ("categorical_crossentropy", 5, "softmax", ONE_HOT),
    "one-hot, smoothed": (keras.losses.CategoricalCrossentropy(label_smoothing=0.2), 5, "softmax", ONE_HOT),
    "one-hot, focal": ("categorical_focal_crossentropy", 5, "softmax", ONE_HOT),
    "one-hot and squares": ("mse", 5, "softmax", ONE_HOT),
    "shares": ("categorical_crossentropy", 3, "softmax", GENERATOR.dirichlet([1, 1, 1], N)),
    "0 and 1": ("binary_crossentropy", 1, "sigmoid", np.resize([0, 1], N)),
    "booleans": ("binary_crossentropy", 1, "sigmoid", np.resize([True, False], N)),
    "chances": ("binary_crossentropy", 1, "sigmoid", GENERATOR.uniform(size=N)),
    "several labels": ("binary_crossentropy", 3, "sigmoid", GENERATOR.integers(0, 2, (N, 3))),
    "-1 and 1": ("hinge", 1, "tanh", np.resize([-1, 1], N)),
    "ratings": ("mse", 1, None, np.resize([1, 2, 3], N)),
    "numbers": ("mae", 1, None, 50 + 10 * X[:, 0].astype("float64")),
    "two numbers": ("mse", 2, None, GENERATOR.normal(size=(N, 2))),
    "a loss of one's own": (own, 1, None, np.resize([1, 2, 5], N)),
}


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
@pytest.mark.parametrize("case", CASES)
def test_what_is_trained_is_what_fit_trains(case):
    loss, units, activation, y = CASES[case]
    metrics = ["accuracy"] if case in ("gaps", "one-hot", "-1 and 1", "0 and 1") else []
    settings = {"epochs": 3, "shuffle": False, "batch_size": 16}
    held_out = slice(40, None)
    model = network(units, activation, loss, metrics)
    result = unitune.compare(
        {"m": model}, X[:40], y[:40], validation_data=(X[held_out], y[held_out]), progress=False, **settings
    )
    logs = model.fit(X[:40], y[:40], validation_data=(X[held_out], y[held_out]), verbose=0, **settings).history
    ours = result.history()
    for name in ("loss", *metrics):
        for split, prefix in (("train", ""), ("validation", "val_")):
            found = ours.query("split == @split and metric == @name")["value"]
            np.testing.assert_allclose(found, logs[prefix + name], rtol=2e-5, err_msg=f"{split} {name}")
    assert result.trials[0].engine == "fused"


@pytest.mark.parametrize("form", ["numbers", "one-hot", "object", "category"])
def test_the_model_says_the_labels_that_the_rows_have(form):
    angle = 2 * np.pi * np.arange(4) / 4
    x = (6 * np.stack([np.cos(angle), np.sin(angle)], 1)[np.resize(range(4), N)]).astype("float32")
    target = {
        "numbers": LABELS,
        "one-hot": ONE_HOT,
        "object": pd.Series(LABELS, dtype=object),
        "category": pd.Series(LABELS).astype("category"),
    }[form]

    def build(hp):
        model = network(5, "softmax", "categorical_crossentropy" if form == "one-hot" else SPARSE, shape=(2,))
        hp.Choice("unused", [1])
        return model

    result = unitune.tune(build, x, target, trials=1, folds=2, epochs=60, batch_sizes=8, progress=False)
    assert result.best.scores["accuracy"].mean == 1.0
    assert result.run.data["classes"] == [0, 1, 2, 3, 4]
    assert (result.model().predict(x, verbose=0).argmax(axis=1) == LABELS).all()
    found = result.predict(x)
    assert found["prediction"].tolist() == LABELS.tolist()
    assert list(found)[1:] == [f"probability_{label}" for label in range(5)]
    assert not [finding for finding in result.findings if "class" in str(finding)]


def tuned(model, y, x=X, **settings):
    def build(hp):
        hp.Choice("unused", [1])
        return model

    return unitune.tune(build, x, y, **{"trials": 1, "folds": 2, "epochs": 1, "progress": False, **settings})


@pytest.mark.parametrize(
    ("y", "units", "loss", "said"),
    [
        (LABELS, 3, SPARSE, "the labels are 0 to 4, but an output of 3 units stands for 0 to 2"),
        (np.resize([0, 1, -1], N), 3, SPARSE, "the labels are -1 to 1"),
        (X[:, :2], 1, "mse", "2 numbers, but a row of the output one number"),
        (X[:, 0], 2, "mse", "one number, but a row of the output 2 numbers"),
        (ONE_HOT, 4, "categorical_crossentropy", "5 numbers, but a row of the output 4 numbers"),
        (X[:, :2], 1, own, "it predicts 1 numbers for a row, where there are 2"),
    ],
)
def test_targets_that_do_not_fit_fail_with_the_reason(y, units, loss, said):
    wrong = network(units, "softmax" if y is LABELS else None, loss)
    with pytest.raises(TrainingError, match=said):
        tuned(wrong, y)


def test_targets_that_do_not_fit_one_network_take_no_others_down():
    wrong, right = network(3, "softmax", SPARSE), network(5, "softmax", SPARSE)
    said = "the labels are 0 to 4, but an output of 3 units stands for 0 to 2"
    result = unitune.compare({"wrong": wrong, "right": right}, X, LABELS, folds=2, epochs=1, progress=False)
    states = {trial.configuration["model"]: trial.state for trial in result.trials}
    assert states == {"wrong": "failed", "right": "complete"}
    assert said in next(trial.failure for trial in result.trials if trial.state == "failed")


@pytest.mark.parametrize(
    ("y", "units", "loss", "said"),
    [
        (LABELS, 5, "categorical_crossentropy", "to_categorical"),
        (0.3 * ONE_HOT, 5, "categorical_crossentropy", "one-hot"),
        (np.resize([1, 2], N), 1, "binary_crossentropy", "from 0 to 1"),
        (np.resize(["a", "b"], N), 3, SPARSE, "2 classes of text"),
        (np.full(N, 3), 5, SPARSE, "at least two classes"),
        (LABELS + 0.5, 5, SPARSE, "no whole numbers"),
        (np.zeros((N, 4), int), 5, SPARSE, r"one for each row.*RandomSearch"),
        (np.resize([0, 1, -1], N), 3, keras.losses.SparseCategoricalCrossentropy(ignore_class=-1), "ignore_class"),
        (np.ones((N, 2)), 2, keras.losses.BinaryCrossentropy(from_logits=True), "logits"),
        (np.array(["a"] * N)[:, None, None], 2, "mse", "3 axes"),
    ],
)
def test_what_cannot_be_scored_or_taken_is_said(y, units, loss, said):
    with pytest.raises(DataError, match=said):
        tuned(network(units, "softmax", loss), y)


def test_labels_of_text_become_numbers_which_is_said_and_undone():
    y = np.resize(["b", "a", "c"], N)
    for loss in (SPARSE, "categorical_crossentropy"):
        result = tuned(network(3, "softmax", loss), y)
        assert any("0 for 'a', 1 for 'b', 2 for 'c'" in note for note in result.run.notes)
        assert set(result.predict(X)["prediction"]) <= {"a", "b", "c"}


def test_targets_of_several_axes_are_learnt_as_by_fit():
    images = GENERATOR.uniform(size=(24, 6, 6, 1)).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    settings = {"epochs": 2, "shuffle": False, "batch_size": 8, "validation_data": (images[16:], images[16:])}
    result = unitune.compare({"autoencoder": model}, images[:16], images[:16], progress=False, **settings)
    logs = model.fit(images[:16], images[:16], verbose=0, **settings).history
    found = result.history().query("split == 'validation' and metric == 'loss'")["value"]
    np.testing.assert_allclose(found, logs["val_loss"], rtol=1e-5)
    assert result.trials[0].engine == "fused"
    assert result.run.task == "regression"
    assert result.predict(images).shape == (24, 36)
    assert result.model().predict(images, verbose=0).shape == images.shape


def test_validation_and_test_rows_are_read_like_the_first():
    y = np.where(LABELS == 4, 0, LABELS)  # class 4 is in the validation rows only
    result = tuned(network(5, "softmax", SPARSE), y, folds=None, validation_data=(X, LABELS), test_data=(X, LABELS))
    assert result.test_scores is not None
    with pytest.raises(DataError, match="must hold the classes"):
        tuned(network(5, "softmax", SPARSE), y, folds=None, validation_data=(X, LABELS + 1))
    with pytest.raises(DataError, match="rows of the shape"):
        tuned(network(5, "softmax", SPARSE), y, folds=None, validation_data=(X, ONE_HOT))
