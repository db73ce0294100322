"""Probes on networks whose state is known: dead, saturated, healthy; norms against values computed by hand."""

import numpy as np
import pytest

from unitune.data.arrays import Split
from unitune.engine.contract import Job, Outcome
from unitune.engine.fused import FusedEngine
from unitune.models.blueprint import Blueprint, LayerSpec, OptimizerSpec, Training
from unitune.records import Array, Member

RATE = 0.125


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 6)).astype("float32")
    y = x[:, :1] - x[:, 1:2]
    # 32 rows are one step of one epoch, so that the step can be computed by hand.
    return Split(fold=0, repeat=0, x_train=x[:32], y_train=y[:32], x_val=x[32:], y_val=y[32:])


def weights(units: int, *, bias: float = 0.0, scale: float = 0.5) -> list[Array]:
    rng = np.random.default_rng(units)
    kernels = [rng.normal(size=shape).astype("float32") * scale for shape in ((6, units), (units, 1))]
    return [kernels[0], np.full(units, bias, "float32"), kernels[1], np.zeros(1, "float32")]


def make_job(trial: int, activation: str, initial: list[Array]) -> Job:
    units = initial[0].shape[1]
    layers = (
        LayerSpec(class_name="Dense", config={"units": units, "activation": activation}),
        LayerSpec(class_name="Dense", config={"units": 1}),
    )
    return Job(
        member=Member(trial=trial, fold=0, repeat=0, seed=1),
        split=0,
        blueprint=Blueprint(layers=layers),
        training=Training(
            optimizer=OptimizerSpec(class_name="SGD", learning_rate=RATE), loss="mse", epochs=1, batch_size=32
        ),
        initial_weights=initial,
    )


JOBS = {
    "dead": make_job(0, "relu", weights(4, bias=-100.0)),
    "healthy": make_job(1, "relu", weights(7)),
    "saturated": make_job(2, "tanh", weights(5, scale=200.0)),
    "moderate": make_job(3, "tanh", weights(5, scale=0.1)),
    "saturated sigmoid": make_job(4, "sigmoid", weights(3, scale=200.0)),
}


@pytest.fixture(scope="module")
def found(split: Split) -> dict[str, tuple[Outcome, int]]:
    places = {
        job.member.trial: (outcome, place)
        for outcome in FusedEngine(strict=True).train(list(JOBS.values()), [split])
        for place, job in enumerate(outcome.jobs)
    }
    return {name: places[job.member.trial] for name, job in JOBS.items()}


def probe(found: dict[str, tuple[Outcome, int]], case: str, name: str) -> Array:
    outcome, place = found[case]
    return outcome.probes[name][place]  # (epoch, layer)


def test_units_that_are_never_active_are_dead(found: dict) -> None:
    assert probe(found, "dead", "dead_units").tolist() == [[1.0]]
    assert probe(found, "dead", "mean_activation").tolist() == [[0.0]]
    assert probe(found, "healthy", "dead_units")[0, 0] < 0.5
    assert probe(found, "moderate", "dead_units").tolist() == [[0.0]]


def test_outputs_near_the_bounds_are_saturated(found: dict) -> None:
    assert probe(found, "saturated", "saturated")[0, 0] > 0.95
    assert probe(found, "saturated sigmoid", "saturated")[0, 0] > 0.95
    assert probe(found, "moderate", "saturated").tolist() == [[0.0]]
    assert probe(found, "healthy", "saturated").tolist() == [[0.0]]  # relu has no bounds


def test_mean_activation_is_that_of_the_trained_network_on_the_validation_rows(found: dict, split: Split) -> None:
    outcome, place = found["healthy"]
    kernel, bias = outcome.weights[place][:2]
    hidden = np.maximum(split.x_val @ kernel + bias, 0)
    np.testing.assert_allclose(probe(found, "healthy", "mean_activation"), [[hidden.mean()]], rtol=1e-5)
    dead = (hidden == 0).all(axis=0).mean()
    np.testing.assert_allclose(probe(found, "healthy", "dead_units"), [[dead]], atol=1e-6)


def test_norms_are_those_of_the_step(found: dict, split: Split) -> None:
    kernel, bias, out, out_bias = (w.astype("float64") for w in JOBS["moderate"].initial_weights or ())
    x, y = split.x_train.astype("float64"), split.y_train.astype("float64")
    hidden = np.tanh(x @ kernel + bias)
    error = 2 * (hidden @ out + out_bias - y) / len(x)
    gradients = [x.T @ ((error @ out.T) * (1 - hidden**2)), hidden.T @ error]
    sizes = np.array([np.linalg.norm(gradient) for gradient in gradients])
    norms = np.array([np.linalg.norm(kernel), np.linalg.norm(out)])
    np.testing.assert_allclose(probe(found, "moderate", "gradient_norm")[0], sizes, rtol=1e-4)
    np.testing.assert_allclose(probe(found, "moderate", "weight_norm")[0], norms, rtol=1e-5)
    np.testing.assert_allclose(probe(found, "moderate", "update_ratio")[0], RATE * sizes / norms, rtol=1e-3)


def test_probes_can_be_left_out(split: Split) -> None:
    (outcome,) = FusedEngine(probes=False).train([JOBS["healthy"]], [split])
    assert outcome.probes == {}
