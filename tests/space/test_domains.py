import math

import numpy as np
import pytest

from unitune.errors import SpaceError
from unitune.space import Choice, Fixed, Float, Int

FINITE = [
    Fixed("relu"),
    Choice(["relu", None, (1, 2), abs]),
    Int(3, 9),
    Int(16, 100, step=16),
    Int(16, 256, step=2, log=True),
    Int(1, 40, log=True),
    Float(0.0, 0.5, step=0.1),
    Float(1e-4, 1e-1, step=10, log=True),
    Float(2.0, 2.0),
]


@pytest.mark.parametrize("domain", FINITE, ids=repr)
def test_finite_domain_lists_as_many_different_values_as_its_size(domain):
    values = domain.values()
    assert len(values) == domain.size
    assert len(set(values)) == domain.size
    assert all(domain.contains(value) for value in values)


@pytest.mark.parametrize("domain", FINITE, ids=repr)
def test_from_unit_reaches_every_value_and_nothing_else(domain):
    reached = {domain.from_unit(u) for u in np.linspace(0, 1, 5001)[:-1]}
    assert reached == set(domain.values())


@pytest.mark.parametrize("domain", FINITE, ids=repr)
def test_from_unit_just_below_one_is_the_last_value(domain):
    assert domain.from_unit(math.nextafter(1.0, 0.0)) == domain.values()[-1]


def test_steps_without_log_have_equal_shares():
    domain = Int(1, 4)
    counts = np.bincount([domain.from_unit(u) for u in np.arange(400) / 400])
    assert counts[1:].tolist() == [100] * 4


def test_log_gives_factors_equal_shares():
    domain = Float(1e-4, 1e-2, log=True)
    values = np.array([domain.from_unit(u) for u in np.arange(1000) / 1000])
    assert ((values < 1e-3).sum() - 500) == pytest.approx(0, abs=1)
    whole = np.array([Int(1, 1024, log=True).from_unit(u) for u in np.arange(2000) / 2000])
    assert (whole < 32).mean() == pytest.approx(0.55, abs=0.06)


def test_float_range_is_infinite_and_has_no_list():
    domain = Float(0.0, 1.0)
    assert domain.size == math.inf
    with pytest.raises(SpaceError, match="step"):
        domain.values()


def test_last_step_is_not_lost_to_rounding():
    assert Float(0.0, 0.3, step=0.1).values() == (0.0, 0.1, 0.2, 0.3)


def test_step_that_does_not_divide_ends_below_high():
    assert Int(16, 40, step=16).values() == (16, 32)
    assert Int(16, 40, step=16).edges() == (16, 32)


def test_edges():
    assert Choice([64, 16, 32], ordered=True).edges() == (16, 64)
    assert Choice(["low", "high"], ordered=True).edges() == ("low", "high")
    assert Choice(["relu", "tanh"]).edges() is None
    assert Float(0.1, 0.2).edges() == (0.1, 0.2)
    assert Int(4, 4).edges() is None
    assert Fixed(3).edges() is None


def test_contains_keeps_booleans_and_numbers_apart():
    assert not Int(0, 1).contains(True)
    assert not Choice([0, 1]).contains(True)
    assert Choice([0, 1]).contains(1.0)
    assert not Int(1, 9, step=2).contains(4)
    assert not Int(1, 8, step=2, log=True).contains(6)
    assert Int(1, 9).contains(np.int64(3))
    assert not Float(0, 1).contains(float("nan"))
    assert not Float(0, 1, step=0.5).contains(0.3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Choice([]), "empty list"),
        (lambda: Choice([1, 2, 1.0]), "twice"),
        (lambda: Choice("relu"), "list"),
        (lambda: Int(16, 8), "low <= high"),
        (lambda: Int(1.5, 3), "whole"),
        (lambda: Int(True, 3), "whole"),
        (lambda: Int(0, 8, log=True), "`low > 0` must hold"),
        (lambda: Int(1, 8, step=0), "positive"),
        (lambda: Int(1, 8, step=1, log=True), "factor above 1"),
        (lambda: Float(0.0, 1.0, log=True), "low=0.0"),
        (lambda: Float(float("nan"), 1.0), "finite"),
        (lambda: Float(0.0, math.inf), "finite"),
        (lambda: Float(0.0, 1.0, step=-0.1), "positive"),
    ],
)
def test_bad_domain_says_which_rule(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


def test_true_and_one_may_stand_side_by_side():
    assert Choice([True, 1]).size == 2
