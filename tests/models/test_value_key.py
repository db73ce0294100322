"""Keys of values: equal where behaviour is, and never where something that is read has changed."""

import functools
import types

import numpy as np
import pytest

from unitune.models import backend
from unitune.models.value_key import NoKey, value_key

FACTOR = 2.0
TABLE = {"factor": 2.0}


class Holder:
    """Something with a state and a method; it shows nothing of itself."""

    factor = 1.0

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return "Holder()"

    def apply(self, x):
        return x * self.value

    def __call__(self, x):
        return x * self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def by_global(x):
    return x * FACTOR


def by_table(x):
    return x * TABLE["factor"]


def by_other(x):
    return by_global(x) + 1


def by_class(x):
    return x * Holder.factor


def nested(x):
    def inner(y):
        return y * FACTOR

    return inner(x)


def closes(value):
    return lambda x: x * value


def by_keyword(value):
    return lambda x, *, factor=value: x * factor


def by_default(value):
    return lambda x, factor=value: x * factor


def with_attribute(value):
    def function(x):
        return x * function.factor

    function.factor = value
    return function


MAKERS = {
    "closure": closes,
    "keyword default": by_keyword,
    "default": by_default,
    "method": lambda v: Holder(v).apply,
    "callable object": Holder,
    "object in a closure": lambda v: closes(Holder(v)),
    "slots": lambda v: closes(Slotted(v)),
    "partial": lambda v: functools.partial(closes, v),
    "partial of a method": lambda v: functools.partial(Holder(v).apply),
    "attribute": with_attribute,
    "list": lambda v: [1, {"a": (v,)}],
    "array": lambda v: closes(np.where(np.arange(5_000) == 2_500, v, 0.0)),
    "object array": lambda v: np.array([v, "a"], dtype=object),
    "generator of numbers": lambda v: np.random.default_rng(int(v)),
    "nested function": lambda v: lambda x: closes(v)(x),
    "a function of a function": lambda v: closes(closes(v)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_keys_are_equal_where_values_are(name):
    make = MAKERS[name]
    assert value_key(make(2.0)) == value_key(make(2.0))
    assert value_key(make(2.0)) != value_key(make(3.0))


@pytest.mark.parametrize("function", [by_global, by_other, nested], ids=lambda one: one.__name__)
def test_globals_are_read(monkeypatch, function):
    before = value_key(function)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert value_key(function) != before
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    assert value_key(function) == before


def test_what_globals_hold_is_read(monkeypatch):
    before = value_key(by_table), value_key(by_class)
    monkeypatch.setitem(TABLE, "factor", 3.0)
    monkeypatch.setattr(Holder, "factor", 3.0)
    assert value_key(by_table) != before[0]
    assert value_key(by_class) != before[1]


def test_a_module_of_the_users_own_is_read_by_the_names_in_use(monkeypatch):
    settings = types.ModuleType("settings_of_mine")
    settings.factor, settings.other = 2.0, 1.0
    monkeypatch.setitem(globals(), "settings", settings)

    def function(x):
        return x * settings.factor

    before = value_key(function)
    settings.other = 5.0
    assert value_key(function) == before
    settings.factor = 3.0
    assert value_key(function) != before


def test_numbers_of_other_types_differ():
    assert len({value_key(one) for one in (1, 1.0, True, "1", b"1", np.float32(1), np.float64(1), None)}) == 8
    assert value_key(0.0) != value_key(-0.0)
    assert value_key(float("nan")) == value_key(float("nan"))


def test_cycles_end():
    mine, other = [1], [1]
    mine.append(mine)
    other.append(other)
    assert value_key(mine) == value_key(other)

    def function(n):
        return n and function(n - 1)

    assert value_key(function) == value_key(function)


def evaluates(x):
    return eval("x")


def looks_around(x):
    return x * globals()["FACTOR"]


def test_what_cannot_be_compared_has_no_key():
    numbers = (i for i in range(3))
    for one in (numbers, closes(numbers), evaluates, looks_around):
        with pytest.raises(NoKey):
            value_key(one)


def test_the_reason_names_what_it_is():
    with pytest.raises(NoKey, match="a `generator`, by the name `value`"):
        value_key(closes(i for i in range(3)))


def test_a_class_that_is_written_again_is_another_one():
    def make():
        class Own:
            def scaled(self, x):
                return x

        return Own

    one, other = make(), make()
    assert value_key(one) == value_key(one) != value_key(other)


def test_functions_of_libraries_are_their_names():
    keras = backend.ensure()
    assert value_key(keras.ops.sin) != value_key(keras.ops.cos)
    assert value_key(keras.ops.gelu) != value_key(keras.activations.gelu)
    assert value_key(np.sin) != value_key(np.cos)
    variable = keras.Variable(np.ones(3, "float32"))
    before = value_key(closes(variable))
    variable.assign(np.zeros(3))
    assert value_key(closes(variable)) != before
