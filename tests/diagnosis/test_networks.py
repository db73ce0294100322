"""The diagnosis on networks that were trained for real: what was built in is found, and healthy ones stay silent."""

import importlib.util
import math
from pathlib import Path

import pytest

from unitune.diagnosis.diagnose import judge

pytestmark = pytest.mark.slow

spec = importlib.util.spec_from_file_location("diagnosis_networks", Path(__file__).with_name("networks.py"))
networks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(networks)

# What may be true of small data under any settings, and is no fault of a network.
TRUTHS = {"noise_dominated", "plateaued_capacity", "edge_of_space", "linear_as_good", "boosting_ahead"}


@pytest.fixture(scope="module")
def judged():
    result = networks.sick()
    seen = judge(result._evidence)
    return {
        trial.configuration["model"]: (trial, {kind for kind, (_, found) in seen.items() if found[position]})
        for position, trial in enumerate(result.trials)
    }


@pytest.mark.parametrize(
    "kind",
    [
        "dead_units",
        "saturation",
        "vanishing_gradients",
        "exploding_gradients",
        "learning_rate_high",
        "learning_rate_low",
    ],
)
def test_a_network_with_one_fault_is_found_out(judged, kind):
    trial, kinds = judged[kind]
    assert trial.engine == "fused"
    assert kind in kinds


@pytest.mark.parametrize("name", ["healthy relu", "healthy tanh", "healthy deep"])
def test_the_healthy_ones_beside_them_are_not(judged, name):
    assert judged[name][1] <= {"overfit", "too_few_epochs"}


@pytest.mark.parametrize("kind", networks.SICK)
def test_data_that_ask_for_a_finding_get_it(kind):
    result = networks.SICK[kind](0)
    finding = next(finding for finding in result.findings if finding.kind == kind)
    assert finding.advice
    assert all(isinstance(v, str) or not math.isnan(v) for v in finding.evidence.values())
    compile(result.next_space(), "next_space", "exec")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.exhaustive] if name in ("digits", "wine") else [])
        for name in networks.CONTROLS
    ],
)
def test_searches_on_real_data_are_healthy(name):
    result = networks.control(name)
    assert {finding.kind for finding in result.findings} <= TRUTHS


def test_a_small_search_has_probes_findings_and_a_next_space(tmp_path):
    import unitune

    x, y = networks.breast_cancer()
    result = unitune.tune(x, y, units=[2, 4], activations="relu", epochs=3, folds=2, progress=False)
    probes = result.probes()
    assert set(probes["probe"]) >= {"dead_units", "gradient_norm", "update_ratio"}
    assert set(probes["layer"]) == {1, 2}
    result.save(tmp_path / "run")
    loaded = unitune.load(tmp_path / "run")
    assert loaded.findings == result.findings
    assert loaded.next_space() == result.next_space()
    assert len(loaded.probes()) == len(probes)
    made = {}
    exec(result.next_space(), made)
    again = made["search"](x, y, epochs=1, folds=2, repeats=1, trials=2, progress=False)
    assert again.trials
