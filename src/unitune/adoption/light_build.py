"""Builds a Keras model only to be read: its variables hold plain arrays, and no initializer is run.

A member's initial weights are drawn in bulk elsewhere (`unitune.models.initial`), so those that building would draw are
never looked at. On TensorFlow this more than halves the time of building. Code of the user's own that does look at a
variable finds what it would hold, and the model can be made real at any time: a function need not be called again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from unitune.models import backend

_REPLACED = ("_initialize", "_initialize_with_initializer", "value")


class _Plain(np.ndarray[Any, Any]):
    """An array in the place of a framework's variable."""

    make: Callable[[], None]  # puts the framework's variable in its place

    def assign(self, value: Any) -> None:
        """Takes a value."""
        self[...] = np.asarray(value)
        make, values = self.make, np.asarray(self)
        self.make = lambda: make(values)  # type: ignore[call-arg]


class LightVariables:
    """The variables that hold plain arrays."""

    def __init__(self) -> None:
        self._made: list[Any] = []

    def add(self, variable: Any) -> None:
        """Takes one more."""
        self._made.append(variable)

    def make_real(self) -> None:
        """Gives each its variable of the framework, with what was assigned to it, or what its initializer draws."""
        for variable in self._made:
            _make_real(variable)
        self._made.clear()


def _make_real(variable: Any) -> None:
    if isinstance(variable._value, _Plain):
        variable._value.make()


@contextmanager
def light_variables() -> Iterator[LightVariables]:
    """Inside, Keras variables made by this thread hold plain arrays until they are looked at."""
    keras = backend.ensure()
    light = LightVariables()
    # The class that has them: `keras.Variable` may inherit them.
    kind = next((one for one in keras.Variable.__mro__ if "_initialize_with_initializer" in vars(one)), None)
    if keras.config.backend() != "tensorflow" or kind is None or "_initialize" not in vars(kind):
        yield light
        return
    import tensorflow as tf

    make, make_with, get = kind._initialize, kind._initialize_with_initializer, kind.value.fget
    symbolic = get.__globals__["in_stateless_scope"]
    mine = threading.get_ident()

    def hold(variable: Any, array: Any, real: Callable[..., None]) -> None:
        variable._value = array.view(_Plain)
        variable._value.make = real
        light.add(variable)

    def plain(self: Any, value: Any) -> None:
        if threading.get_ident() != mine or callable(value):
            make(self, value)
            return
        array = np.array(value, dtype=self._dtype)
        hold(self, array, lambda now=array: make(self, now))

    def plain_with(self: Any, initializer: Any) -> None:
        if threading.get_ident() != mine:
            make_with(self, initializer)
            return

        def real(now: Any = None) -> None:
            make_with(self, initializer) if now is None else make(self, now)

        hold(self, np.zeros(self._shape, self._dtype), real)

    def value(self: Any) -> Any:
        # A symbolic call, which Keras makes to learn shapes in such a scope, needs no numbers.
        if isinstance(self._value, _Plain) and threading.get_ident() == mine and not symbolic():
            with tf.init_scope():
                _make_real(self)
        return get(self)

    own = {name: one for name, one in vars(kind).items() if name in _REPLACED}
    kind._initialize, kind._initialize_with_initializer, kind.value = plain, plain_with, property(value)
    try:
        yield light
    finally:
        for name in _REPLACED:
            if name in own:
                setattr(kind, name, own[name])
            else:
                delattr(kind, name)


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
