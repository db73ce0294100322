"""What every strategy must do, run over all of them."""

from collections.abc import Callable

import pytest

from unitune.records import Score, Trial
from unitune.search import Goal, Grid, OneAtATime, Random, Strategy
from unitune.space import Choice, Condition, Fixed, Hyperparameter, Int, Space

GOAL = Goal(metric="accuracy", direction="maximize", validation_ratio=0.25)


def a_space() -> Space:
    return Space(
        [
            Hyperparameter("layers", Choice([1, 2])),
            Hyperparameter("units_1", Int(8, 24, 8)),
            Hyperparameter("units_2", Choice([4, 8]), (Condition("layers", (2,)),)),
            Hyperparameter("activation", Choice(["relu", "tanh"])),
            Hyperparameter("epochs", Fixed(5)),
        ]
    )


STRATEGIES: dict[str, Callable[[Space], Strategy]] = {
    "grid": Grid,
    "random": lambda space: Random(space, seed=1),
    "one_at_a_time": lambda space: OneAtATime(space, goal=GOAL),
}


@pytest.fixture(params=STRATEGIES)
def make(request) -> Callable[[], tuple[Space, Strategy]]:
    def build():
        space = a_space()
        return space, STRATEGIES[request.param](space)

    return build


def finish(number: int, configuration, *, failed: bool = False) -> Trial:
    if failed:
        return Trial(number=number, configuration=configuration, state="failed", failure="it diverged")
    base = configuration["units_1"] / 100 + (configuration["activation"] == "tanh") / 50
    values = tuple(base + fold * 0.001 for fold in range(5))
    score = Score(
        metric="accuracy", mean=sum(values) / 5, std=0.001, low=base, high=base + 0.01, train=base, values=values
    )
    return Trial(number=number, configuration=configuration, state="complete", scores={"accuracy": score})


def exhaust(strategy: Strategy, n: int, *, failed: Callable[[int], bool] = lambda number: False) -> list[dict]:
    asked: list[dict] = []
    for _ in range(1_000):
        if strategy.done:
            break
        batch = strategy.ask(n)
        assert len(batch) <= n
        if not batch:
            break
        strategy.tell([finish(len(asked) + i + 1, one, failed=failed(len(asked) + i)) for i, one in enumerate(batch)])
        asked += batch
    return asked


@pytest.mark.parametrize("n", [1, 3, 1_000])
def test_it_ends_and_then_proposes_nothing(make, n):
    _, strategy = make()
    assert exhaust(strategy, n)
    assert strategy.done
    assert strategy.ask(5) == []


def test_every_configuration_is_valid_and_none_comes_twice(make):
    space, strategy = make()
    asked = exhaust(strategy, 4)
    for configuration in asked:
        space.validate(configuration)
    keys = [space.key(configuration) for configuration in asked]
    assert len(keys) == len(set(keys)) <= space.size


def test_the_same_seed_proposes_the_same(make):
    (_, one), (_, other) = make(), make()
    assert exhaust(one, 3) == exhaust(other, 3)


def test_the_number_asked_for_at_once_does_not_change_what_is_proposed(make):
    (_, one), (_, other) = make(), make()
    assert exhaust(one, 1) == exhaust(other, 100)


@pytest.mark.parametrize("which", ["all", "first", "every second"])
def test_it_survives_failed_trials(make, which):
    _, strategy = make()
    failed = {"all": lambda n: True, "first": lambda n: n == 0, "every second": lambda n: n % 2 == 1}[which]
    assert exhaust(strategy, 4, failed=failed)
    assert strategy.done
