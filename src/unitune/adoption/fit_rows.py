"""The rows that calls of `fit` bring: batches read into memory, and equal rows held once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from unitune.adoption.fit_arrays import Part
from unitune.data.arrays import Split, as_inputs, n_rows
from unitune.data.batches import ChangingRowsError, InMemory, comes_in_batches, is_py_dataset, read_batches
from unitune.engine.lift.base import Unfusable
from unitune.errors import DataError
from unitune.models import backend
from unitune.models.frozen import Parted

MOST_NUMBERS = 2**28
"""So many numbers of a frozen part's outputs are kept: a gigabyte."""


@dataclass(kw_only=True, eq=False)
class Rows:
    """The different rows that calls of `fit` brought, each once."""

    splits: list[Split] = field(default_factory=list)
    _numbers: dict[Any, int] = field(default_factory=dict)
    _alive: list[Any] = field(default_factory=list)  # keeps the ids below valid
    _read: dict[int, InMemory | str] = field(default_factory=dict)  # or why they cannot be read
    _digests: dict[int, bytes] = field(default_factory=dict)
    _features: dict[Any, Any] = field(default_factory=dict)

    def read(self, call: dict[str, Any]) -> None:
        """Puts arrays in the place of rows that come in batches; the same object is read once."""
        if comes_in_batches(call["x"]):
            data = call["x"]
            if is_py_dataset(data):
                nothing = backend.ensure().utils.PyDataset.on_epoch_end
                if call["shuffle"] or type(data).on_epoch_end is not nothing:
                    raise Unfusable("a `PyDataset` gives other batches in each epoch")
            read = self._batches(data)
            call |= {"x": read.x, "y": read.y, "sample_weight": read.weight}
            call |= {"batch_size": read.sizes[0], "shuffle": read.reorders}
        held_out = call["validation_data"]
        if held_out is not None and comes_in_batches(held_out):
            read = self._batches(held_out)
            call |= {"validation_batch_size": read.sizes[0], "validation_data": read.arrays}

    def _batches(self, data: Any) -> InMemory:
        if id(data) not in self._read:
            self._alive.append(data)
            self._read[id(data)] = _read_batches(data)
        read = self._read[id(data)]
        if isinstance(read, str):
            raise Unfusable(read)
        return read

    def features(self, parts: Parted, key: bytes, x: Any) -> Any:
        """What the frozen part of a model makes of rows, computed once for all models in which it does the same.

        Raises:
            Unfusable: It is larger than what memory is for.
        """
        size = sum(math.prod(one.shape[1:]) for one in parts.frozen.outputs) * n_rows(x)
        if size > MOST_NUMBERS:
            raise Unfusable(f"what the frozen part makes of the rows is {size:,} numbers, too many to keep")
        full = (key, *(self._digest(one) for one in as_inputs(x)))
        if full not in self._features:
            self._features[full] = parts.features(x)
        return self._features[full]

    def number(self, train: Part, held_out: Part | None, sparse: tuple[bool, ...]) -> int:
        """The number of the split of these rows, which is made on first sight; `sparse` as in `Part.as_trained`."""
        held = train.take(slice(0)) if held_out is None else held_out
        arrays = [*train.arrays(), *held.arrays()]
        full = (sparse, str(backend.ensure().config.floatx()), *(self._digest(array) for array in arrays))
        if full not in self._numbers:
            self._numbers[full] = len(self.splits)
            x, y, weight = train.as_trained(sparse)
            x_val, y_val, w_val = held.as_trained(sparse)
            self.splits.append(
                Split(
                    fold=0,
                    repeat=0,
                    x_train=x,
                    y_train=y,
                    x_val=x_val,
                    y_val=y_val,
                    w_train=weight,
                    w_val=None if held_out is None else w_val,
                )
            )
        return self._numbers[full]

    def _digest(self, array: Any) -> Any:
        if array is None:
            return None
        if id(array) not in self._digests:
            self._alive.append(array)
            values = np.ascontiguousarray(array)
            if values.dtype.hasobject:
                raise Unfusable("the rows are not numbers")
            text = f"{values.shape}{values.dtype}".encode()
            self._digests[id(array)] = blake2b(text + values.tobytes(), digest_size=16).digest()
        return self._digests[id(array)]


def _read_batches(data: Any) -> InMemory | str:
    try:
        read = read_batches(data)
    except ChangingRowsError as error:
        return error.reason
    except DataError as error:
        return str(error)
    if len(set(read.sizes[:-1])) > 1 or read.sizes[-1] > read.sizes[0]:
        return "the batches are of different sizes"
    return read
