"""Metrics that are given to `compile` as objects are logged by fused trials as `fit` logs them."""

import numpy as np
import pytest

from unitune import keras_tuner

pytestmark = pytest.mark.slow


def binary(metrics):
    return [
        metrics.AUC(name="auc"),
        metrics.AUC(num_thresholds=50, curve="PR", name="pr"),
        metrics.Precision(name="precision"),
        metrics.Recall(name="found"),
        metrics.BinaryAccuracy(threshold=0.3, name="low"),
        metrics.F1Score(average="macro", threshold=0.5, name="f"),
        metrics.BinaryCrossentropy(label_smoothing=0.1, name="smooth"),
        metrics.MeanSquaredLogarithmicError(name="msle"),
        metrics.RootMeanSquaredError(name="root"),
        "accuracy",
        "mae",
    ]


def classes(metrics):
    return [
        metrics.SparseTopKCategoricalAccuracy(k=2, name="top"),
        metrics.SparseCategoricalCrossentropy(name="entropy"),
        metrics.SparseCategoricalAccuracy(name="hit"),
    ]


def one_hot(metrics):
    return [
        metrics.F1Score(average="micro", name="micro"),
        metrics.F1Score(average="weighted", name="weighted"),
        metrics.F1Score(average="macro", threshold=0.3, name="claimed"),
        metrics.FBetaScore(average="macro", beta=2.0, name="found"),
        metrics.CategoricalAccuracy(name="hit"),
        metrics.TopKCategoricalAccuracy(k=2, name="top"),
    ]


def build(head, given):
    """One network, always with the same weights."""

    def build(hp):
        import keras

        outputs = [keras.layers.Dense(1, "sigmoid")] if head == "binary" else [keras.layers.Dense(3, "softmax")]
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh"), *outputs])
        generator = np.random.default_rng(3)
        model.set_weights([generator.normal(size=w.shape).astype("float32") for w in model.get_weights()])
        loss = {"binary": "binary_crossentropy", "one-hot": "categorical_crossentropy"}.get(
            head, "sparse_categorical_crossentropy"
        )
        model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.3])), loss, metrics=given(keras.metrics))
        return model

    return build


def history_of(build, head, rows, folder, engine, objective, callbacks=()):
    x, y, (x_val, y_val) = rows
    if head != "binary":
        y, y_val = y + (x[:, 2] > 0), y_val + (x_val[:, 2] > 0)
        if head == "one-hot":
            y, y_val = np.eye(3)[y], np.eye(3)[y_val]
    else:
        y, y_val = y[:, None], y_val[:, None]
    tuner = keras_tuner.RandomSearch(build, objective, 1, seed=0, directory=folder / engine, engine=engine)
    logged = {}
    take = tuner._take_results

    def note(trial, results, name):
        logged.update(results[0].history)
        return take(trial, results, name)

    tuner._take_results = note
    weight = np.linspace(0.2, 2.0, len(y))  # metrics do not mind it
    fit = {"epochs": 4, "batch_size": 24, "shuffle": False, "sample_weight": weight}
    tuner.search(x, y, validation_data=(x_val, y_val), verbose=0, callbacks=list(callbacks), **fit)
    (trial,) = tuner.oracle.trials.values()
    assert trial.engine == engine
    return logged, trial.score


@pytest.mark.parametrize(
    ("head", "given", "objective"),
    [
        ("binary", binary, ("val_auc", "max")),
        ("classes", classes, ("val_top", "max")),
        ("one-hot", one_hot, ("val_weighted", "max")),
    ],
)
def test_they_are_what_fit_logs(head, given, objective, rows, tmp_path):
    found = {
        engine: history_of(build(head, given), head, rows, tmp_path, engine, keras_tuner.Objective(*objective))
        for engine in ("fused", "solo")
    }
    (fused, best), (solo, best_solo) = found["fused"], found["solo"]
    assert set(fused) == set(solo)
    for name, values in solo.items():
        np.testing.assert_allclose(fused[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    assert best == pytest.approx(best_solo, rel=1e-5)


def test_early_stopping_and_the_best_epoch_go_by_them(rows, tmp_path):
    import keras

    objective = keras_tuner.Objective("val_auc", "max")
    for_binary = build("binary", lambda metrics: [metrics.AUC(name="auc")])
    found = [
        history_of(
            for_binary,
            "binary",
            rows,
            tmp_path,
            engine,
            objective,
            [keras.callbacks.EarlyStopping("val_auc", patience=1)],
        )
        for engine in ("fused", "solo")
    ]
    assert len(found[0][0]["loss"]) == len(found[1][0]["loss"])
    np.testing.assert_allclose(found[0][0]["val_auc"], found[1][0]["val_auc"], rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda metrics: [metrics.AUC(multi_label=True, name="auc")], "`auc` with `multi_label=True`"),
        (lambda metrics: [metrics.Precision(thresholds=[0.2, 0.8], name="p")], "`p` with `thresholds"),
        (lambda metrics: [metrics.F1Score(name="f")], "`f` with `average=None`"),
        (lambda metrics: [metrics.MeanIoU(2, name="iou")], "`iou` has no fused form"),
        (lambda metrics: [metrics.SparseCategoricalAccuracy(name="hit")], "`hit` with this loss"),
    ],
)
def test_others_are_left_to_keras_with_the_reason(given, said):
    import keras

    from unitune.adoption.fit_call import _with_metrics
    from unitune.engine.lift.base import Unfusable
    from unitune.engine.metrics import metric_name
    from unitune.models.adopt import adopt

    model = build("binary", given)(keras_tuner.HyperParameters())
    assert isinstance(model, keras.Model)

    def read():
        training = _with_metrics(model, adopt(model)[1], (False,), (False,))
        return [metric_name(metric) for metric in training.metrics]

    with pytest.raises(Unfusable, match=said):
        read()
