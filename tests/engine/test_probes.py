"""Probes have known truths: networks built to be dead or saturated, healthy ones, and one step worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import parity_cases as cases
import pytest

from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine
from unitune.models.blueprint import OptimizerSpec, Training
from unitune.records import Array, Member

RATE = 0.1
N_ROWS = 24


@pytest.fixture(scope="module")
def split() -> Any:
    return cases.as_floats(cases.make_split(0, 0, N_ROWS, 10), "float32")


def weights(kernel: Array, bias: float, rng: np.random.Generator) -> list[Array]:
    units = kernel.shape[1]
    last = rng.normal(size=(units, 1))
    return [array.astype("float32") for array in (kernel, np.full(units, bias), last, np.zeros(1))]


@pytest.fixture(scope="module")
def outcome(split: Any) -> dict[str, dict[str, Any]]:
    """Four networks of one step of plain SGD; widths differ, so narrow ones are padded."""
    rng = np.random.default_rng(0)

    def kernel(units: int, size: float) -> Array:
        return rng.normal(scale=size, size=(cases.N_FEATURES, units))

    networks = {
        "healthy": ("relu", weights(kernel(6, 0.5), 0.0, rng)),
        "dead": ("relu", weights(kernel(4, 0.5), -100.0, rng)),
        "half": ("relu", weights(np.concatenate([kernel(2, 0.5), np.zeros((cases.N_FEATURES, 2))], 1), 0.0, rng)),
        "saturated": ("tanh", weights(kernel(4, 0.1), 50.0, rng)),
        "unsaturated": ("tanh", weights(kernel(5, 0.01), 0.0, rng)),
    }
    jobs = [
        Job(
            member=Member(trial=number, fold=0, repeat=0, seed=1),
            split=0,
            blueprint=cases.chain(cases.dense(start[0].shape[1], activation), cases.dense(1)),
            training=Training(
                optimizer=OptimizerSpec(class_name="SGD", learning_rate=RATE),
                loss="mean_squared_error",
                batch_size=N_ROWS,
                epochs=1,
            ),
            initial_weights=start,
        )
        for number, (activation, start) in enumerate(networks.values())
    ]
    found = {}
    for one in FusedEngine(strict=True).train(jobs, [split]):
        for i, job in enumerate(one.jobs):
            found[list(networks)[job.member.trial]] = {
                "probes": {name: array[i, 0] for name, array in one.probes.items()},
                "start": job.initial_weights,
                "end": one.weights[i],
            }
    return found


def test_dead_units(outcome: Any) -> None:
    shares = {name: float(one["probes"]["dead_units"][0]) for name, one in outcome.items()}
    assert shares == {"healthy": 0.0, "dead": 1.0, "half": 0.5, "saturated": 0.0, "unsaturated": 0.0}


def test_saturated(outcome: Any) -> None:
    shares = {name: float(one["probes"]["saturated"][0]) for name, one in outcome.items()}
    assert shares == {"healthy": 0.0, "dead": 0.0, "half": 0.0, "saturated": 1.0, "unsaturated": 0.0}


def test_mean_activation(outcome: Any, split: Any) -> None:
    for name in ("healthy", "half"):
        kernel, bias = outcome[name]["end"][:2]
        expected = np.maximum(split.x_val @ kernel + bias, 0).mean()
        assert outcome[name]["probes"]["mean_activation"][0] == pytest.approx(expected, rel=1e-5)
    assert outcome["saturated"]["probes"]["mean_activation"][0] == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["healthy", "half"])
def test_norms_of_one_step_by_hand(outcome: Any, split: Any, name: str) -> None:
    kernel, bias, last, last_bias = (np.asarray(w, float) for w in outcome[name]["start"])
    x, y = split.x_train.astype(float), split.y_train.astype(float)
    hidden = x @ kernel + bias
    active = np.maximum(hidden, 0)
    error = 2 * (active @ last + last_bias - y) / len(x)  # slope of the mean squared error
    gradients = [x.T @ ((error @ last.T) * (hidden > 0)), active.T @ error]
    probes = outcome[name]["probes"]
    for layer, (gradient, weight) in enumerate(zip(gradients, (kernel, last), strict=True)):
        size, slope = np.linalg.norm(weight), np.linalg.norm(gradient)
        assert probes["gradient_norm"][layer] == pytest.approx(slope, rel=1e-4)
        assert probes["weight_norm"][layer] == pytest.approx(size, rel=1e-4)
        assert probes["update_ratio"][layer] == pytest.approx(RATE * slope / size, rel=1e-4)


def test_a_dead_layer_has_no_gradient(outcome: Any) -> None:
    assert outcome["dead"]["probes"]["gradient_norm"][0] == 0.0
    assert outcome["dead"]["probes"]["update_ratio"][0] == 0.0


def test_one_value_for_each_hidden_activation_and_each_dense_layer(outcome: Any) -> None:
    sizes = {name: len(array) for name, array in outcome["healthy"]["probes"].items()}
    assert sizes == {
        "dead_units": 1,
        "saturated": 1,
        "mean_activation": 1,
        "gradient_norm": 2,
        "weight_norm": 2,
        "update_ratio": 2,
    }
