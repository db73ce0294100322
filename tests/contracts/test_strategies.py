"""What every strategy must do, run over all of them."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from unitune.records import Score, Trial
from unitune.search import Enqueued, Goal, Grid, Halving, Hyperband, OneAtATime, Qmc, Racing, Random, Strategy
from unitune.search.cmaes import CmaEs
from unitune.search.distributions import Codec
from unitune.search.gp import Gp
from unitune.search.nsga import Nsga2, Nsga3
from unitune.search.tpe import Tpe
from unitune.space import Choice, Condition, Fixed, Float, Hyperparameter, Int, Space

GOAL = Goal(metric="accuracy", direction="maximize", validation_ratio=0.25)
TWO = Goal(metric="accuracy", direction="maximize", more=(("parameters", "minimize"),))


def a_space() -> Space:
    """Finite, with a condition: 60 configurations."""
    return Space(
        [
            Hyperparameter("layers", Choice([1, 2], ordered=True)),
            Hyperparameter("units_1", Int(8, 40, 8)),
            Hyperparameter("units_2", Choice([4, 8], ordered=True), (Condition("layers", (2,)),)),
            Hyperparameter("activation", Choice(["relu", "tanh", abs, None])),
            Hyperparameter("epochs", Fixed(5)),
        ]
    )


def an_endless_space() -> Space:
    return Space(
        [
            Hyperparameter("layers", Choice([1, 2], ordered=True)),
            Hyperparameter("units_1", Int(8, 4_000, log=True)),
            Hyperparameter("units_2", Int(8, 4_000), (Condition("layers", (2,)),)),
            Hyperparameter("activation", Choice(["relu", "tanh"])),
            Hyperparameter("rate", Float(1e-4, 1e-1, log=True)),
            Hyperparameter("dropout", Float(0.0, 0.5)),
        ]
    )


STRATEGIES: dict[str, Callable[[Space], Strategy]] = {
    "grid": Grid,
    "random": lambda space: Random(space, seed=1),
    "qmc": lambda space: Qmc(space, seed=1),
    "one-at-a-time": lambda space: OneAtATime(space, goal=GOAL),
    "tpe": lambda space: Tpe(space, goal=GOAL, seed=1),
    "gp": lambda space: Gp(space, goal=GOAL, seed=1),
    "cmaes": lambda space: CmaEs(space, goal=GOAL, seed=1),
    "nsga2": lambda space: Nsga2(space, goal=TWO, seed=1, trials=60),
    "nsga3": lambda space: Nsga3(space, goal=TWO, seed=1, trials=60),
    "racing": lambda space: Racing(space, goal=GOAL, seed=1, trials=20),
    "halving": lambda space: Halving(space, goal=GOAL, seed=1, trials=20),
    "hyperband": lambda space: Hyperband(space, goal=GOAL, seed=1),
    "enqueued": lambda space: Enqueued(
        Tpe(space, goal=GOAL, seed=1), space, [space.active({name: _first(space, name) for name in space.names})]
    ),
}
ENDLESS = [name for name in STRATEGIES if name not in ("grid", "one-at-a-time")]


def _first(space: Space, name: str):
    domain = space[name].domain
    return domain.values()[0] if domain.size != math.inf else domain.low


def _made(name: str, space: Space) -> Strategy:
    return STRATEGIES[name](space)


@pytest.fixture(params=STRATEGIES)
def make(request) -> Callable[[], tuple[Space, Strategy]]:
    def build():
        space = a_space()
        return space, _made(request.param, space)

    return build


def finish(number: int, configuration, *, failed: bool = False, nan: bool = False) -> Trial:
    if failed:
        return Trial(number=number, configuration=configuration, state="failed", failure="it diverged")
    base = configuration["units_1"] / 100 + (configuration["activation"] == "tanh") / 50
    base -= abs(math.log10(configuration.get("rate", 1e-2)) + 2) + configuration.get("dropout", 0.0)
    base = math.nan if nan else base
    values = tuple(base + fold * 0.001 for fold in range(5))
    score = Score(
        metric="accuracy", mean=sum(values) / 5, std=0.001, low=base, high=base + 0.01, train=base, values=values
    )
    return Trial(
        number=number,
        configuration=configuration,
        state="complete",
        scores={"accuracy": score},
        n_parameters=configuration["units_1"] + configuration.get("units_2", 0),
    )


def exhaust(strategy: Strategy, n: int, *, failed: Callable[[int], bool] = lambda number: False, most=1_000) -> list:
    asked: list[dict] = []
    while not strategy.done and len(asked) < most:
        batch = strategy.ask(n)
        assert len(batch) <= n
        if not batch:
            break
        strategy.tell([finish(len(asked) + i + 1, one, failed=failed(len(asked) + i)) for i, one in enumerate(batch)])
        asked += batch
    return asked


@pytest.mark.parametrize("n", [1, 7, 1_000])
def test_it_ends_and_then_proposes_nothing(make, n):
    space, strategy = make()
    asked = exhaust(strategy, n)
    assert len(asked) == space.size or strategy.name == "one-at-a-time"
    assert strategy.done
    assert strategy.ask(5) == []


def test_every_configuration_is_valid_and_none_comes_twice(make):
    space, strategy = make()
    asked = exhaust(strategy, 8)
    for configuration in asked:
        space.validate(configuration)
    keys = [space.key(configuration) for configuration in asked]
    assert len(keys) == len(set(keys)) <= space.size


def test_the_same_seed_proposes_the_same(make):
    (_, one), (_, other) = make(), make()
    assert exhaust(one, 8) == exhaust(other, 8)


def test_where_promised_and_only_there_the_number_asked_for_at_once_does_not_change_what_is_proposed(make):
    (_, one), (_, other) = make(), make()
    assert (exhaust(one, 1) == exhaust(other, 100)) == one.any_batch


@pytest.mark.parametrize("which", ["all", "first", "every second"])
def test_it_survives_failed_trials(make, which):
    _, strategy = make()
    failed = {"all": lambda n: True, "first": lambda n: n == 0, "every second": lambda n: n % 2 == 1}[which]
    assert exhaust(strategy, 8, failed=failed)
    assert strategy.done


def test_what_was_told_or_runs_elsewhere_is_not_proposed(make):
    space, strategy = make()
    if strategy.name == "one-at-a-time" or isinstance(strategy, Enqueued):
        pytest.skip("its order is given")
    known = Random(space, seed=9).ask(20)
    strategy.tell([finish(number, one) for number, one in enumerate(known[:10], 1)])
    asked = strategy.ask(space.size, known[10:])
    assert len(asked) == space.size - 20
    assert not {space.key(one) for one in asked} & {space.key(one) for one in known}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_spaces_with_conditions(name):
    space = an_endless_space()
    strategy = _made(name, space)
    asked = exhaust(strategy, 24, failed=lambda n: n % 10 == 3, most=96)
    assert len({space.key(one) for one in asked}) == len(asked) == 96
    for configuration in asked:
        space.validate(configuration)
    assert not strategy.done


@pytest.mark.parametrize("name", ENDLESS)
def test_it_may_be_asked_again_before_it_is_told(name):
    space = an_endless_space()
    strategy = _made(name, space)
    waiting = strategy.ask(16)
    for _ in range(5):
        more = strategy.ask(16)
        strategy.tell([finish(1, one) for one in waiting])
        waiting = more
    assert len(waiting) == 16


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes"])
def test_what_learns_finds_better_configurations_than_chance(name):
    space = Space([Hyperparameter(n, Float(0.0, 1.0)) for n in "abcd"])

    def best(strategy: Strategy) -> float:
        values: list[float] = []
        while len(values) < (48 if name == "gp" else 160):
            batch = strategy.ask(16)
            costs = [sum((value - 0.3) ** 2 for value in one.values()) for one in batch]
            strategy.tell([_costing(one, cost) for one, cost in zip(batch, costs, strict=True)])
            values += costs
        return min(values)

    goal = Goal(metric="loss", direction="minimize")
    learning = {"tpe": Tpe, "gp": Gp, "cmaes": CmaEs}[name]
    chance = np.median([best(Random(space, seed=seed)) for seed in range(9)])
    seeds = range(1 if name == "gp" else 3)
    assert np.median([best(learning(space, goal=goal, seed=seed)) for seed in seeds]) < 0.5 * chance


def _costing(configuration, cost: float, n_parameters: int = 0) -> Trial:
    score = Score(metric="loss", mean=cost, std=0, low=cost, high=cost, train=cost, values=(cost,))
    return Trial(
        number=1, configuration=configuration, state="complete", scores={"loss": score}, n_parameters=n_parameters
    )


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_several_objectives_reach_more_of_the_front_than_chance(name):
    space = Space([Hyperparameter(n, Int(0, 1_000)) for n in "abcd"])
    goal = Goal(metric="loss", direction="minimize", more=(("parameters", "minimize"),))

    def dominated_area(strategy: Strategy) -> float:
        points: list[tuple[float, float]] = []
        while len(points) < 400:
            batch = strategy.ask(40)
            trials = []
            for one in batch:
                a, rest = one["a"] / 1_000, sum(one[n] for n in "bcd") / 3_000
                trials.append(_costing(one, 1 - math.sqrt(a) + rest, round(1_000 * (a + rest))))
                points.append((trials[-1].scores["loss"].mean, trials[-1].n_parameters / 1_000))
            strategy.tell(trials)
        area, edge = 0.0, 2.0
        for x, y in sorted(points):
            if y < edge and x < 2:
                area, edge = area + (2 - x) * (edge - y), y
        return area

    evolved = {"nsga2": Nsga2, "nsga3": Nsga3}[name](space, goal=goal, seed=0, trials=320)
    assert dominated_area(evolved) > 1.05 * dominated_area(Random(space, seed=0))


class WithoutLiar(Tpe):
    """Does not mind what is in training."""

    def _make_sampler(self, seed):
        from optuna.samplers import TPESampler

        return TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=False, n_startup_trials=1, gamma=self._n_good
        )

    def _add_running(self, *_):
        pass


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_batch_is_not_bunched():
    space = an_endless_space()
    codec = Codec(space)

    def batch_of(learning: type[Tpe]) -> list[dict]:
        strategy = learning(space, goal=GOAL, seed=1)
        exhaust(strategy, 32, most=128)
        return strategy.ask(64)

    batch = batch_of(Tpe)
    assert len({space.key(one) for one in batch}) == 64
    # It searches a third of the space in each direction, so a third of the distance is what evenness would give.
    assert _spread(codec, batch) > 0.25 * _spread(codec, Random(space, seed=3).ask(64))
    assert _spread(codec, batch) > 2 * _spread(codec, batch_of(WithoutLiar))


def _spread(codec: Codec, batch: list[dict]) -> float:
    """The median distance to the nearest other, each hyperparameter from 0 to 1; inactive ones at -1."""
    rows = []
    for one in batch:
        row = []
        for name, code in codec.codes.items():
            if name not in one:
                row.append(-1.0)
                continue
            low, high = (0, 1) if code.nominal else (code.distribution.low, code.distribution.high)
            value = code.encode(one[name])
            if getattr(code.distribution, "log", False):
                low, high, value = math.log(low), math.log(high), math.log(value)
            row.append((value - low) / (high - low))
        rows.append(row)
    points = np.array(rows)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(axis=1)))


def test_scores_that_are_no_numbers_are_told_as_failures(make):
    space, strategy = make()
    batch = strategy.ask(10)
    strategy.tell([finish(number, one, nan=number % 2 == 0) for number, one in enumerate(batch, 1)])
    assert GOAL.values(finish(1, batch[0], nan=True)) is None
    for configuration in strategy.ask(10):
        space.validate(configuration)
