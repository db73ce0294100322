import itertools
import json
import math
import subprocess
import sys

import pytest

from unitune.errors import SpaceError
from unitune.space import Choice, Condition, Fixed, Float, Hyperparameter, Int, Space
from unitune.space.labels import label


@pytest.fixture
def layered():
    return Space(
        [
            Hyperparameter("layers", Choice([1, 2, 3], ordered=True)),
            Hyperparameter("units_1", Choice([8, 16])),
            Hyperparameter("units_2", Choice([8, 16]), (Condition("layers", (2, 3)),)),
            Hyperparameter("units_3", Choice([8, 16, 32]), (Condition("layers", (3,)),)),
            Hyperparameter("rate", Fixed(0.1)),
        ]
    )


def test_size_counts_different_active_configurations(layered):
    names = [name for name in layered.names if name != "rate"]
    product = itertools.product(*(layered[name].domain.values() for name in names))
    keys = {layered.key(dict(zip(names, values, strict=True))) for values in product}
    assert layered.size == len(keys) == 2 + 4 + 12


def test_grandchildren_are_inactive_with_their_parent():
    space = Space(
        [
            Hyperparameter("a", Choice([0, 1])),
            Hyperparameter("b", Choice([0, 1]), (Condition("a", (1,)),)),
            Hyperparameter("c", Choice([0, 1, 2]), (Condition("b", (1,)),)),
        ]
    )
    assert space.active({"a": 0, "b": 1, "c": 2}) == {"a": 0}
    assert space.size == 1 + 1 + 3


def test_size_is_infinite_with_an_open_range():
    assert Space([Hyperparameter("rate", Float(0, 1))]).size == math.inf
    assert Space([]).size == 1


def test_large_spaces_are_counted_at_once():
    rows = [Hyperparameter(f"x{i}", Int(1, 1000)) for i in range(20)]
    assert Space(rows).size == 1000**20


def test_active_fills_in_what_is_fixed_and_asks_for_the_rest(layered):
    assert layered.active({"layers": 1, "units_1": 8}) == {"layers": 1, "units_1": 8, "rate": 0.1}
    with pytest.raises(SpaceError, match="units_2"):
        layered.active({"layers": 2, "units_1": 8})


def test_validate(layered):
    good = layered.active({"layers": 2, "units_1": 8, "units_2": 16})
    layered.validate(good)
    with pytest.raises(SpaceError, match="inactive"):
        layered.validate({**good, "units_3": 8})
    with pytest.raises(SpaceError, match="domain"):
        layered.validate({**good, "units_1": 9})
    with pytest.raises(SpaceError, match="units_1"):
        layered.validate({**good, "unit_1": 8})
    with pytest.raises(SpaceError, match="missing"):
        layered.validate({name: value for name, value in good.items() if name != "rate"})


def test_unknown_name_lists_close_matches(layered):
    with pytest.raises(SpaceError, match="Did you mean `layers`"):
        layered["layer"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([Hyperparameter("a", Fixed(1)), Hyperparameter("a", Fixed(2))], "different names"),
        ([Hyperparameter("a", Fixed(1), (Condition("b", (1,)),))], "before"),
        ([Hyperparameter("b", Fixed(1)), Hyperparameter("a", Fixed(1), (Condition("b", (2,)),))], "active in some"),
        ([Hyperparameter("b", Fixed(1)), Hyperparameter("a", Fixed(1), (Condition("b", ()),))], "active in some"),
    ],
)
def test_impossible_spaces_are_refused(rows, message):
    with pytest.raises(SpaceError, match=message):
        Space(rows)


def test_json_round_trip(layered):
    space = Space([*layered, Hyperparameter("pair", Choice([(1, 2), (3,)])), Hyperparameter("lr", Float(1, 2))])
    text = json.dumps(space.to_json())
    assert Space.from_json(json.loads(text)) == space


def test_json_holds_labels_of_functions():
    def wave(x):
        return x

    space = Space([Hyperparameter("activation", Choice([wave, "relu"]))])
    assert Space.from_json(space.to_json())["activation"].domain.values() == ("wave", "relu")


def test_values_that_read_alike_are_numbered():
    first, second = lambda x: x, lambda x: -x
    space = Space([Hyperparameter("activation", Choice([first, second]))])
    assert [space.label("activation", value) for value in (first, second)] == ["lambda", "lambda #2"]
    assert space.key({"activation": first}) != space.key({"activation": second})


def test_key_keeps_booleans_from_numbers():
    space = Space([Hyperparameter("a", Choice([True, 1]))])
    assert space.key({"a": True}) != space.key({"a": 1})
    assert hash(space.key({"a": True}))


def test_labels_are_readable():
    class Layer:
        def __init__(self, slope=0.3, name=None):
            self.slope = slope

        def get_config(self):
            return {"slope": self.slope, "name": "layer_7"}

    assert label(Layer(0.1)) == "Layer(slope=0.1)"
    assert label(Layer()) == "Layer"
    assert label((1, "a")) == "(1, a)"
    assert label(lambda x: x) == "lambda"
    assert label(math.sin) == "sin"
    assert label({"class_name": "L2", "config": {"l2": 0.1}}) == "L2(l2=0.1)"


def test_space_imports_no_framework():
    code = "import sys, unitune.space; assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
