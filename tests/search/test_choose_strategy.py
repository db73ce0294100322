import pytest

from unitune.errors import OptionError
from unitune.search import Goal, Random, make_strategy
from unitune.space import Choice, Float, Hyperparameter, Space

GOAL = Goal(metric="accuracy", direction="maximize")
SMALL = Space([Hyperparameter("units", Choice([1, 2, 3]))])
ENDLESS = Space([Hyperparameter("rate", Float(0.0, 1.0))])


LARGE = Space([Hyperparameter(name, Choice(list(range(1, 11)), ordered=True)) for name in "abcd"])
TWO = Goal(metric="accuracy", direction="maximize", more=(("parameters", "minimize"),))
FOUR = Goal(
    metric="accuracy",
    direction="maximize",
    more=(("parameters", "minimize"), ("seconds", "minimize"), ("auc", "maximize")),
)


@pytest.mark.parametrize(
    ("space", "goal", "trials", "expected"),
    [
        (SMALL, GOAL, None, ("grid", None)),
        (SMALL, GOAL, 3, ("grid", 3)),
        (SMALL, TWO, 3, ("grid", 3)),
        (SMALL, GOAL, 2, ("qmc", 2)),
        (ENDLESS, GOAL, None, ("qmc", 100)),
        (ENDLESS, GOAL, 7, ("qmc", 7)),
        (LARGE, GOAL, 200, ("tpe", 200)),
        (LARGE, TWO, None, ("nsga2", 100)),
        (LARGE, FOUR, 80, ("nsga3", 80)),
    ],
)
def test_auto_chooses_by_space_and_budget_and_says_why(space, goal, trials, expected):
    strategy, limit = make_strategy("auto", space, goal=goal, seed=0, trials=trials)
    assert (strategy.name, limit) == expected
    assert strategy.notes[0].startswith(f"Strategy: {expected[0]}, because ")


@pytest.mark.parametrize("name", ["one-at-a-time", "one_at_a_time", "One-At-A-Time"])
def test_underscores_are_understood(name):
    assert make_strategy(name, SMALL, goal=GOAL, seed=0)[0].name == "one-at-a-time"


def test_an_unknown_name_is_refused_with_close_matches():
    with pytest.raises(OptionError, match=r"got 'gird'.*Did you mean `grid`"):
        make_strategy("gird", SMALL, goal=GOAL, seed=0)


def test_another_limit_than_trials_is_used_up():
    strategy, limit = make_strategy("auto", ENDLESS, goal=GOAL, seed=0, ends=True)
    assert (strategy.name, limit) == ("tpe", None)
    assert make_strategy("random", ENDLESS, goal=GOAL, seed=0, ends=True)[1] is None
    assert make_strategy("random", ENDLESS, goal=GOAL, seed=0)[1] == 100


def test_a_strategy_of_ones_own_is_taken_as_it_is():
    own = Random(SMALL, seed=3)
    assert make_strategy(own, SMALL, goal=GOAL, seed=0, trials=2) == (own, 2)


@pytest.mark.parametrize("space", [SMALL, Space([Hyperparameter("a", Choice(["x", "y"])), *ENDLESS])])
def test_cmaes_needs_two_numbers(space):
    with pytest.raises(OptionError, match="two numeric hyperparameters"):
        make_strategy("cmaes", space, goal=GOAL, seed=0)


def test_cmaes_takes_one_objective_and_says_what_it_does_not_learn():
    with pytest.raises(OptionError, match="one objective"):
        make_strategy("cmaes", LARGE, goal=TWO, seed=0)
    space = Space([*LARGE, Hyperparameter("activation", Choice(["relu", "tanh"]))])
    assert "drawn at random: activation" in make_strategy("cmaes", space, goal=GOAL, seed=0)[0].notes[0]
