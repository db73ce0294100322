"""Models with several outputs in the interface of KerasTuner: trained together, and logged as plain `fit` logs."""

import numpy as np
import pytest

import unitune.keras_tuner as keras_tuner
from unitune.adoption.fit_call import read_fit
from unitune.adoption.fit_rows import Rows
from unitune.engine.lift.base import Unfusable
from unitune.models import backend

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype("float32")
SICK = (X[:, 0] > 0).astype("float32")
KIND = RNG.integers(0, 3, size=50)


def build_model(hp):
    import keras

    entry = keras.Input((3,))
    trunk = keras.layers.Dense(hp.Choice("units", [2, 4]), "relu")(entry)
    sick = keras.layers.Dense(1, "sigmoid", name="sick")(trunk)
    kind = keras.layers.Dense(3, "softmax", name="kind")(trunk)
    model = keras.Model(entry, [sick, kind])
    # Weights that are set are the same in both engines.
    generator = np.random.default_rng(3)
    model.set_weights([generator.normal(size=weight.shape) for weight in model.get_weights()])
    model.compile(
        keras.optimizers.SGD(0.1),
        {"sick": "binary_crossentropy", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"sick": hp.Float("weight", 0.5, 2.0), "kind": 1.0},
        metrics={"sick": ["accuracy", keras.metrics.AUC(name="area")], "kind": "accuracy"},
    )
    return model


def search(folder, objective, y, *, engine="fused", trials=3, fit=None, **settings):
    """A search, and the histories of its trials."""
    tuner = keras_tuner.RandomSearch(
        build_model, objective, trials, seed=1, directory=folder / engine, engine=engine, progress=False, **settings
    )
    logged, take = [], tuner._take_results

    def note(trial, results, name):
        logged.append(results[0].history)
        return take(trial, results, name)

    tuner._take_results = note
    tuner.search(X, y, epochs=4, batch_size=16, verbose=0, **(fit or {}))
    return tuner, logged


@pytest.mark.slow
def test_it_is_what_fit_logs(tmp_path):
    keras = backend.ensure()
    fit = {
        "validation_split": 0.4,  # 20 rows: a batch and a quarter
        "shuffle": False,
        "sample_weight": np.linspace(0.2, 2.0, 50),
        "callbacks": [
            keras.callbacks.EarlyStopping("val_kind_loss", mode="min", patience=1),
            keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5),
        ],
    }
    y = [SICK, KIND]
    (fused, mine), (solo, theirs) = (
        search(tmp_path, "val_sick_loss", y, engine=engine, trials=1, fit=fit) for engine in ("fused", "solo")
    )
    assert list(mine[0]) == list(theirs[0])
    for name, values in theirs[0].items():
        np.testing.assert_allclose(mine[0][name], values, rtol=1e-5, err_msg=name)
    assert [one.oracle.get_best_trials()[0].engine for one in (fused, solo)] == ["fused", "solo"]
    predicted = (one.get_best_models()[0].predict(X, verbose=0) for one in (fused, solo))
    for own, expected in zip(*predicted, strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-6)


@pytest.mark.parametrize("objective", ["val_loss", "val_sick_accuracy"])
def test_folds_and_targets_by_name(tmp_path, objective):
    tuner, _ = search(tmp_path, objective, {"kind": KIND, "sick": SICK}, folds=2)
    assert all(trial.score is not None for trial in tuner.oracle.get_best_trials(3))
    assert tuner.oracle.objective.direction == ("max" if "accuracy" in objective else "min")


def read(*args, **fit):
    rows = Rows()
    model = build_model(keras_tuner.HyperParameters())
    return read_fit(model, args, fit, rows=rows, best_by=("loss", False), assigned=set()), rows


def test_batches_of_several_targets_are_read_into_memory():
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices((X, {"sick": SICK[:, None], "kind": KIND})).batch(16)
    call, rows = read(data)
    split = rows.splits[call.split]
    assert [one.shape for one in split.y_train] == [(50, 1), (50,)]
    assert split.y_train[1].dtype == "int32"
    assert call.training.batch_size == 16


@pytest.mark.parametrize(
    ("y", "fit", "reason"),
    [
        ({"sick": SICK, "other": KIND}, {}, "names of the model's outputs"),
        ([SICK], {}, "one array for each"),
        ([SICK, KIND], {"sample_weight": [np.ones(50), np.ones(50)]}, "sample weights of its own"),
        ({"kind": KIND, "sick": SICK}, {"sample_weight": np.ones(50)}, "needs a dictionary of outputs"),
        ([SICK, KIND], {"class_weight": {0: 2.0}}, "one output"),
        ([SICK, KIND], {"validation_split": 0.2, "validation_batch_size": 3}, "validation_batch_size"),
    ],
)
def test_what_is_left_to_keras_has_a_reason(y, fit, reason):
    with pytest.raises(Unfusable, match=reason):
        read(X, y, **fit)


def test_a_callback_that_keras_would_refuse_is_left_to_it():
    keras = backend.ensure()
    stop = keras.callbacks.EarlyStopping("val_sick_accuracy")
    with pytest.raises(Unfusable, match="must be told its `mode`"):
        read(X, [SICK, KIND], validation_split=0.2, callbacks=[stop])
