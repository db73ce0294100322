"""Free text: the same features in NumPy and in the saved model, with scikit-learn's weights."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from unitune.data.frames import raw_inputs
from unitune.data.load import dataset
from unitune.data.words import count_words, words_of
from unitune.models.preprocessing import assemble, fit, predict

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

N = 120
RNG = np.random.default_rng(0)
WORDS = np.array(["good", "bad", "It's", "größe", "Ärger,", "(so)", "so-so", "a\u00a0b", "1.5%", "日本", "the", "end."])


def reviews(n=N, seed=0):
    rng = np.random.default_rng(seed)
    text = [" ".join(rng.choice(WORDS, rng.integers(2, 9))) + f" n{i}" for i in range(n)]
    frame = pd.DataFrame({"review": text, "length": rng.normal(size=n), "y": np.arange(n) % 2})
    frame.loc[[2, 50], "review"] = None
    return frame


@pytest.fixture(scope="module")
def learnt():
    data = dataset(reviews(), target="y")
    return data, fit(data, np.arange(80))


def test_words_are_those_of_keras():
    import keras

    texts = ["It's (so) GOOD, so-so!", "  a\tb\nc  ", "Größe Ä 日本 1.5%", "x", "a\u00a0b"]
    layer = keras.layers.TextVectorization(output_mode="int")
    layer.adapt(texts)
    known = layer.get_vocabulary()
    for text in texts:
        assert [known[number] for number in np.asarray(layer([text]))[0] if number] == words_of(text)


def test_weights_are_those_of_scikit_learn(learnt):
    data, preprocessor = learnt
    (words,) = preprocessor.words
    counts, _ = count_words(data.x["review"], words.vocabulary)
    expected = TfidfTransformer().fit(counts[:80]).transform(counts).toarray() * words.scale
    np.testing.assert_allclose(words.features(counts, "float64"), expected, rtol=1e-6)


def test_the_vocabulary_is_that_of_the_training_rows(learnt):
    _, preprocessor = learnt
    (words,) = preprocessor.words
    assert set(words.vocabulary) == {word for cell in WORDS for word in words_of(cell)}
    assert not any(word.startswith("n1") for word in words.vocabulary)  # words of a single row
    assert words.flagged
    names = preprocessor.feature_names
    assert len(names) == len(set(names)) == preprocessor.n_features
    assert "review: good" in names
    assert "review is missing" in names


def test_words_of_few_rows_are_kept_however_few_rows_there_are():
    rows = [" ".join(["the", *(f"w{3 * (i // 2) + j}" for j in range(3))]) for i in range(200)]  # each word in two rows
    data = dataset(pd.DataFrame({"text": rows, "y": np.arange(200) % 2}), target="y")
    (words,) = fit(data, np.arange(200)).words
    assert len(words.vocabulary) == 301


def test_the_saved_model_sees_the_same_features(learnt, tmp_path):
    import keras

    data, preprocessor = learnt
    core = keras.Sequential([keras.Input(preprocessor.output_shape), keras.layers.Identity()])
    path = tmp_path / "text.keras"
    assemble(preprocessor, core).save(path)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    rows = reviews(seed=1)
    rows.loc[0, "review"] = "words that nobody has seen before"
    inputs = raw_inputs(data.raw_schema, rows)
    prepared = preprocessor.transform({"review": inputs["review"][:, 0], "length": inputs["length"][:, 0]})
    np.testing.assert_allclose(predict(model, inputs), prepared, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(preprocessor.transform(np.arange(N)), preprocessor.transform(data), rtol=1e-6)


def test_words_tell_what_whole_cells_cannot():
    import unitune

    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    sides = np.array([["awful", "broken", "angry"], ["lovely", "happy", "superb"]])
    filler = np.array([f"w{i}" for i in range(40)])
    text = [" ".join(rng.permutation([*rng.choice(filler, 8), *rng.choice(sides[side], 2)])) for side in y]
    frame = pd.DataFrame({"text": text, "y": y})
    found = unitune.tune(
        frame, target="y", units=[16], activations="relu", epochs=10, learning_rates=0.01, folds=3, progress=False
    )
    assert found.best.scores["accuracy"].mean > 0.95
