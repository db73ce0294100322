import numpy as np
import pytest
from scipy import stats

from unitune.search import Random
from unitune.space import Choice, Condition, Float, Hyperparameter, Int, Space


def test_an_exhausted_space_has_been_proposed_completely():
    space = Space([Hyperparameter("a", Int(1, 40)), Hyperparameter("b", Choice(["x", "y", "z"]))])
    strategy = Random(space, seed=0)
    asked = strategy.ask(10_000)
    assert len({space.key(one) for one in asked}) == len(asked) == 120
    assert strategy.done


def test_another_seed_proposes_others():
    space = Space([Hyperparameter("rate", Float(0.0, 1.0))])
    assert Random(space, seed=0).ask(5) != Random(space, seed=1).ask(5)


@pytest.mark.parametrize("domain", [Float(1e-4, 1e-1, log=True), Float(0.0, 2.0)])
def test_draws_are_spread_as_the_domain_says(domain):
    space = Space([Hyperparameter("rate", domain)])
    drawn = np.array([one["rate"] for one in Random(space, seed=3).ask(2_000)])
    values = np.log(drawn) if domain.log else drawn
    low, high = (np.log(domain.low), np.log(domain.high)) if domain.log else (domain.low, domain.high)
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.01


def test_depth_is_drawn_evenly_whatever_its_layers_add():
    space = Space(
        [
            Hyperparameter("layers", Choice([1, 2])),
            Hyperparameter("units_2", Int(1, 10_000), (Condition("layers", (2,)),)),
            Hyperparameter("rate", Float(0.0, 1.0)),
        ]
    )
    deep = np.mean([one["layers"] == 2 for one in Random(space, seed=5).ask(2_000)])
    assert deep == pytest.approx(0.5, abs=0.05)
