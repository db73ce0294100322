import numpy as np
import pytest

from unitune.errors import SpaceError
from unitune.records import Score, Trial
from unitune.search import Goal, OneAtATime
from unitune.space import Choice, Float, Hyperparameter, Space

RATIO = 0.25


def a_space() -> Space:
    return Space(
        [
            Hyperparameter("units", Choice([16, 64, 256], ordered=True)),
            Hyperparameter("activation", Choice(["relu", "tanh", "gelu"])),
            Hyperparameter("dropout", Choice([0.0, 0.5])),
        ]
    )


def search(space, quality, *, noise=0.0, direction="maximize", folds=5, baseline=None):
    """Runs the strategy on made-up scores: `quality(configuration)` plus noise, paired over folds."""
    strategy = OneAtATime(
        space, goal=Goal(metric="score", direction=direction, validation_ratio=RATIO), baseline=baseline
    )
    rng = np.random.default_rng(0)
    shared = rng.normal(size=folds)
    n = 0
    while not strategy.done:
        trials = []
        for configuration in strategy.ask(100):
            n += 1
            values = quality(configuration) + shared * 0.05 + rng.normal(size=folds) * noise
            mean = float(values.mean())
            score = Score(
                metric="score", mean=mean, std=0.0, low=0.0, high=1.0, train=mean + 0.1, values=tuple(values.tolist())
            )
            trials.append(Trial(number=n, configuration=configuration, state="complete", scores={"score": score}))
        strategy.tell(trials)
    return strategy


def quality(configuration):
    return (
        {16: 0.0, 64: 0.1, 256: 0.3}[configuration["units"]]
        + {"relu": 0.0, "tanh": 0.2, "gelu": 0.1}[configuration["activation"]]
        - configuration["dropout"]
    )


def test_it_climbs_to_the_best_of_independent_hyperparameters():
    assert search(a_space(), quality, noise=0.001).current == {"units": 256, "activation": "tanh", "dropout": 0.0}


def test_it_descends_where_less_is_better():
    found = search(a_space(), quality, noise=0.001, direction="minimize").current
    assert found == {"units": 16, "activation": "relu", "dropout": 0.5}


def test_it_goes_round_again_where_hyperparameters_interplay():
    def interplay(configuration):
        wide, tanh = configuration["units"] == 256, configuration["activation"] == "tanh"
        return 0.2 * tanh + 0.4 * (wide and tanh) - 0.1 * (wide and not tanh)

    strategy = search(a_space(), interplay, noise=0.001)
    assert strategy.current["units"] == 256
    assert max(change.step for change in strategy.changes) >= 2


def test_noise_is_not_kept():
    kept = [change for change in search(a_space(), lambda c: 0.9, noise=0.05).changes if change.kept]
    assert kept == []


def test_with_a_single_split_any_improvement_is_kept():
    strategy = search(a_space(), quality, folds=1)
    assert strategy.current == {"units": 256, "activation": "tanh", "dropout": 0.0}
    assert all(np.isnan(change.p) for change in strategy.changes)


def test_changes_tell_what_each_value_did():
    changes = search(a_space(), quality, noise=1e-6).changes
    first = next(change for change in changes if change.hyperparameter == "units" and change.after == 256)
    assert (first.before, first.kept, first.improved) == (64, True, True)
    assert first.validation == pytest.approx(0.2, abs=1e-4)
    assert first.train == pytest.approx(0.2, abs=1e-4)


def test_it_starts_from_the_baseline():
    baseline = {"units": 16, "dropout": 0.5}
    strategy = OneAtATime(a_space(), goal=Goal(metric="score", direction="maximize"), baseline=baseline)
    assert strategy.ask(1) == [{"units": 16, "activation": "relu", "dropout": 0.5}]


def test_it_starts_in_the_middle_of_what_is_ordered():
    assert OneAtATime(a_space(), goal=Goal(metric="s", direction="maximize")).ask(1)[0]["units"] == 64


def test_a_continuous_range_is_tried_at_values_spread_over_it():
    space = Space([Hyperparameter("learning_rate", Float(1e-4, 1e-1, log=True))])
    strategy = search(space, lambda c: -abs(np.log10(c["learning_rate"]) + 1.5), noise=1e-4)
    tried = sorted({change.after for change in strategy.changes} | {change.before for change in strategy.changes})
    assert len(tried) == 5
    assert strategy.current["learning_rate"] == max(tried, key=lambda r: -abs(np.log10(r) + 1.5))


@pytest.mark.parametrize("baseline", [{"unit": 16}, {"units": 17}])
def test_a_baseline_outside_of_the_space_is_refused(baseline):
    with pytest.raises(SpaceError, match="baseline"):
        OneAtATime(a_space(), goal=Goal(metric="s", direction="maximize"), baseline=baseline)
