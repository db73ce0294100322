import pytest

from unitune.errors import OptionError
from unitune.search import Goal, make_strategy
from unitune.space import Choice, Float, Hyperparameter, Space

GOAL = Goal(metric="accuracy", direction="maximize")
SMALL = Space([Hyperparameter("units", Choice([1, 2, 3]))])
ENDLESS = Space([Hyperparameter("rate", Float(0.0, 1.0))])


@pytest.mark.parametrize(
    ("space", "trials", "expected"),
    [
        (SMALL, None, ("grid", None)),
        (SMALL, 3, ("grid", 3)),
        (SMALL, 2, ("random", 2)),
        (ENDLESS, None, ("random", 100)),
        (ENDLESS, 7, ("random", 7)),
    ],
)
def test_auto_is_a_grid_where_all_of_it_fits(space, trials, expected):
    strategy, limit = make_strategy("auto", space, goal=GOAL, seed=0, trials=trials)
    assert (strategy.name, limit) == expected


@pytest.mark.parametrize("name", ["one-at-a-time", "one_at_a_time"])
def test_dashes_are_understood(name):
    assert make_strategy(name, SMALL, goal=GOAL, seed=0)[0].name == "one_at_a_time"


def test_an_unknown_name_is_refused_with_close_matches():
    with pytest.raises(OptionError, match=r"got 'gird'.*Did you mean `grid`"):
        make_strategy("gird", SMALL, goal=GOAL, seed=0)


def test_a_baseline_needs_its_strategy():
    with pytest.raises(OptionError, match="baseline"):
        make_strategy("grid", SMALL, goal=GOAL, seed=0, baseline={"units": 1})
