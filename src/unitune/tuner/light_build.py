"""Builds a Keras model only to be read: its variables hold plain arrays, and no initializer is run.

A member's initial weights are drawn in bulk elsewhere (`unitune.models.initial`), so those that building would draw are
never looked at. On TensorFlow this more than halves the time of building.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from unitune.models import backend


class _Plain(np.ndarray[Any, Any]):
    """An array in the place of a framework's variable."""

    def numpy(self) -> np.ndarray[Any, Any]:
        """Itself: TensorFlow's variables have this method."""
        return np.asarray(self)

    def assign(self, value: Any) -> None:
        """Takes a value."""
        self[...] = np.asarray(value)


@contextmanager
def light_variables() -> Iterator[None]:
    """Inside, Keras variables made by this thread hold plain arrays; those of an initializer hold zeros."""
    keras = backend.ensure()
    # The class that has them: `keras.Variable` may inherit them.
    kind = next((one for one in keras.Variable.__mro__ if "_initialize_with_initializer" in vars(one)), None)
    if keras.config.backend() != "tensorflow" or kind is None or "_initialize" not in vars(kind):
        yield
        return
    make, make_with = kind._initialize, kind._initialize_with_initializer
    mine = threading.get_ident()

    def plain(self: Any, value: Any) -> None:
        if threading.get_ident() != mine or callable(value):
            make(self, value)
        else:
            self._value = np.array(value, dtype=self._dtype).view(_Plain)

    def plain_with(self: Any, initializer: Any) -> None:
        if threading.get_ident() != mine:
            make_with(self, initializer)
        else:
            self._value = np.zeros(self._shape, self._dtype).view(_Plain)

    kind._initialize, kind._initialize_with_initializer = plain, plain_with
    try:
        yield
    finally:
        kind._initialize, kind._initialize_with_initializer = make, make_with


@contextmanager
def watched_weights() -> Iterator[set[int]]:
    """Inside, the ids of Keras variables to which something is assigned: weights that the user set."""
    keras = backend.ensure()
    assigned: set[int] = set()
    original = keras.Variable.assign

    def assign(self: Any, value: Any) -> Any:
        assigned.add(id(self))
        return original(self, value)

    keras.Variable.assign = assign
    try:
        yield assigned
    finally:
        keras.Variable.assign = original
