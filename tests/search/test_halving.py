import pytest

from unitune.search import Goal, Halving, Hyperband, Place, Racing
from unitune.space import Choice, Hyperparameter, Space

SPACE = Space([Hyperparameter("units", Choice([1, 2]))])
GOAL = Goal(metric="auc", direction="maximize")


@pytest.fixture
def halving() -> Halving:
    return Halving(SPACE, goal=GOAL, seed=0)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(81, (3, 9, 27, 81)), (27, (1, 3, 9, 27)), (10, (2, 4, 10)), (2, (2,)), (1, (1,))],
)
def test_rungs_are_thirds_of_the_epochs(halving, epochs, expected):
    assert halving.rungs(epochs, 0) == expected
    assert halving.rungs(epochs, 2) == expected[min(2, len(expected) - 1) :]


def test_the_best_third_goes_on_each_once(halving):
    place = Place(bracket=0, rung=0)
    for number, score in enumerate([0.1, 0.9, 0.3, 0.8, 0.5, 0.2, float("nan")], 1):
        halving.reached(number, place, score)
    waiting = dict.fromkeys(range(1, 8), place)
    assert halving.go_on(waiting, last=False) == [2, 4]
    del waiting[2], waiting[4]
    assert halving.go_on(waiting, last=False) == []
    for number, score in ((8, 0.95), (9, 0.0), (10, 0.7)):  # those that come later move the third
        halving.reached(number, place, score)
        waiting[number] = place
    assert halving.go_on(waiting, last=False) == [8]


def test_at_the_end_the_best_goes_on_however_few_there_are(halving):
    place = Place(bracket=0, rung=0)
    halving.reached(1, place, 0.5)
    halving.reached(2, place, 0.6)
    assert halving.go_on({1: place, 2: place}, last=False) == []
    assert halving.go_on({1: place, 2: place}, last=True) == [2]
    assert halving.go_on({1: place}, last=True) == []


def test_of_49_trials_hyperband_begins_27_12_6_and_4_at_each_rung():
    band = Hyperband(SPACE, goal=GOAL, seed=0)
    brackets = [band.bracket(number) for number in range(1, 99)]
    assert [brackets[:49].count(bracket) for bracket in range(4)] == [27, 12, 6, 4]
    assert brackets[:49] == brackets[49:]
    assert set(brackets[:12]) == {0, 1, 2, 3}


def test_racing_begins_with_two_folds():
    assert [list(block) for block in Racing.blocks(4)] == [[0, 1], [2], [3]]
