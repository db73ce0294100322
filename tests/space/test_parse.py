import numpy as np
import pandas as pd
import pytest

from unitune.errors import SpaceError
from unitune.space import Choice, Fixed, Float, Int
from unitune.space.parse import call, domain, split_list


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (16, "int", Fixed(16)),
        ("16", "int", Fixed(16)),
        ([16], "int", Fixed(16)),
        ([16, 32], "int", Choice([16, 32], ordered=True)),
        ((16, 32), "int", Choice([16, 32], ordered=True)),
        (range(1, 4), "int", Choice([1, 2, 3], ordered=True)),
        (np.array([16, 32]), "int", Choice([16, 32], ordered=True)),
        (pd.Series([16, 32]), "int", Choice([16, 32], ordered=True)),
        ("16,32", "int", Choice([16, 32], ordered=True)),
        ("16:256:16", "int", Int(16, 256, 16)),
        ("16:256:2:log", "int", Int(16, 256, 2, log=True)),
        (Int(16, 32), "int", Int(16, 32)),
        (0, "float", Fixed(0.0)),
        ("1e-4:1e-2:log", "float", Float(1e-4, 1e-2, log=True)),
        ("0:0.5:0.1", "float", Float(0.0, 0.5, 0.1)),
        (Int(1, 3), "float", Float(1.0, 3.0, 1.0)),
        ([True, False], "bool", Choice([True, False])),
        ("true,no", "bool", Choice([True, False])),
        ("relu", "any", Fixed("relu")),
        ("relu, elu(alpha=0.5)", "any", Choice(["relu", "elu(alpha=0.5)"])),
        (abs, "any", Fixed(abs)),
    ],
)
def test_reads_what_users_write(value, kind, expected):
    assert domain("thing", value, kind) == expected


def test_numpy_scalars_become_python_numbers():
    assert type(domain("units", np.int64(16), "int").value) is int
    assert type(domain("rate", np.float32(0.5), "float").value) is float


def test_none_is_a_value_only_where_allowed():
    assert domain("learning_rates", [None, 0.1], "float", none=True).values() == (None, 0.1)
    assert domain("learning_rates", "default", "float", none=True) == Fixed(None)
    with pytest.raises(SpaceError):
        domain("dropouts", None, "float")


@pytest.mark.parametrize(
    ("value", "kind", "rules", "message"),
    [
        ([], "int", {}, "empty list"),
        ("", "int", {}, "empty"),
        (0, "int", {"low": 1}, "at least 1"),
        (Int(0, 4), "int", {"low": 1}, "at least 1"),
        (1.5, "int", {}, "whole"),
        (16.0, "int", {}, "whole"),
        (True, "int", {}, "got True"),
        ("abc", "int", {}, "abc"),
        (Float(1, 2), "int", {}, "Int"),
        (-0.1, "float", {"low": 0}, "at least 0"),
        (0.0, "float", {"above": 0}, "above 0"),
        (1.0, "float", {"below": 1}, "below 1"),
        (float("nan"), "float", {}, "number"),
        ([0.1, 0.1], "float", {}, "twice"),
        ("0:1:log", "float", {}, "thing.*low > 0"),
        ("32:16", "int", {}, "low <= high"),
        ("1:2:3:4", "int", {}, "low:high"),
        ("1:2,3", "int", {}, "list or a range"),
        (1, "bool", {}, "True, False"),
        ({1, 2}, "int", {}, "list"),
        ({"a": 1}, "int", {}, "list"),
        ((value for value in (1, 2)), "int", {}, "generator"),
        (Int(1, 2), "any", {}, "range"),
    ],
)
def test_bad_value_says_which_rule(value, kind, rules, message):
    with pytest.raises(SpaceError, match=message):
        domain("thing", value, kind, **rules)


def test_call_reads_arguments():
    assert call("f(a=1, b=-0.5, c=true, d=none, e=zeros, g=[1, 2])") == (
        "f",
        {"a": 1, "b": -0.5, "c": True, "d": None, "e": "zeros", "g": [1, 2]},
    )


@pytest.mark.parametrize("text", ["f(", "f(1)", "f(a=b())", "f(**x)", "a.b(c=1)", "f(a=1) or 2"])
def test_call_refuses_what_is_not_a_name_with_arguments(text):
    with pytest.raises(SpaceError, match="argument=value"):
        call(text)


def test_split_list_keeps_parentheses_together():
    assert split_list("a(b=1, c=[1,2]),d,") == ["a(b=1, c=[1,2])", "d"]
