"""Rows in batches, by a stand-in for `tf.data.Dataset`: what is read, and what is refused."""

import numpy as np
import pytest

from unitune.data import batches
from unitune.data.batches import ChangingRowsError, comes_in_batches, read_batches
from unitune.errors import DataError

X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6)


class Dataset:
    """What the reader uses of a `tf.data.Dataset`."""

    element_spec = None

    def __init__(self, elements, endless=False):
        self.elements, self.endless = elements, endless

    def cardinality(self):
        return -1 if self.endless else len(self.elements)

    def as_numpy_iterator(self):
        return iter(self.elements)


def cut(*arrays, sizes=(4, 2)):
    ends = np.cumsum(sizes)
    return Dataset([tuple(array[end - size : end] for array in arrays) for size, end in zip(sizes, ends, strict=True)])


def test_batches_lie_one_after_another():
    read = read_batches(cut(X, Y))
    np.testing.assert_array_equal(read.x, X)
    np.testing.assert_array_equal(read.y, Y)
    assert (read.weight, read.sizes, len(read.arrays)) == (None, (4, 2), 2)


def test_weights_and_several_inputs_keep_their_places():
    element = ({"b": X, "a": X[:, 0]}, (Y, Y + 1), np.ones(6))
    read = read_batches(Dataset([element, element]))
    assert list(read.x) == ["b", "a"]
    assert [one.shape for one in read.x.values()] == [(12, 2), (12,)]
    np.testing.assert_array_equal(read.y[1], [*(Y + 1), *(Y + 1)])
    assert read.weight is not None
    assert read.weight.shape == (12,)


def test_arrays_and_lists_do_not_come_in_batches():
    assert comes_in_batches(cut(X, Y))
    assert not any(comes_in_batches(one) for one in (X, [X, Y], {"a": X}, None, "rows.csv"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Dataset([(X, Y)], endless=True), "how many batches"),
        (Dataset([]), "there are none"),
        (Dataset([X]), "got a ndarray"),
        (Dataset([(X, Y, [Y, Y])]), "weights of its own"),
        (Dataset([(X[0], Y[0])]), "one by one"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(data, said):
    with pytest.raises(DataError, match=said):
        read_batches(data)


def test_more_than_fits_is_refused_before_all_of_it_was_read(monkeypatch):
    monkeypatch.setattr(batches, "MOST_BYTES", 150)

    class Counting(Dataset):
        seen = 0

        def as_numpy_iterator(self):
            for element in self.elements:
                self.seen += 1
                yield element

    data = Counting([(X, Y)] * 9)
    with pytest.raises(DataError, match="must fit into"):
        read_batches(data)
    assert data.seen == 2


class Passes(Dataset):
    """Gives other elements in each pass."""

    def __init__(self, *passes):
        super().__init__(passes[0])
        self.passes = list(passes)

    def as_numpy_iterator(self):
        return iter(self.passes.pop(0))


def test_another_order_in_the_second_pass_is_seen():
    one, other = [(X[:4], Y[:4]), (X[4:], Y[4:])], [(X[2:], Y[2:]), (X[:2], Y[:2])]
    assert not read_batches(Passes(one, one)).reorders
    read = read_batches(Passes(one, other))
    assert read.reorders
    np.testing.assert_array_equal(read.x, X)


@pytest.mark.parametrize(
    "second",
    [
        [(X + 1e-9, Y)],
        [(X, Y[::-1])],  # the same rows, with other targets
        [(X[:5], Y[:5])],
        [(np.concatenate([X[:5], X[:1]]), np.append(Y[:5], Y[0]))],  # a row twice
    ],
)
def test_other_rows_in_the_second_pass_are_refused(second):
    with pytest.raises(ChangingRowsError, match="must be the same in each pass"):
        read_batches(Passes([(X, Y)], second))


def test_missing_numbers_and_text_stay_what_they_are():
    x = np.array([[np.nan], [1.0]])
    text = np.array([[b"a"], [b"b"]], dtype=object)
    assert not read_batches(Passes([(x, text)], [(x.copy(), text.copy())])).reorders


def pipelines(tf, keras):
    """Pipelines by name, each with whether it may give other rows in each pass."""
    x, y = np.arange(32, dtype="float32").reshape(8, 4), np.arange(8)
    rows = tf.data.Dataset.from_tensor_slices((x, y))
    drawn, generator = tf.Variable(1.0), tf.random.Generator.from_seed(1)
    noise, scale = keras.layers.GaussianNoise(1.0), keras.layers.Normalization()
    scale.adapt(x)

    @tf.function
    def seldom(a):
        return tf.cond(tf.random.uniform([]) < 1e-9, lambda: -a, lambda: a)

    found = {
        "a random map": (rows.map(lambda a, b: (a + tf.random.normal([4]), b)), True),
        "one that seldom does anything": (rows.map(lambda a, b: (seldom(a), b)), True),
        "one with a seed": (rows.map(lambda a, b: (a + tf.random.normal([4], seed=3), b)), True),
        "a Generator": (rows.map(lambda a, b: (a + generator.normal([4]), b)), True),
        "a variable": (rows.map(lambda a, b: (a * drawn, b)), True),
        "inside interleave": (
            tf.data.Dataset.range(2).interleave(
                lambda _: rows.map(lambda a, b: (a + tf.random.uniform([4], seed=1), b))
            ),
            True,
        ),
        "sampled": (tf.data.Dataset.sample_from_datasets([rows, rows]), True),
        "Python": (rows.map(lambda a, b: (tf.ensure_shape(tf.numpy_function(abs, [a], tf.float32), [4]), b)), True),
        "a shuffle of which some is taken": (rows.shuffle(8).take(3), True),
        "plain": (rows.map(lambda a, b: (a / 255.0, b)).prefetch(1), False),
        "stateless": (rows.map(lambda a, b: (a + tf.random.stateless_normal([4], seed=(1, 2)), b)), False),
        "a scale": (rows.map(lambda a, b: (scale(a[None])[0], b)), False),
        "drawn once": (rows.map(lambda a, b: (a + tf.random.normal([4]), b)).cache(), False),
    }
    if keras.backend.backend() == "tensorflow":
        found["a layer"] = (rows.map(lambda a, b: (noise(a[None], training=True)[0], b)), True)
    return found


def test_pipelines_that_may_draw_are_told_from_those_that_do_not():
    keras, tf = pytest.importorskip("keras"), pytest.importorskip("tensorflow")
    for name, (data, changes) in pipelines(tf, keras).items():
        try:
            read_batches(data.batch(4))
        except ChangingRowsError:
            assert changes, name
        else:
            assert not changes, name


def test_a_shuffle_changes_the_order_only():
    tf = pytest.importorskip("tensorflow")
    rows = tf.data.Dataset.from_tensor_slices((X, Y))
    assert read_batches(rows.shuffle(6).batch(6)).reorders
    assert read_batches(rows.shuffle(1).batch(6)).reorders  # nothing to see in two passes
    assert not read_batches(rows.shuffle(6, reshuffle_each_iteration=False).batch(6)).reorders
    assert not read_batches(rows.batch(4)).reorders
