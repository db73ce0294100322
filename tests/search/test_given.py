import pytest

from unitune.errors import SpaceError
from unitune.records import Score, Trial
from unitune.search import Given, Goal, Grid, OneAtATime, completed, make_strategy
from unitune.search.given import Enqueued
from unitune.space import Choice, Condition, Float, Hyperparameter, Int, Space

GOAL = Goal(metric="accuracy", direction="maximize")
SPACE = Space(
    [
        Hyperparameter("layers", Choice([1, 2], ordered=True)),
        Hyperparameter("units", Int(8, 24, 8)),
        Hyperparameter("units_2", Choice([4, 8], ordered=True), (Condition("layers", (2,)),)),
        Hyperparameter("activation", Choice([abs, "tanh"])),
    ]
)


def trial(number: int, configuration, mean: float = 0.5) -> Trial:
    score = Score(metric="accuracy", mean=mean, std=0, low=mean, high=mean, train=mean, values=(mean, mean))
    return Trial(number=number, configuration=configuration, state="complete", scores={"accuracy": score})


def test_what_is_missing_is_in_the_middle_or_the_first():
    assert completed(SPACE, {"layers": 2}, what="enqueue") == {
        "layers": 2,
        "units": 16,
        "units_2": 4,
        "activation": abs,
    }


def test_labels_stand_for_what_they_name():
    assert completed(SPACE, {"activation": "abs"}, what="enqueue")["activation"] is abs


@pytest.mark.parametrize(("given", "message"), [({"unit": 8}, "got `unit`"), ({"units": 9}, "`units` is 9")])
def test_what_is_not_of_the_space_is_refused(given, message):
    with pytest.raises(SpaceError, match=f"`enqueue`.*{message}"):
        make_strategy("random", SPACE, goal=GOAL, seed=0, given=Given(enqueue=[given]))
    with pytest.raises(SpaceError, match=f"`baseline`.*{message}"):
        make_strategy("one-at-a-time", SPACE, goal=GOAL, seed=0, given=Given(baseline=given))


@pytest.mark.parametrize("name", ["grid", "random", "qmc", "tpe"])
def test_given_configurations_come_first_and_once(name):
    given = Given(baseline={"units": 8}, enqueue=[{"units": 24, "layers": 2}, {"units": 8}, {"activation": "tanh"}])
    strategy, _ = make_strategy(name, SPACE, goal=GOAL, seed=0, given=given)
    asked = []
    while not strategy.done:
        batch = strategy.ask(2)
        strategy.tell([trial(len(asked) + i, one) for i, one in enumerate(batch, 1)])
        asked += batch
    assert [one["units"] for one in asked[:3]] == [8, 24, 16]
    assert asked[2]["activation"] == "tanh"
    assert len(asked) == len({SPACE.key(one) for one in asked}) == SPACE.size


def test_trials_of_an_earlier_run_are_told_and_only_the_best_of_them_is_proposed_again():
    earlier = Grid(SPACE).ask(10)
    warm = [trial(number, one, 1 - number / 100) for number, one in enumerate(earlier)]
    strategy, _ = make_strategy("random", SPACE, goal=GOAL, seed=0, given=Given(warm=warm))
    asked = strategy.ask(100)
    assert asked[0] == earlier[0]
    assert len(asked) == SPACE.size - 9
    assert not any(one in earlier[1:] for one in asked)


def test_tpe_learns_from_an_earlier_run_at_once():
    space = Space([Hyperparameter(name, Float(0, 1)) for name in "ab"])
    points = make_strategy("qmc", space, goal=GOAL, seed=5)[0].ask(100)
    warm = [trial(number, one, -abs(one["a"] - 0.8) - abs(one["b"] - 0.2)) for number, one in enumerate(points)]
    strategy, _ = make_strategy("tpe", space, goal=GOAL, seed=0, given=Given(warm=warm))
    asked = strategy.ask(20)
    assert sum(abs(one["a"] - 0.8) + abs(one["b"] - 0.2) for one in asked) / 20 < 0.3


def test_a_strategy_that_waits_for_what_was_given_is_told():
    """One at a time asks for the given configuration's neighbours after it was trained, and must not wait for ever."""
    every = [{"units": units, "activation": name} for units in (8, 16, 24) for name in (abs, "tanh")]
    inner = OneAtATime(SPACE, goal=GOAL)
    strategy = Enqueued(inner, SPACE, [completed(SPACE, one, what="enqueue") for one in every])
    n = 0
    while not strategy.done:
        batch = strategy.ask(3)
        assert batch
        n += len(batch)
        strategy.tell([trial(n, one, one["units"] / 100) for one in batch])
    assert inner.current["units"] == 24
