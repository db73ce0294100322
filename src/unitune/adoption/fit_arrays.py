"""The arrays of a call of `fit`, as Keras would read them for a model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unitune.data.arrays import as_inputs, n_rows, take_rows
from unitune.engine.lift.base import Unfusable
from unitune.models import backend
from unitune.models.adopt import input_keys
from unitune.models.compiled import output_names


def inputs_of_fit(model: Any, value: Any, name: str) -> Any:
    """The rows as an array, or as a tuple of arrays in the order of the model's inputs."""
    if not isinstance(value, dict | list | tuple):
        return _of_rank(model, array_of(value, name))
    keys = input_keys(model)
    if isinstance(value, dict):
        if not keys or not set(keys) <= set(value):
            raise Unfusable(f"the keys of `{name}` are not the names of the model's inputs")
        value = [value[key] for key in keys]
    arrays = tuple(array_of(one, name) for one in value)
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


def targets_of_fit(model: Any, value: Any, name: str) -> Any:
    """The targets as an array, or as a tuple of arrays in the order of the model's outputs."""
    outputs = list(getattr(model, "outputs", None) or ())
    if len(outputs) < 2 or not isinstance(value, dict | list | tuple):
        if isinstance(value, dict) and len(outputs) == 1 and list(value) == list(output_names(model)):
            (value,) = value.values()
        return array_of(value, name)
    if isinstance(value, dict):
        names = output_names(model)
        if set(value) != set(names):
            raise Unfusable(f"the keys of `{name}` are not the names of the model's outputs")
        value = [value[key] for key in names]
    arrays = tuple(array_of(one, name) for one in value)
    if len(arrays) != len(outputs) or any(one is None or len(one) != len(arrays[0]) for one in arrays):
        raise Unfusable(f"`{name}` is not one array for each of the model's outputs, with as many rows each")
    return arrays


def array_of(value: Any, name: str) -> Any:
    """Rows as one array of numbers; None where there are none.

    Raises:
        Unfusable: They are something else, or come in an order of their own.
    """
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


def held_out_of(model: Any, x: Any, y: Any, weight: Any, call: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
    """The training rows, and the validation rows `(x, y, weight)` or None, as `fit` would part them."""
    data = call["validation_data"]
    if data is not None:
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise Unfusable("`validation_data` is not a pair of arrays")
        held_out = (
            inputs_of_fit(model, data[0], "validation_data"),
            targets_of_fit(model, data[1], "validation_data"),
            array_of(data[2], "the weights of `validation_data`") if len(data) == 3 else None,
        )
        return x, y, weight, held_out
    share = call["validation_split"]
    if not share:
        return x, y, weight, None
    # The last rows, before anything is shuffled.
    n_train = int(np.floor(n_rows(y) * (1.0 - share)))
    if not 0 < n_train < n_rows(y):
        raise Unfusable(f"`validation_split={share}` leaves no rows")

    def part(rows: slice) -> tuple[Any, Any, Any]:
        return take_rows(x, rows), take_rows(y, rows), None if weight is None else weight[rows]

    return *part(slice(n_train)), part(slice(n_train, None))


def with_class_weights(class_weight: Mapping[Any, float], y: Any, weight: Any) -> Any:
    """The weights of rows (None: all alike), times those of their classes."""
    labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(int)
    factor = np.array([float(class_weight.get(int(label), 1.0)) for label in labels])
    return factor if weight is None else factor * weight


def features_as_trained(x: Any) -> Any:
    """Features in Keras's own floating-point type."""
    floatx = backend.ensure().config.floatx()
    if isinstance(x, tuple):
        return tuple(np.ascontiguousarray(one, dtype=floatx) for one in x)
    return np.ascontiguousarray(x, dtype=floatx)


def each_array(rows: Any) -> list[Any]:
    """Arrays of rows, with how many there are, so that one more input is not taken for a target."""
    return [len(as_inputs(rows)), *as_inputs(rows)]


def targets_as_trained(y: Any, sparse: tuple[bool, ...]) -> Any:
    """Targets as losses take them, each by whether its loss takes class numbers."""
    if isinstance(y, tuple):
        return tuple(_target(one, by_number) for one, by_number in zip(y, sparse, strict=True))
    return _target(y, sparse[0])


def _target(y: Any, sparse: bool) -> Any:
    if sparse:
        return np.ascontiguousarray(y.reshape(-1) if y.size == len(y) else y, dtype="int32")
    wide = y.reshape(len(y), 1) if y.ndim == 1 else y
    return np.ascontiguousarray(wide, dtype=backend.ensure().config.floatx())
