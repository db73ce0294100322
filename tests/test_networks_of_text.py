"""Networks that read text themselves, in `tune(build_model)` and `compare`: text reaches them as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import unitune
from unitune.errors import DataError

keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="Keras reads text with TensorFlow"),
]

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 60)
TEXT = np.array(
    [f"{RNG.choice(['good', 'fine'] if label else ['bad', 'poor'])} {RNG.choice(['film', 'plot'])}" for label in Y]
)
LABELS = np.where(Y, "yes", "no")
SHORT = {"folds": 2, "epochs": 2, "progress": False}


def compiled(inputs, features):
    output = keras.layers.Dense(1, "sigmoid")(features)
    model = keras.Model(inputs, output)
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model


def vectorization():
    layer = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=2)
    layer.adapt(TEXT)
    return layer


def words(hp):
    inputs = keras.Input((1,), dtype="string")
    embedded = keras.layers.Embedding(20, hp.Choice("dim", [2, 4]))(vectorization()(inputs))
    return compiled(inputs, keras.layers.GlobalAveragePooling1D()(embedded))


def sequential(hp):
    model = keras.Sequential(
        [
            vectorization(),
            keras.layers.Embedding(20, hp.Choice("dim", [2]), mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    return model


def beside_numbers(hp):
    city, size = keras.Input((1,), dtype="string", name="city"), keras.Input((2,), name="size")
    found = keras.layers.StringLookup(vocabulary=["Bern", "Rome"], output_mode="one_hot")(city)
    return compiled([city, size], keras.layers.Concatenate()([found, keras.layers.Dense(hp.Choice("dim", [2]))(size)]))


@pytest.mark.parametrize(
    ("build", "x", "new"),
    [
        (words, TEXT[:, None], TEXT[:2]),
        (words, TEXT.astype(object), list(TEXT[:2])),
        (words, pd.DataFrame({"review": TEXT}), pd.DataFrame({"review": TEXT[:2]})),
        (sequential, np.char.encode(TEXT), TEXT[:2]),
        (
            beside_numbers,
            {"city": np.where(Y, "Bern", "Rome"), "size": RNG.normal(size=(60, 2))},
            {"city": np.array(["Bern", "Oslo"]), "size": np.zeros((2, 2))},
        ),
    ],
    ids=["strings", "objects", "frame", "bytes", "two inputs"],
)
def test_text_reaches_the_network_as_it_is(build, x, new):
    result = unitune.tune(build, x, LABELS, **SHORT)
    table = result.table()
    assert set(table["engine"]) == {"solo"}
    assert set(table["engine_reason"]) == {"`x` is not of numbers"}
    assert result.predict(new)["prediction"].isin(["yes", "no"]).all()


def test_a_saved_run_and_model_read_text(tmp_path):
    frame = pd.DataFrame({"review": TEXT, "label": LABELS})
    result = unitune.tune(words, frame, target="label", out=tmp_path / "runs", name="mine", **SHORT)
    again = unitune.load(next(tmp_path.rglob("run.json")).parent)
    pd.testing.assert_frame_equal(again.predict(frame[["review"]]), result.predict(frame[["review"]]))
    path = tmp_path / "model.keras"
    result.model().save(path)
    loaded = keras.models.load_model(path)
    probabilities = np.asarray(loaded(keras.ops.convert_to_tensor(TEXT[:4, None])))[:, 0]
    np.testing.assert_allclose(probabilities, result.predict(TEXT[:4])["probability_yes"], rtol=1e-5)


def test_compare_hands_over_a_copy_with_the_vocabulary():
    class First:
        def Choice(self, name, values):  # noqa: N802
            return values[0]

    model = words(First())
    before = [np.array(weight) for weight in model.get_weights()]
    result = unitune.compare({"mine": model}, TEXT, Y, folds=2, epochs=12, progress=False)
    assert (result.predict(TEXT)["prediction"] == Y).mean() > 0.9
    for weight, own in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, own)


def test_a_table_of_text_and_numbers_says_what_to_do():
    with pytest.raises(DataError, match=r"`size` is of int64\. Give the network an input for each kind"):
        unitune.tune(words, pd.DataFrame({"review": TEXT, "size": range(60)}), Y, **SHORT)


def test_text_for_networks_of_numbers_is_refused():
    with pytest.raises(DataError, match="must hold numbers where it is an array"):
        unitune.tune(TEXT[:, None], Y, units=[4], **SHORT)
