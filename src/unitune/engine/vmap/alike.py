"""Which members can share one traced step of Keras: those whose code and constants are the same.

Weights, seeds, learning rates, rows, stopping and the number of epochs are data of a step. Everything else is written
into it while it is traced, and must be equal.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from unitune.data.arrays import Split, as_inputs, n_rows
from unitune.engine.contract import Job
from unitune.engine.lift.base import Key
from unitune.models.backend import settings
from unitune.models.blueprint import Blueprint, Training
from unitune.models.keras_objects import LambdaAgain


def program_key(job: Job, split: Split) -> Key:
    """What must be equal for two members to share a program. Objects in it stand for themselves: keep the job alive."""
    rows = tuple(
        (part.shape[1:], str(part.dtype))
        for one in (split.x_train, split.x_val, split.y_train, split.y_val)
        for part in as_inputs(one)
    )
    weighted = (split.w_train is not None, split.w_val is not None)
    sizes = (n_rows(split.x_train), n_rows(split.x_val))
    try:
        return (_network(job.blueprint), _training(job.training), rows, weighted, sizes, settings())
    except RecursionError:  # functions that close over each other
        return (id(job), rows, weighted, sizes)


def _network(blueprint: Blueprint) -> Key:
    if not blueprint.layers:
        return ("template", id(blueprint.template))
    layers = tuple((layer.class_name, _config(layer.config)) for layer in blueprint.layers)
    # The names of inputs and layers do not reach the step.
    inputs = tuple(spec.dtype for spec in blueprint.inputs)
    calls = tuple(
        (call.layer, call.inputs, constant(call.arguments), constant(call.constants), call.named)
        for call in blueprint.graph
    )
    return (layers, calls, inputs, blueprint.outputs, blueprint.output_keys)


def _training(training: Training) -> Key:
    optimizer = training.optimizer
    live = optimizer.config.get("optimizer")
    settings: Any = optimizer.config if live is None else live.get_config()
    return (
        optimizer.class_name,
        None if live is None else type(live),
        constant({name: value for name, value in settings.items() if name != "learning_rate"}),
        tuple((constant(one.loss), one.weight, constant(one.metrics)) for one in training.each_output),
        training.batch_size,
        training.plateau is not None,
        len(training.further_stopping),
    )


def _config(config: Mapping[str, Any]) -> Key:
    """A layer's arguments without its name, and without what only decides on its first weights and seed."""
    return tuple(
        (name, _config(value) if isinstance(value, Mapping) else constant(value))
        for name, value in sorted(config.items())
        if name not in ("name", "seed") and not name.endswith("_initializer")
    )


def constant(value: Any) -> Key:
    """A value as a key that is equal where a trace would be.

    Functions are equal where their code is, and what they close over. An object without a better rule is itself.

    Example:
        >>> constant({"rate": 0.1, "axes": [1, 2]}) == constant({"axes": [1, 2], "rate": 0.1})
        True
        >>> constant(1) == constant(True), constant(1) == constant(1.0)
        (False, False)
    """
    if value is None or isinstance(value, str | bytes | bool | int | float | complex):
        if isinstance(value, float) and math.isnan(value):
            return (float, "nan")
        return (type(value), value)
    if isinstance(value, Mapping):
        return (dict, tuple(sorted(((str(key), constant(item)) for key, item in value.items()), key=lambda kv: kv[0])))
    if isinstance(value, list | tuple):
        return (type(value), tuple(constant(item) for item in value))
    if isinstance(value, set | frozenset):
        return (set, frozenset(constant(item) for item in value))
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return (np.ndarray, array.shape, str(array.dtype), array.tobytes() if not array.dtype.hasobject else id(value))
    if isinstance(value, type):
        return (type, value)
    if isinstance(value, LambdaAgain):
        return (LambdaAgain, constant(value.function), constant(value.options))
    if hasattr(value, "__code__"):
        return _function(value)
    return _object(value)


def _function(function: Any) -> Key:
    owner = getattr(function, "__self__", None)
    try:
        cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    except ValueError:  # a cell that is still empty
        return (id(function),)
    return (
        function.__code__,
        id(getattr(function, "__globals__", None)),
        constant(getattr(function, "__defaults__", None)),
        constant(getattr(function, "__kwdefaults__", None)),
        tuple((type(cell), id(cell)) if cell is function else constant(cell) for cell in cells),
        None if owner is None else id(owner),
    )


def _object(value: Any) -> Key:
    kind = type(value)
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(value, keras.Layer):
        return (kind, constant({key: item for key, item in value.get_config().items() if key != "name"}))
    if hasattr(value, "__dict__"):
        # Not `get_config`, which may leave things out that the step depends on: `keras.losses.Huber` its `delta`.
        return (kind, constant({key: item for key, item in vars(value).items() if key != "name"}))
    return (kind, id(value))
