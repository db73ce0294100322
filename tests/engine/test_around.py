"""An engine around another is resumable where that is, and says of its own jobs which program they are in."""

import pytest

import unitune
from unitune.engine.device import Device
from unitune.engine.paused import Again
from unitune.errors import OptionError
from unitune.models.blueprint import Blueprint
from unitune.tuner.failures import Failures
from unitune.tuner.stages import Among


class Solo:
    name, plans, resumable = "solo", (), None


class Prepares:
    """Notes what it is asked to prepare, and for which device."""

    name, plans = "fused", ("a plan",)

    def __init__(self):
        self.device, self.prepared = Device(threads=2, tile_bytes=1, max_tile=4), []

    @property
    def resumable(self):
        return self

    def plan_for(self, device):
        self.device = device

    def prepare(self, jobs, splits):
        self.prepared += jobs
        return [Again() for _ in jobs]


class Job:
    def __init__(self, blueprint):
        self.blueprint = blueprint


def test_what_cannot_be_built_is_in_no_program_and_the_rest_is_prepared():
    bad, good = Job(Blueprint()), Job(Blueprint(name="good"))
    failures = Failures()
    failures.add(bad.blueprint, "it cannot be built")
    inner = Prepares()
    engine = failures.before(inner)
    assert (engine.name, engine.plans) == ("fused", ("a plan",))
    assert engine.resumable.prepare([bad, good, bad], []) == [None, Again(), None]
    assert inner.prepared == [good]
    assert engine.resumable.prepare([bad], []) == [None]


def test_it_plans_for_the_device_that_it_is_told():
    inner = Prepares()
    other = Device(threads=7, tile_bytes=1, max_tile=4)
    Among(Failures().before(inner), []).resumable.plan_for(other)
    assert inner.device == other


def test_around_an_engine_that_is_not_resumable_it_is_not_either():
    assert Among(Failures().before(Solo()), []).resumable is None


@pytest.mark.parametrize("strategy", ["halving", "hyperband"])
def test_halving_on_a_cluster_is_refused_before_one_is_looked_for(strategy):
    rows = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    with pytest.raises(OptionError, match="trains in this process"):
        unitune.tune(*rows, units=[2, 4], activations="relu", strategy=strategy, executor="ray", progress=False)
