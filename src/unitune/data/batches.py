"""Rows that come in batches, read into memory: `tf.data.Dataset` and `keras.utils.PyDataset`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.errors import DataError
from unitune.records import Array

MOST_BYTES = 2**30
_REMEDY = "Use arrays, or fewer rows."


@dataclass(frozen=True, kw_only=True, eq=False)
class InMemory:
    """All batches, one after another.

    Attributes:
        x, y, weight: `(row, ...)`; there may be no weights. For several inputs `x` is a list, tuple or dict of arrays,
            and so is `y` for several outputs.
        sizes: Rows of each batch.
    """

    x: Any
    y: Any
    weight: Array | None
    sizes: tuple[int, ...]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """`(x, y)` or `(x, y, weight)`."""
        return (self.x, self.y) if self.weight is None else (self.x, self.y, self.weight)


def comes_in_batches(data: Any) -> bool:
    """Whether it is one of the two. Neither Keras nor TensorFlow is imported for it."""
    return is_py_dataset(data) or (hasattr(data, "element_spec") and hasattr(data, "cardinality"))


def is_py_dataset(data: Any) -> bool:
    """Whether it is a `keras.utils.PyDataset`."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(data, keras.utils.PyDataset)


def batches_of(data: Any) -> Iterator[Any]:
    """The batches, from the first on.

    Raises:
        DataError: A `tf.data.Dataset` has no end, or does not say where it is.
    """
    if is_py_dataset(data):
        return (data[index] for index in range(len(data)))
    if int(data.cardinality()) < 0:
        raise DataError("a `tf.data.Dataset` must say how many batches it has", "it does not", _REMEDY)
    return iter(data.as_numpy_iterator())


def read_batches(data: Any) -> InMemory:
    """Reads all batches, once.

    Args:
        data: The batches, `(x, y)` or `(x, y, weight)` each.

    Raises:
        DataError: There are none, too many or without end, or they are of another form.
    """
    batches = _collected(batches_of(data))
    columns = [_mapped(lambda *parts: np.concatenate(parts), *column) for column in zip(*batches, strict=True)]
    return InMemory(
        x=columns[0],
        y=columns[1],
        weight=columns[2] if len(columns) == 3 else None,
        sizes=tuple(len(next(leaves(batch[1]))) for batch in batches),
    )


def leaves(tree: Any) -> Iterator[Any]:
    """The arrays of nested lists, tuples and dicts, in order."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, list | tuple):
        for one in tree:
            yield from leaves(one)
    else:
        yield tree


def _mapped(function: Callable[..., Any], *trees: Any) -> Any:
    """What the function makes of the leaves that lie at the same place in every tree."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: _mapped(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(_mapped(function, *parts) for parts in zip(*trees, strict=True))
    return function(*trees)


def _collected(batches: Iterable[Any]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    n_bytes = 0
    for batch in batches:
        if not isinstance(batch, tuple) or len(batch) not in (2, 3):
            raise DataError("a batch must be `(x, y)` or `(x, y, weight)`", f"got a {type(batch).__name__}")
        if any(isinstance(part, dict | list | tuple) for part in batch[2:]):
            raise DataError("a batch must have one array of sample weights", "each output has weights of its own")
        arrays = _mapped(np.asarray, batch)
        flat = list(leaves(arrays))
        if any(not array.ndim for array in flat):
            raise DataError("rows must come in batches", "they come one by one", "Use `.batch(32)`.")
        n_bytes += sum(array.nbytes for array in flat)
        if n_bytes > MOST_BYTES:
            raise DataError(f"batches must fit into {MOST_BYTES // 2**20} MB", "there are more", _REMEDY)
        found.append(arrays)
    if not found:
        raise DataError("there must be batches", "there are none")
    return found
