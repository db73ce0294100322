"""Rows in batches, by a stand-in for `tf.data.Dataset`: what is read, and what is refused."""

import numpy as np
import pytest

from unitune.data import batches
from unitune.data.batches import comes_in_batches, read_batches
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
