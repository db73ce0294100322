import itertools

import pytest

from unitune.errors import OptionError
from unitune.search import Grid
from unitune.space import Choice, Condition, Float, Hyperparameter, Int, Space


def test_a_grid_is_the_product_in_order():
    space = Space([Hyperparameter("units", Choice([8, 16])), Hyperparameter("activation", Choice(["relu", "tanh"]))])
    asked = Grid(space).ask(10)
    assert [tuple(one.values()) for one in asked] == list(itertools.product([8, 16], ["relu", "tanh"]))


def test_inactive_hyperparameters_do_not_multiply_the_grid():
    space = Space(
        [
            Hyperparameter("layers", Choice([1, 2])),
            Hyperparameter("units_1", Choice([8, 16])),
            Hyperparameter("units_2", Choice([8, 16, 32]), (Condition("layers", (2,)),)),
        ]
    )
    asked = Grid(space).ask(100)
    assert len(asked) == space.size == 2 + 2 * 3
    assert all(("units_2" in one) == (one["layers"] == 2) for one in asked)


def test_a_huge_grid_is_not_held_in_memory():
    space = Space([Hyperparameter(f"h{n}", Int(1, 1000)) for n in range(6)])
    grid = Grid(space)
    assert len(grid.ask(3)) == 3
    assert not grid.done


def test_a_continuous_range_is_refused_with_a_remedy():
    space = Space([Hyperparameter("learning_rate", Float(1e-4, 1e-2, log=True))])
    with pytest.raises(OptionError, match=r"`learning_rate` is a continuous range.*random"):
        Grid(space)


def test_a_spread_grid_holds_the_same_and_every_part_is_a_fair_sample():
    space = Space(
        [
            Hyperparameter("units", Choice([8, 16, 32, 64, 128])),
            Hyperparameter("activation", Choice(["relu", "tanh", "gelu"])),
            Hyperparameter("layers", Choice([1, 2])),
        ]
    )
    in_order = Grid(space).ask(100)
    for seed in range(5):
        asked = Grid(space, spread_seed=seed).ask(100)
        assert asked == Grid(space, spread_seed=seed).ask(100)
        assert sorted(map(repr, asked)) == sorted(map(repr, in_order))
        assert len({one["activation"] for one in asked[:3]}) == 3
        assert len({one["units"] for one in asked[:5]}) == 5
        for n in (6, 12, 18):
            counts = [sum(one["activation"] == name for one in asked[:n]) for name in ("relu", "tanh", "gelu")]
            assert max(counts) - min(counts) <= 1
        pairs = [(one["units"], one["activation"]) for one in asked[:15]]
        assert len(set(pairs)) >= 12
