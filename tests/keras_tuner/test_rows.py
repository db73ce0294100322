"""Rows and targets that only `fit` itself can take, through `search`."""

import numpy as np
import pytest

from unitune import keras_tuner

pytestmark = pytest.mark.slow


def random_batches(kind, x, y):
    """Rows with noise that is new in each pass."""
    if kind == "tf.data":
        tf = pytest.importorskip("tensorflow")
        data = tf.data.Dataset.from_tensor_slices((x, y))
        return data.map(lambda a, b: (a + tf.random.normal([4]), b)).batch(16)

    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            chosen = slice(index * 16, index * 16 + 16)
            return x[chosen] + generator.normal(size=(16, 4)).astype("float32"), y[chosen]

    generator = np.random.default_rng(0)
    return Batches()


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("kind", ["tf.data", "PyDataset"])
def test_rows_that_change_from_pass_to_pass_are_left_to_fit(kind, rows, tmp_path):
    """Two classes of the same rows: on new noise in each epoch nothing can be learnt, on noise that is frozen, all."""
    x, y = np.zeros((64, 4), "float32"), np.arange(64) % 2

    import keras

    def build(hp):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Choice("units", [64]), "relu")])
        model.add(keras.layers.Dense(2, "softmax"))
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    found = keras_tuner.RandomSearch(
        build, objective=keras_tuner.Objective("accuracy", "max"), max_trials=1, seed=0, directory=tmp_path
    )
    with pytest.warns(UserWarning, match="trained with plain `fit`"):
        found.search(random_batches(kind, x, y), epochs=30, shuffle=kind == "tf.data", verbose=0)
    trial = found.results().iloc[0]
    assert trial["engine"] == "solo"
    assert ("RandomStandardNormal" if kind == "tf.data" else "a second pass") in trial["engine_reason"]
    if kind == "PyDataset":  # once a seed is set, TensorFlow's own draws begin anew in each pass
        assert trial["score"] < 0.8


def searched(build, x, y, tmp_path, engine="auto", **fit):
    found = keras_tuner.RandomSearch(
        build, objective="val_loss", max_trials=1, seed=0, directory=tmp_path, engine=engine, overwrite=True
    )
    found.search(x, y, **{"epochs": 2, "validation_split": 0.25, "verbose": 0, **fit})
    return found.results().iloc[0], next(iter(found.oracle.trials.values()))


def network(units, activation, loss):
    def build(hp):
        import keras

        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation)])
        model.set_weights(model.get_weights())
        model.compile(keras.optimizers.Adam(0.01), loss)
        hp.Choice("unused", [1, 2])
        return model

    return build


@pytest.mark.parametrize("labels", [[1, 2, 3], [0, 1, -1], [0, 1, 7]])
@pytest.mark.parametrize("where", ["training", "validation", "folds"])
@pytest.mark.filterwarnings("ignore:1 of 1 trials were trained with plain `fit`", "ignore:None of the 1 trials")
def test_labels_outside_the_outputs_fail_as_in_fit(labels, where, rows, tmp_path):
    x, build = rows[0], network(3, "softmax", "sparse_categorical_crossentropy")
    wrong, right = np.resize(labels, len(x)), np.resize([0, 1, 2], len(x))
    fit = {"validation_split": 0.25} if where == "training" else {"validation_split": None, "folds": 2}
    if where == "validation":
        fit = {"validation_split": None, "validation_data": (x, wrong)}
    y = right if where == "validation" else wrong
    try:  # JAX says nothing
        build(keras_tuner.HyperParameters()).fit(x, wrong, verbose=0)
        said = ""
    except Exception as error:
        said = type(error).__name__
    for engine in ("auto", "solo"):
        found, trial = searched(build, x, y, tmp_path, engine=engine, **fit)
        assert (found["status"] == "COMPLETED") == (not said)
        assert said in (trial.message or "")
        assert not said or trial.message.startswith("Traceback")


def test_outputs_that_no_row_uses_are_no_reason(rows, tmp_path):
    found, _ = searched(
        network(5, "softmax", "sparse_categorical_crossentropy"), rows[0], np.resize([0, 1, 3], 64), tmp_path
    )
    assert (found["engine"], found["status"]) == ("fused", "COMPLETED")


@pytest.mark.parametrize(("columns", "units"), [(2, 1), (1, 2), (3, 3)])
def test_targets_of_another_width_are_left_to_fit(columns, units, rows, tmp_path):
    """`fit` broadcasts them."""
    x = rows[0]
    y = np.random.default_rng(0).normal(size=(64, columns)).astype("float32")
    build = network(units, None, "mse")
    fit = {"shuffle": False, "epochs": 3}
    model = build(keras_tuner.HyperParameters())
    expected = model.fit(x, y, validation_split=0.25, verbose=0, **fit).history["val_loss"]
    if columns == units:
        found, _ = searched(build, x, y, tmp_path, **fit)
        assert found["engine"] == "fused"
    else:
        with pytest.warns(UserWarning, match="a row of the target has"):
            found, _ = searched(build, x, y, tmp_path, **fit)
    np.testing.assert_allclose(found["score"], min(expected), rtol=1e-5)


@pytest.mark.parametrize("engine", ["auto", "solo"])
@pytest.mark.filterwarnings("ignore:1 of 1 trials were trained with plain `fit`")
def test_a_search_without_any_score_says_so_once(engine, rows, tmp_path):
    def numpy_metric(target, prediction):
        return np.median(np.abs(target - prediction))

    def build(hp):
        model = network(2, "softmax", "sparse_categorical_crossentropy")(hp)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[numpy_metric])
        return model

    diverges = network(1, None, "mse")

    def too_fast(hp):
        model = diverges(hp)
        model.optimizer.learning_rate = 1e30
        return model

    for given, said in ((build, "Error"), (too_fast, "its objective is not a finite number|nan|not a number")):
        found = keras_tuner.RandomSearch(
            given, objective="val_loss", max_trials=1, seed=0, directory=tmp_path, engine=engine, overwrite=True
        )
        with pytest.warns(UserWarning, match=rf"None of the 1 trials has a score.*(?i:{said})") as told:
            found.search(1e6 * rows[0], rows[1], epochs=3, validation_split=0.25, verbose=0)
        assert sum("has a score" in str(one.message) for one in told) == 1
        with pytest.raises(ValueError, match="a trial must be completed") as refused:
            found.get_best_models()
        assert "keep" not in str(refused.value)


@pytest.mark.parametrize("fit", [{"validation_split": 0.25}, {"folds": 2, "validation_split": None}])
@pytest.mark.filterwarnings("ignore:1 of 1 trials were trained with plain `fit`")
def test_text_in_numpy_arrays_is_taken_as_in_tensors(fit, tmp_path):
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        return  # no other backend has text in a model
    text = np.resize([["good film"], ["bad film"]], (64, 1))
    scores = []

    def build(hp):
        keras.utils.set_random_seed(0)
        words = keras.layers.TextVectorization(max_tokens=8, output_sequence_length=2)
        words.adapt(text.ravel())
        entry = keras.Input((1,), dtype="string")
        hidden = keras.layers.Embedding(8, hp.Choice("width", [2]))(words(entry))
        output = keras.layers.Dense(1, "sigmoid")(keras.layers.GlobalAveragePooling1D()(hidden))
        model = keras.Model(entry, output)
        model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy")
        return model

    for rows in (text, keras.ops.convert_to_tensor(text)):
        found, _ = searched(build, rows, np.resize([1, 0], 64), tmp_path, **fit)
        assert (found["engine"], found["status"], found["engine_reason"]) == (
            "solo", "COMPLETED", "`x` is not of numbers"
        )  # fmt: skip
        scores.append(found["score"])
    assert scores[0] == scores[1]
