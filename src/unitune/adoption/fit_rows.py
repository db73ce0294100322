"""The rows of a call of `fit`, as Keras would read them for a model; equal rows of several calls are held once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from unitune.data.arrays import Split, as_inputs, n_rows, take_rows
from unitune.data.batches import ChangingRowsError, InMemory, comes_in_batches, is_py_dataset, read_batches
from unitune.engine.lift.base import Unfusable
from unitune.errors import DataError
from unitune.models import backend
from unitune.models.adopt import input_keys
from unitune.models.compiled import gives_dictionary, output_names
from unitune.models.frozen import Parted

MOST_NUMBERS = 2**28
"""So many numbers of a frozen part's outputs are kept: a gigabyte."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Rows of a call of `fit`: features, targets, and weights (None where all count alike)."""

    x: Any
    y: Any
    weight: Any = None

    def take(self, rows: slice) -> Part:
        """Some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Part(x=take_rows(self.x, rows), y=take_rows(self.y, rows), weight=weight)

    def arrays(self) -> list[Any]:
        """All arrays, with how many there are, so that one more input is not taken for a target."""
        return [len(as_inputs(self.x)), *as_inputs(self.x), len(as_inputs(self.y)), *as_inputs(self.y), self.weight]

    def as_trained(self, sparse: tuple[bool, ...]) -> tuple[Any, Any, Any]:
        """Features, targets and weights in Keras's types; `sparse` are outputs whose loss takes class numbers."""
        floatx = backend.ensure().config.floatx()
        features = tuple(np.ascontiguousarray(one, dtype=floatx) for one in as_inputs(self.x))
        targets = tuple(_target(one, numbers) for one, numbers in zip(as_inputs(self.y), sparse, strict=True))
        return (
            features if isinstance(self.x, tuple) else features[0],
            targets if isinstance(self.y, tuple) else targets[0],
            None if self.weight is None else np.asarray(self.weight, floatx),
        )


def read_parts(model: Any, call: Mapping[str, Any]) -> tuple[Part, Part | None]:
    """The rows that train, and those that are held out, as `fit` would part them.

    Raises:
        Unfusable: They are not arrays of the model's inputs and outputs.
    """
    x, y = _inputs(model, call["x"], "x"), _targets(model, call["y"], "y")
    if y is None:
        raise Unfusable("there is no `y`")
    if isinstance(call["sample_weight"], dict | list | tuple) and isinstance(y, tuple):
        raise Unfusable("each output has sample weights of its own")
    if call["sample_weight"] is not None and isinstance(call["y"], dict) and not gives_dictionary(model):
        # `fit` looks for the weights of an output by its number, and fails.
        raise Unfusable("`sample_weight` beside a dictionary of targets needs a dictionary of outputs")
    weight = _array(call["sample_weight"], "sample_weight")
    if weight is not None and weight.size != len(weight):
        raise Unfusable("`sample_weight` of more than one axis has no fused form")
    train, held_out = _held_out(model, Part(x=x, y=y, weight=weight), call)
    if call["class_weight"] is not None:
        train = _with_class_weights(call["class_weight"], train)
    return train, held_out


def _inputs(model: Any, value: Any, name: str) -> Any:
    """The rows as an array, or as a tuple of arrays in the order of the model's inputs."""
    if not isinstance(value, dict | list | tuple):
        return _of_rank(model, _array(value, name))
    keys = input_keys(model)
    if isinstance(value, dict):
        if not keys or not set(keys) <= set(value):
            raise Unfusable(f"the keys of `{name}` are not the names of the model's inputs")
        value = [value[key] for key in keys]
    arrays = tuple(_array(one, name) for one in value)
    if len(arrays) != max(1, len(keys)) or any(one is None or len(one) != len(arrays[0]) for one in arrays):
        raise Unfusable(f"`{name}` is not one array for each of the model's inputs, with as many rows each")
    return arrays if len(arrays) > 1 else arrays[0]


def _of_rank(model: Any, x: Any) -> Any:
    """Rows of the one input of a model with an axis of one more, or one less, as Keras has them."""
    inputs = list(getattr(model, "inputs", None) or ())
    if x is None or len(inputs) != 1:
        return x
    wanted = tuple(inputs[0].shape)
    if x.ndim == len(wanted) - 1 and wanted[-1] == 1:
        return x[..., None]
    return x[..., 0] if x.ndim == len(wanted) + 1 and x.shape[-1] == 1 else x


def _targets(model: Any, value: Any, name: str) -> Any:
    """The targets as an array, or as a tuple of arrays in the order of the model's outputs."""
    outputs = list(getattr(model, "outputs", None) or ())
    if len(outputs) < 2 or not isinstance(value, dict | list | tuple):
        if isinstance(value, dict) and len(outputs) == 1 and list(value) == list(output_names(model)):
            (value,) = value.values()
        return _array(value, name)
    if isinstance(value, dict):
        names = output_names(model)
        if set(value) != set(names):
            raise Unfusable(f"the keys of `{name}` are not the names of the model's outputs")
        value = [value[key] for key in names]
    arrays = tuple(_array(one, name) for one in value)
    if len(arrays) != len(outputs) or any(one is None or len(one) != len(arrays[0]) for one in arrays):
        raise Unfusable(f"`{name}` is not one array for each of the model's outputs, with as many rows each")
    return arrays


def _array(value: Any, name: str) -> Any:
    if value is None:
        return None
    if isinstance(value, dict | list | tuple):
        raise Unfusable(f"`{name}` is a {type(value).__name__}, not one array")
    if hasattr(value, "to_numpy"):  # a frame
        value = value.to_numpy()
    if not isinstance(value, np.ndarray):
        if not hasattr(value, "__array__"):
            raise Unfusable(f"`{name}` is a {type(value).__name__}, whose rows come in an order of its own")
        value = np.asarray(value)
    if value.dtype.kind not in "fiub":
        raise Unfusable(f"`{name}` is not of numbers")
    return value


def _held_out(model: Any, train: Part, call: Mapping[str, Any]) -> tuple[Part, Part | None]:
    data = call["validation_data"]
    if data is not None:
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise Unfusable("`validation_data` is not a pair of arrays")
        weight = _array(data[2], "the weights of `validation_data`") if len(data) == 3 else None
        x, y = _inputs(model, data[0], "validation_data"), _targets(model, data[1], "validation_data")
        return train, Part(x=x, y=y, weight=weight)
    share = call["validation_split"]
    if not share:
        return train, None
    # The last rows, before anything is shuffled.
    n_train = int(np.floor(n_rows(train.y) * (1.0 - share)))
    if not 0 < n_train < n_rows(train.y):
        raise Unfusable(f"`validation_split={share}` leaves no rows")
    return train.take(slice(n_train)), train.take(slice(n_train, None))


def _with_class_weights(class_weight: Mapping[Any, float], train: Part) -> Part:
    y = train.y
    if isinstance(y, tuple) or y.ndim > 2:
        raise Unfusable("`class_weight` is for models with one output of one axis")
    labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(int)
    factor = np.array([float(class_weight.get(int(label), 1.0)) for label in labels])
    return Part(x=train.x, y=y, weight=factor if train.weight is None else factor * train.weight)


def _target(y: Any, sparse: bool) -> Any:
    if sparse:
        return np.ascontiguousarray(y.reshape(-1) if y.size == len(y) else y, dtype="int32")
    wide = y.reshape(len(y), 1) if y.ndim == 1 else y
    return np.ascontiguousarray(wide, dtype=backend.ensure().config.floatx())


@dataclass(kw_only=True, eq=False)
class Rows:
    """The different rows that calls of `fit` brought, each once."""

    splits: list[Split] = field(default_factory=list)
    _numbers: dict[Any, int] = field(default_factory=dict)
    _alive: list[Any] = field(default_factory=list)  # keeps the ids below valid
    _read: dict[int, InMemory | str] = field(default_factory=dict)  # or why they cannot be read
    _digests: dict[Any, bytes] = field(default_factory=dict)
    _features: dict[Any, Any] = field(default_factory=dict)

    def read(self, call: dict[str, Any]) -> None:
        """Puts arrays in the place of rows that come in batches; the same object is read once."""
        if comes_in_batches(call["x"]):
            data, shuffle = call["x"], False
            if is_py_dataset(data):
                if type(data).on_epoch_end is not backend.ensure().utils.PyDataset.on_epoch_end:
                    raise Unfusable("a `PyDataset` with an `on_epoch_end` may give other batches in each epoch")
                shuffle = bool(call["shuffle"])
            read = self._batches(data)
            if shuffle and len(set(read.sizes)) > 1:
                raise Unfusable("a `PyDataset` that is shuffled, with a smaller last batch, has no fused form")
            call |= {"x": read.x, "y": read.y, "sample_weight": read.weight}
            call |= {"batch_size": read.sizes[0], "shuffle": "batch" if shuffle else read.reorders}
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
        place: Any = id(array)
        if isinstance(array, np.ndarray):  # each call that holds rows out cuts the same rows anew
            place = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        if place not in self._digests:
            self._alive.append(array)
            values = np.ascontiguousarray(array)
            if values.dtype.hasobject:
                raise Unfusable("the rows are not numbers")
            text = f"{values.shape}{values.dtype}".encode()
            self._digests[place] = blake2b(text + values.tobytes(), digest_size=16).digest()
        return self._digests[place]


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
