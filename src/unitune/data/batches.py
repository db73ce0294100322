"""Rows that come in batches, read into memory: `tf.data.Dataset` and `keras.utils.PyDataset`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from unitune.errors import DataError
from unitune.records import Array

MOST_BYTES = 2**30
_REMEDY = "Use arrays, or fewer rows."
_SAME_EACH_TIME = ("Assert", "Print", "LookupTable", "HashTable", "Hash")
"""How the names of TensorFlow's operations begin that hold state and give the same for the same."""


class ChangingRowsError(DataError):
    """Rows that are others in each pass: what is read once is not what `fit` would see.

    Args:
        reason: Why, as a clause.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            "rows that are read into memory must be the same in each pass",
            reason,
            "Put what draws at random into the model as a layer, or use the tuners of `unitune`, such as "
            "`unitune.RandomSearch`, whose trials are then trained by plain `fit` on the batches as they come.",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class InMemory:
    """All batches, one after another.

    Attributes:
        x, y, weight: `(row, ...)`; there may be no weights. For several inputs `x` is a list, tuple or dict of arrays,
            and so is `y` for several outputs.
        sizes: Rows of each batch.
        reorders: Whether a second pass gave the same rows in another order.
    """

    x: Any
    y: Any
    weight: Array | None
    sizes: tuple[int, ...]
    reorders: bool = False

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
    """Reads all batches, and once more to see that they stay the same.

    Args:
        data: The batches, `(x, y)` or `(x, y, weight)` each.

    Raises:
        DataError: There are none, too many or without end, or they are of another form.
        ChangingRowsError: A second pass gives other rows, or nothing makes sure that it gives the same.
    """
    reason, reorders = _pipeline(data)
    if reason:
        raise ChangingRowsError(reason)
    batches = _collected(batches_of(data))
    if is_py_dataset(data):
        data.on_epoch_end()
    reorders |= _compare(batches, batches_of(data))
    columns = [_mapped(lambda *parts: np.concatenate(parts), *column) for column in zip(*batches, strict=True)]
    return InMemory(
        x=columns[0],
        y=columns[1],
        weight=columns[2] if len(columns) == 3 else None,
        sizes=tuple(len(next(leaves(batch[1]))) for batch in batches),
        reorders=reorders,
    )


def _compare(batches: list[tuple[Any, ...]], again: Iterable[Any]) -> bool:
    """Whether a second pass gives the rows in another order.

    Raises:
        ChangingRowsError: It gives others.
    """
    same = 0
    others: list[bytes] = []
    for number, batch in enumerate(again):
        if same == number < len(batches) and _equal(batches[number], batch):
            same += 1
        else:
            others += _row_digests([batch])
    if sorted(_row_digests(batches[same:])) != sorted(others):
        raise ChangingRowsError("a second pass over the batches gives other rows than the first")
    return bool(others)


def _equal(one: Any, other: Any) -> bool:
    mine, theirs = ([np.asarray(array) for array in leaves(tree)] for tree in (one, other))
    return len(mine) == len(theirs) and all(
        a.shape == b.shape and a.dtype == b.dtype and _bytes(a) == _bytes(b) for a, b in zip(mine, theirs, strict=True)
    )


def _row_digests(batches: Iterable[Any]) -> Iterator[bytes]:
    for batch in batches:
        for parts in zip(*map(np.asarray, leaves(batch)), strict=True):
            yield blake2b(b"\0".join(_bytes(part) for part in parts), digest_size=16).digest()


def _bytes(array: Any) -> bytes:
    array = np.asarray(array)
    return repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()


def _pipeline(data: Any) -> tuple[str, bool]:
    """What in a `tf.data` pipeline may make other rows in each pass, as a clause or empty; and whether it shuffles.

    Two passes that agree do not show it where something is drawn seldom, or from a seed that starts anew.
    """
    waiting, seen, shuffles = [data], set(), False
    while waiting:
        one = waiting.pop()
        kind = type(one).__name__.strip("_")
        # What comes before a cache is drawn once.
        if id(one) in seen or kind == "CacheDataset" or not hasattr(one, "_inputs") or not hasattr(one, "_functions"):
            continue
        seen.add(id(one))
        if kind == "RandomDataset":
            return "the `tf.data` pipeline draws at random", shuffles
        shuffles |= bool(getattr(one, "_reshuffle_each_iteration", False))
        for function in one._functions():
            name = _stateful_operation(function.function.graph.as_graph_def())
            if name:
                return f"a function in the `tf.data` pipeline may give other rows in each pass (`{name}`)", shuffles
        waiting += list(one._inputs())
    return "", shuffles


def _stateful_operation(graph: Any) -> str:
    registry: Any = importlib.import_module("tensorflow.python.framework.op_def_registry")
    for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def)):
        definition = registry.get(node.op)
        if definition is not None and definition.is_stateful and not _keeps(node.op):
            return str(node.op)
    return ""


def _keeps(operation: str) -> bool:
    # A call is as stateful as what it calls, which is looked at as well.
    return operation.startswith(_SAME_EACH_TIME) or operation in ("StatefulPartitionedCall", "If", "While", "Case")


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
