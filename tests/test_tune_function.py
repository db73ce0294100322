import contextlib

import numpy as np
import pytest

import unitune
from unitune.errors import DataError
from unitune.tuner.function import Function

pytestmark = pytest.mark.slow


def build_model(hp):
    import keras

    model = keras.Sequential()
    for number in range(hp.Int("layers", 1, 3)):
        model.add(
            keras.layers.Dense(hp.Int(f"units_{number}", 2, 4, step=2), activation=hp.Choice("act", ["relu", None]))
        )
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(hp.Choice("rate", [0.1, 0.2])))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 4)).astype("float32")
    return x, (x[:, 0] > 0).astype(int)


def tune(given, rows, **settings):
    return unitune.tune(given, *rows, **{"folds": 2, "epochs": 2, "progress": False, "trials": 6, **settings})


@pytest.fixture(scope="module")
def result(rows):
    return tune(build_model, rows, batch_sizes=[16, 32], strategy="random")


def test_a_functions_hyperparameters_are_found_with_their_conditions():
    space = Function(build_model).space
    assert set(space.names) == {
        *("layers", "units_0", "units_1", "units_2", "act", "dropout", "rate", "batch_size", "epochs")
    }
    small = {"layers": 1, "units_0": 2, "act": "relu", "dropout": False, "batch_size": 32, "epochs": 10}
    assert space.active({**small, "units_1": 2, "units_2": 2, "rate": 0.1}) == small
    assert space.size == (2 + 2**2 + 2**3) * 2 * (1 + 2)


def test_inactive_hyperparameters_are_part_of_no_configuration(result):
    for trial in result.trials:
        found = trial.configuration
        assert ("rate" in found) == found["dropout"]
        assert sum(name.startswith("units_") for name in found) == found["layers"]
        assert found["batch_size"] in (16, 32)
        assert trial.engine == "fused"


@pytest.mark.parametrize("kind", ["tf.data", "PyDataset"])
def test_rows_in_batches_are_the_rows(kind, rows, in_batches):
    y, data = rows[1], in_batches(kind, *rows)
    from_arrays = tune(build_model, rows, strategy="random", trials=2, test_data=rows)
    from_batches = tune(build_model, (data,), strategy="random", trials=2, test_data=data)
    assert list(from_batches.table()["mean"]) == list(from_arrays.table()["mean"])
    assert from_batches.test_scores.equals(from_arrays.test_scores)
    with pytest.raises(DataError, match="got `y` as well"):
        tune(build_model, (data, y))


def test_rows_that_change_from_pass_to_pass_are_not_read_once(rows):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices(rows).map(lambda a, b: (a + tf.random.normal(a.shape), b)).batch(16)
    with pytest.raises(DataError, match=r"same in each pass.*`RandomStandardNormal`.*plain `fit`"):
        tune(build_model, (data,))
    with pytest.raises(DataError, match="same in each pass"):
        tune(build_model, rows, test_data=data)


def test_one_name_may_have_another_domain_under_another_condition(rows):
    built = []

    def build(hp):
        import keras

        kind = hp.Choice("kind", ["narrow", "wide"])
        with hp.conditional_scope("kind", ["narrow"]):
            narrow = hp.Int("units", 2, 3)
        with hp.conditional_scope("kind", ["wide"]):
            wide = hp.Choice("units", [16, 32])
        units = narrow if kind == "narrow" else wide
        built.append((kind, units))
        model = keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy")
        return model

    found = tune(build, rows, strategy="grid", trials=None)
    everything = {("narrow", 2), ("narrow", 3), ("wide", 16), ("wide", 32)}
    assert {tuple(trial.configuration.values())[:2] for trial in found.trials} == everything
    assert set(built) <= everything
    assert {"units [kind=narrow]", "units [kind=wide]"} < set(found.table().columns)


def test_the_value_none_is_told_from_what_is_not_there(rows):
    def build(hp):
        import keras

        deep = hp.Boolean("deep")
        activation = hp.Choice("act", [None, "relu"], parent_name="deep", parent_values=[True])
        model = keras.Sequential([keras.layers.Dense(3, activation=activation) for _ in range(2 if deep else 0)])
        model.add(keras.layers.Dense(1, activation="sigmoid"))
        model.compile("adam", "binary_crossentropy")
        return model

    table = tune(build, rows, strategy="grid", trials=None).table().set_index("trial").sort_index()
    assert list(table["deep"]) == [True, True, False]
    assert table["act"][1] is None
    assert table["act"][2] == "relu"
    assert np.isnan(table["act"][3])


def test_the_winner_is_the_functions_model(result, rows):
    model = result.model()
    predictions = model.predict(rows[0][:3], verbose=0)
    assert predictions.shape == (3, 1)
    assert result.best.n_parameters > 0


def test_a_hypermodels_fit_decides_on_batch_size_and_epochs(rows):
    class Mine(unitune.HyperModel):
        def build(self, hp):
            return build_model(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(
                *args, batch_size=hp.Choice("batch_size", [8, 64]), epochs=hp.Int("epochs", 1, 2), **kwargs
            )

    found = tune(Mine(), rows, trials=8, epochs=None, strategy="random")
    assert {trial.configuration["batch_size"] for trial in found.trials} == {8, 64}
    assert all(found.history(trial)["epoch"].max() == trial.configuration["epochs"] for trial in found.trials)


def test_a_hypermodels_fit_may_stop_early_and_lower_the_rate(rows):
    import keras

    class Mine(unitune.HyperModel):
        def build(self, hp):
            hp.Int("units", 2, 3)
            return build_model(unitune.HyperParameters())

        def fit(self, hp, model, *args, **kwargs):
            callbacks = [
                keras.callbacks.EarlyStopping("val_accuracy", patience=2, min_delta=0.5),
                keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10.0),
                keras.callbacks.TerminateOnNaN(),
            ]
            return model.fit(*args, epochs=6, callbacks=callbacks, **kwargs)

    found = tune(Mine(), rows, epochs=None)
    history = found.history()
    assert history["epoch"].max() == 3
    rates = history[history["metric"] == "learning_rate"].sort_values("epoch")["value"]
    np.testing.assert_allclose(sorted(set(rates)), [0.005, 0.01], rtol=1e-6)
    assert {trial.engine for trial in found.trials} == {"fused"}
    assert found.verify().largest_difference < 1e-5


@pytest.mark.parametrize("kind", ["not logged", "writes", "own of a known name"])
def test_a_callback_that_no_program_can_call_is_called_by_fit(kind, rows, tmp_path):
    """It is the user's own, new for each member, and the reason is said."""
    import keras

    class TerminateOnNaN(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch >= 1

    made = {
        "not logged": (
            lambda: keras.callbacks.EarlyStopping("val_auc", mode="max"),
            "on `val_auc`, which no program logs",
            4,
        ),
        "writes": (lambda: keras.callbacks.CSVLogger(tmp_path / "log.csv"), "`CSVLogger` needs the model", 4),
        "own of a known name": (TerminateOnNaN, "`TerminateOnNaN` is a class of your own", 2),
    }
    callback, said, epochs = made[kind]

    class Mine(unitune.HyperModel):
        def build(self, hp):
            return build_model(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, epochs=4, callbacks=[callback()], **kwargs)

    ignored = pytest.warns(UserWarning, match="val_auc") if kind == "not logged" else contextlib.nullcontext()
    with ignored:
        found = tune(Mine(), rows, trials=1)
    (trial,) = found.trials
    assert trial.engine == "solo"
    assert said in trial.engine_reason
    assert found.history()["epoch"].max() == epochs
    assert (tmp_path / "log.csv").exists() == (kind == "writes")


FITS = {
    "validation_data": lambda self, hp, model, x, y, validation_data, callbacks=None, **kwargs: model.fit(
        x, y, validation_data=validation_data, batch_size=hp.Choice("batch_size", [8]), callbacks=callbacks, **kwargs
    ),
    "required, no more": lambda self, hp, model, x, y, validation_data, callbacks, epochs, verbose: model.fit(
        x, y, 8, epochs, verbose, callbacks, validation_data=validation_data
    ),
    "everything by name": lambda self, hp, model, **kwargs: model.fit(batch_size=8, **kwargs),
    "looks at the rows": lambda self, hp, model, x, y, **kwargs: model.fit(
        x, y, batch_size=8 if len(x) and x.shape[1] == 4 and len(kwargs["validation_data"]) == 2 else 16, **kwargs
    ),
    "its own callbacks": lambda self, hp, model, *args, **kwargs: model.fit(
        *args, batch_size=8, callbacks=[], validation_data=None, **kwargs
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_a_hypermodels_fit_is_called_as_by_the_tuners(name, rows):
    mine = type("Mine", (unitune.HyperModel,), {"build": lambda self, hp: build_model(hp), "fit": FITS[name]})
    found = tune(mine(), rows, trials=2, batch_sizes=64)
    plain = tune(build_model, rows, trials=2, batch_sizes=8)
    assert sorted(found.table()["mean"]) == sorted(plain.table()["mean"])


def test_a_hypermodels_fit_that_wants_more_is_told_what_there_is(rows):
    class Mine(unitune.HyperModel):
        def build(self, hp):
            return build_model(hp)

        def fit(self, hp, model, x, y, teacher):
            return model.fit(x, y)

    with pytest.raises(unitune.OptionError, match=r"may take `validation_data`.*'teacher'"):
        tune(Mine(), rows)

    class Breaks(Mine):
        def fit(self, hp, model, x, y):
            return model.fit(x.no_such_thing, y)

    with pytest.raises(unitune.OptionError, match=r"before it raised AttributeError: .*no_such_thing"):
        tune(Breaks(), rows)


def test_a_fit_that_changes_the_rows_is_refused(rows):
    class Mine(unitune.HyperModel):
        def build(self, hp):
            return build_model(hp)

        def fit(self, hp, model, x, y, **kwargs):
            return model.fit(0 if x is None else x / 2, y, **kwargs)

    with pytest.raises(unitune.OptionError, match="pass its rows on"):
        tune(Mine(), rows)


def test_a_function_that_raises_fails_its_trial_and_no_other(rows):
    def sometimes(hp):
        if hp.Boolean("breaks"):
            raise ZeroDivisionError("of my own")
        return build_model(hp)

    found = tune(sometimes, rows, trials=8, strategy="random")
    for trial in found.trials:
        assert (trial.state == "failed") == trial.configuration["breaks"]
        assert ("of my own" in trial.failure) == trial.configuration["breaks"]
    assert {trial.state for trial in found.trials} == {"complete", "failed"}


@pytest.mark.parametrize(
    ("given", "settings", "said"),
    [
        (lambda hp: None, {}, "compiled `keras.Model`"),
        (build_model, {"units": [4]}, "has its own hyperparameters"),
        ("no function", {}, "without names"),
    ],
)
def test_what_is_no_search_is_refused(given, settings, said, rows):
    with pytest.raises(unitune.OptionError, match=said):
        tune(given, rows, **settings)


def test_one_name_with_two_domains_is_told(rows):
    def twice(hp):
        hp.Int("units", 1, 2)
        hp.Int("units", 1, 3)
        return build_model(hp)

    with pytest.raises(unitune.SpaceError, match="`units` must be asked for with one domain"):
        tune(twice, rows)


def test_images_keep_their_shape_and_one_hot_targets_become_classes(rows):
    def images(hp):
        import keras

        model = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(hp.Choice("units", [2, 4]), activation="relu"))
        model.add(keras.layers.Dense(2, activation="softmax"))
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return model

    x, y = rows
    found = unitune.tune(images, x.reshape(-1, 2, 2), np.eye(2)[y], folds=2, epochs=2, progress=False)
    assert len(found.trials) == 2
    assert found.objective == "accuracy"


def test_models_with_several_outputs_are_sent_to_the_tuners_that_take_them(rows):
    def two(hp):
        import keras

        entry = keras.Input((4,))
        outputs = [keras.layers.Dense(hp.Int("units", 1, 2))(entry), keras.layers.Dense(1)(entry)]
        model = keras.Model(entry, outputs)
        model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 0.5])
        return model

    x, y = rows
    with pytest.raises(unitune.InputError, match=r"has 2\. .*unitune\.keras_tuner"):
        tune(two, (x, [y, y]))
    with pytest.raises(unitune.InputError, match=r"has 2\. .*unitune\.keras_tuner"):
        unitune.compare({"two": two(unitune.HyperParameters())}, x, [y, y], epochs=1, progress=False)
