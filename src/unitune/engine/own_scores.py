"""Losses and metrics that are functions of the user's own, traced once and applied to all members.

A function that treats each row by itself sees the rows of all members as one batch. One that gives a single number for
a batch is taken where that is the mean of what it gives for each row alone; it is then mapped over the rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from unitune.engine.lift.activation import FunctionKey
from unitune.engine.lift.base import Key, Tensor, Unfusable, folded
from unitune.engine.lift.rows import try_rows
from unitune.models.shape_rules import Shape

OWN = "a function of your own"


def is_own(key: Key) -> bool:
    """Whether the key of a loss is that of a function of the user's own."""
    return bool(key[0] == OWN)


def own_key(function: Any, noun: str) -> tuple[str, FunctionKey]:
    """A function of the user's own as part of a key.

    Raises:
        Unfusable: It is no function, or reads what cannot be compared by value.
    """
    if not inspect.isroutine(function):
        raise Unfusable(f"the {noun} is a {type(function).__name__} of your own")
    return OWN, FunctionKey(function, noun)


@lru_cache(maxsize=256)
def is_batch_mean(key: FunctionKey, noun: str, shape: Shape, batch_size: int) -> bool:
    """Whether a function of targets and predictions, each `(row, *shape)`, gives one number for a batch.

    Raises:
        Unfusable: It does not treat each row by itself, and is no mean over the rows either; or draws at random, ...
    """
    import keras

    name, types = f"the {noun} `{key.name}`", [str(keras.config.floatx())] * 2
    rng = np.random.default_rng(0)

    def rows(n: int) -> list[Tensor]:
        return [keras.ops.convert_to_tensor(rng.random((n, *shape)).astype(types[0])) for _ in range(2)]

    try:
        scalar = len(key.function(*rows(5)).shape) == 0
    except Exception as error:
        raise Unfusable(f"{name} could not be tried on arrays: {type(error).__name__}") from error
    function: Callable[..., Tensor] = _by_row(key.function) if scalar else key.function
    try_rows(lambda inputs, training: function(*inputs), name, [shape] * 2, types, batch_size)
    if not scalar:
        return False
    for n in (5, batch_size):
        given = rows(n)
        whole = float(keras.ops.convert_to_numpy(key.function(*given)))
        each = float(np.mean(keras.ops.convert_to_numpy(function(*given))))
        if not np.isclose(whole, each, rtol=1e-5, atol=1e-7):
            raise Unfusable(f"{name} gives one number for a batch, which is not the mean over its rows")
    return True


def _by_row(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of a batch, of each row as a batch of its own."""
    from keras import ops

    return lambda y, p: ops.vectorized_map(lambda pair: function(pair[0][None], pair[1][None]), (y, p))


def own_rows(key: FunctionKey, *, batch_mean: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """From targets and predictions `(member, batch, output)` to `(member, batch)`."""
    from keras import ops

    function = _by_row(key.function) if batch_mean else key.function

    def rows(target: Tensor, prediction: Tensor) -> Tensor:
        members, batch = prediction.shape[:2]
        values = function(folded(target), folded(prediction))
        flat = ops.reshape(ops.cast(values, prediction.dtype), (members, batch, -1))
        return ops.mean(flat, axis=-1)

    return rows
