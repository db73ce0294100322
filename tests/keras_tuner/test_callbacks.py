import csv

import numpy as np
import pytest

from unitune import keras_tuner

pytestmark = pytest.mark.slow

WEIGHTS_SEED = 3


@pytest.fixture(scope="module")
def build(rows):
    """One network, always with the same weights, so that what comes out can be compared with `fit`."""

    def build(hp):
        import keras

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(2, "softmax")])
        generator = np.random.default_rng(WEIGHTS_SEED)
        model.set_weights([generator.normal(size=w.shape).astype("float32") for w in model.get_weights()])
        rate = hp.Choice("rate", [0.3])
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    return build


def history_of(build, rows, folder, engine, callbacks, objective="val_loss"):
    """What one trial logged, and the accuracy of the model that came back."""
    tuner = keras_tuner.RandomSearch(build, objective, 1, seed=0, directory=folder / engine, engine=engine)
    logged = {}

    def note(trial, results, name):
        logged.update(results[0].history)
        return take(trial, results, name)

    take, tuner._take_results = tuner._take_results, note
    x, y, held_out = rows
    tuner.search(
        x, y, epochs=8, batch_size=16, shuffle=False, validation_data=held_out, verbose=0, callbacks=callbacks()
    )
    (trial,) = tuner.oracle.trials.values()
    assert trial.engine == engine
    return logged, tuner.get_best_models()[0].evaluate(*held_out, verbose=0)


def cases():
    import keras

    made = keras.callbacks
    return {
        "early stopping": lambda: [made.EarlyStopping("val_loss", patience=1, min_delta=0.02)],
        "early stopping on accuracy": lambda: [made.EarlyStopping("val_accuracy", patience=1)],
        "two stoppings": lambda: [
            made.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
            made.EarlyStopping("accuracy", patience=1, start_from_epoch=1),
        ],
        "three stoppings, with weights kept by two": lambda: [
            made.EarlyStopping("loss", patience=4, baseline=0.1),
            made.EarlyStopping("val_accuracy", patience=4, restore_best_weights=True),
            made.EarlyStopping("val_loss", patience=1, min_delta=0.03, restore_best_weights=True),
        ],
        "schedule by epoch": lambda: [made.LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate)],
        "plateau": lambda: [made.ReduceLROnPlateau("val_loss", factor=0.1, patience=1, min_delta=0.05)],
        "plateau of accuracy": lambda: [made.ReduceLROnPlateau("val_accuracy", factor=0.2, patience=1, cooldown=1)],
        "plateau of the training loss": lambda: [made.ReduceLROnPlateau("loss", factor=0.3, patience=1, min_delta=0.2)],
        "not a number": lambda: [made.TerminateOnNaN()],
    }


@pytest.mark.parametrize(
    "name",
    [
        "early stopping",
        "early stopping on accuracy",
        "two stoppings",
        "three stoppings, with weights kept by two",
        "schedule by epoch",
        "plateau",
        "plateau of accuracy",
        "plateau of the training loss",
        "not a number",
    ],
)
def test_callbacks_mean_what_they_mean_in_fit(name, build, rows, tmp_path):
    callbacks = cases()[name]
    fused, fused_model = history_of(build, rows, tmp_path, "fused", callbacks)
    solo, solo_model = history_of(build, rows, tmp_path, "solo", callbacks)
    assert set(fused) == set(solo)
    for metric, values in solo.items():
        assert len(fused[metric]) == len(values), metric
        np.testing.assert_allclose(fused[metric], values, rtol=1e-4, atol=1e-6, err_msg=metric)
    np.testing.assert_allclose(fused_model, solo_model, rtol=1e-4)


def test_files_are_written_as_fit_writes_them(build, rows, tmp_path):
    import keras

    def callbacks():
        return [keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))]

    logged, _ = history_of(build, rows, tmp_path, "fused", callbacks)
    with open(tmp_path / "log.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["val_loss"]) for line in lines] == pytest.approx(logged["val_loss"])
    assert [int(line["epoch"]) for line in lines] == list(range(8))


def test_events_are_those_that_fit_writes_where_tensorboard_is_installed(build, rows, tmp_path):
    pytest.importorskip("tensorboard", reason="Keras's TensorBoard callback needs the package tensorboard")
    import keras
    import tensorflow as tf

    tags = {}
    for engine in ("fused", "solo"):
        folder = tmp_path / engine / "board"
        history_of(build, rows, tmp_path, engine, lambda folder=folder: [keras.callbacks.TensorBoard(folder)])
        tags[engine] = {
            (value.tag, event.step)
            for file in (folder / "0" / "execution0").rglob("events*")
            for event in tf.compat.v1.train.summary_iterator(str(file))
            for value in event.summary.value
        }
    assert tags["fused"] == tags["solo"]
    assert {"epoch_learning_rate", "keras", "_hparams_/session_start_info"} <= {tag for tag, _ in tags["fused"]}


@pytest.mark.parametrize("kind", ["m.keras", "m.weights.h5"])
def test_a_checkpoint_of_the_best_epoch_is_the_file_that_fit_writes(kind, build, rows, tmp_path):
    import keras

    saved = {}
    for engine in ("fused", "solo"):
        path = tmp_path / "saved" / engine / kind

        def callbacks(path=path):
            only = {"save_weights_only": kind.endswith("h5")}
            return [keras.callbacks.ModelCheckpoint(path, "val_accuracy", save_best_only=True, **only)]

        history_of(build, rows, tmp_path, engine, callbacks, objective="val_accuracy")
        if kind == "m.keras":
            saved[engine] = keras.saving.load_model(path).get_weights()
        else:
            model = keras.Sequential(
                [keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(2, "softmax")]
            )
            model.load_weights(path)
            saved[engine] = model.get_weights()
    for mine, theirs in zip(saved["fused"], saved["solo"], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "more than the best epoch"),
        ({"filepath": "{epoch}.keras", "save_best_only": True}, "more than the best epoch"),
        ({"save_best_only": True, "monitor": "val_accuracy"}, "not the objective"),
        ({"save_best_only": True, "initial_value_threshold": 0.1}, "first threshold"),
    ],
)
def test_other_checkpoints_are_left_to_keras(settings, said):
    import keras

    from unitune.adoption.callbacks import read_callbacks
    from unitune.adoption.logged import Logged
    from unitune.engine.lift.base import Unfusable
    from unitune.models.blueprint import OptimizerSpec, Training

    made = keras.callbacks.ModelCheckpoint(**{"filepath": "m.keras", **settings})
    training = Training(optimizer=OptimizerSpec(class_name="SGD", learning_rate=0.1), loss="mse")
    logged = {"accuracy": Logged(engine_name="accuracy", more_is_better=True)}
    with pytest.raises(Unfusable, match=said):
        read_callbacks([made], training, 4, replays=True, logged=logged, kept=("val_loss", False))


@pytest.mark.parametrize("name", ["BackupAndRestore", "LambdaCallback"])
def test_what_needs_the_model_while_it_trains_is_left_to_keras(name, build, rows, tmp_path):
    import keras

    from unitune.adoption.callbacks import read_callbacks
    from unitune.engine.lift.base import Unfusable
    from unitune.models.blueprint import OptimizerSpec, Training

    made = {
        "BackupAndRestore": lambda: keras.callbacks.BackupAndRestore(str(tmp_path / "b")),
        "LambdaCallback": lambda: keras.callbacks.LambdaCallback(),
    }[name]()
    training = Training(optimizer=OptimizerSpec(class_name="SGD", learning_rate=0.1), loss="mse")
    with pytest.raises(Unfusable, match=name):
        read_callbacks([made], training, 4, replays=True)


def test_callbacks_that_are_not_keras_or_do_not_go_together_are_left_to_keras():
    import keras

    from unitune.adoption.callbacks import read_callbacks
    from unitune.engine.lift.base import Unfusable
    from unitune.models.blueprint import OptimizerSpec, Training

    class EarlyStopping(keras.callbacks.EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch > 1

    class TerminateOnNaN(keras.callbacks.Callback):
        pass

    def patched():
        made = keras.callbacks.ReduceLROnPlateau()
        made.on_epoch_end = lambda epoch, logs=None: None
        return made

    plateau, scheduler = keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler
    training = Training(optimizer=OptimizerSpec(class_name="SGD", learning_rate=0.1), loss="mse")
    for callbacks, said in (
        ([EarlyStopping()], "`EarlyStopping` is a class of your own"),
        ([TerminateOnNaN()], "`TerminateOnNaN` is a class of your own"),
        ([patched()], "`on_epoch_end` of its own"),
        ([scheduler(lambda epoch: 0.1), plateau()], "beside a schedule"),
        ([plateau(), scheduler(lambda epoch: 0.1)], "beside a schedule"),
    ):
        with pytest.raises(Unfusable, match=said):
            read_callbacks(callbacks, training, 4, replays=True)


def test_a_callback_that_was_used_before_is_read_again():
    import keras

    from unitune.adoption.callbacks import check_callback

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    used = [
        keras.callbacks.EarlyStopping("loss", patience=1, min_delta=0.1, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("loss", patience=1),
    ]
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=used)
    assert [check_callback(one) for one in used] == ["EarlyStopping", "ReduceLROnPlateau"]


def test_epochs_before_the_first_are_left_to_keras(build, rows, tmp_path):
    tuner = keras_tuner.RandomSearch(build, "val_loss", 1, seed=0, directory=tmp_path)
    x, y, held_out = rows
    with pytest.warns(UserWarning, match="`initial_epoch` has no fused form"):
        tuner.search(x, y, epochs=3, initial_epoch=2, validation_data=held_out, verbose=0)
    trial = next(iter(tuner.oracle.trials.values()))
    assert trial.engine == "solo"
