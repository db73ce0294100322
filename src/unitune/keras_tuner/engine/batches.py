"""Rows that come in batches, read into memory: `tf.data.Dataset` and `keras.utils.PyDataset`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.engine.lift.base import Unfusable
from unitune.models import backend
from unitune.records import Array

MOST_BYTES = 2**30


@dataclass(frozen=True, kw_only=True, eq=False)
class InMemory:
    """All batches, one after another.

    Attributes:
        x, y, weight: `(row, ...)`; there may be no weights. For several inputs `x` is a list or dict of arrays, and so
            is `y` for several outputs.
        batch_size: Rows of each batch but the last.
        shuffles: Whether the rows come in another order each time.
    """

    x: Any
    y: Any
    weight: Array | None
    batch_size: int
    shuffles: bool


def comes_in_batches(data: Any) -> bool:
    """Whether it is one of the two."""
    keras = backend.ensure()
    return isinstance(data, keras.utils.PyDataset) or (hasattr(data, "element_spec") and hasattr(data, "cardinality"))


def read_batches(data: Any, *, shuffle: bool) -> InMemory:
    """Reads the batches.

    Args:
        data: The batches, `(x, y)` or `(x, y, weight)` each.
        shuffle: The argument of `fit`, which shuffles the batches of a `PyDataset`.

    Raises:
        Unfusable: There are too many, without end, or of changing sizes.
    """
    keras = backend.ensure()
    if isinstance(data, keras.utils.PyDataset):
        if shuffle or type(data).on_epoch_end is not keras.utils.PyDataset.on_epoch_end:
            raise Unfusable("a `PyDataset` gives other batches in each epoch")
        batches = _collected(data[index] for index in range(len(data)))
        again = batches[0]
    else:
        if int(data.cardinality()) < 0:
            raise Unfusable("the `tf.data.Dataset` does not say how many batches it has")
        batches = _collected(data.as_numpy_iterator())
        again = next(iter(data.as_numpy_iterator()))
    sizes = [len(keras.tree.flatten(batch[1])[0]) for batch in batches]
    if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
        raise Unfusable("the batches are of different sizes")
    columns = [_joined(keras, column) for column in zip(*batches, strict=True)]
    return InMemory(
        x=columns[0],
        y=columns[1],
        weight=columns[2] if len(columns) == 3 else None,
        batch_size=sizes[0],
        shuffles=not all(
            np.array_equal(a, b) for a, b in zip(keras.tree.flatten(batches[0]), keras.tree.flatten(again), strict=True)
        ),
    )


def _joined(keras: Any, parts: Any) -> Any:
    """The parts of all batches one after another, each input by itself."""
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def _collected(batches: Any) -> list[tuple[Any, ...]]:
    keras = backend.ensure()
    found: list[tuple[Any, ...]] = []
    n_bytes = 0
    for batch in batches:
        if not isinstance(batch, tuple) or len(batch) not in (2, 3):
            raise Unfusable("a batch is not `(x, y)` or `(x, y, weight)`")
        if any(isinstance(part, dict | list | tuple) for part in batch[2:]):
            raise Unfusable("each output has sample weights of its own")
        arrays = keras.tree.map_structure(np.asarray, batch)
        flat = keras.tree.flatten(arrays)
        if any(not array.ndim for array in flat):
            raise Unfusable("the rows do not come in batches")
        n_bytes += sum(array.nbytes for array in flat)
        if n_bytes > MOST_BYTES:
            raise Unfusable(f"the batches do not fit into {MOST_BYTES // 2**20} MB")
        found.append(arrays)
    if not found:
        raise Unfusable("there are no batches")
    return found
