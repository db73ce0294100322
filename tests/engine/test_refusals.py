"""What cannot be fused runs with plain `fit` and says why, or is an error where fusing was asked for."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.errors import FusionError
from unitune.models.blueprint import Blueprint, LayerSpec, OptimizerSpec, Training
from unitune.records import Member


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 4)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    return Split(fold=0, repeat=0, x_train=x[:20], y_train=y[:20], x_val=x[20:], y_val=y[20:])


def make_job(
    *middle: LayerSpec,
    optimizer: str = "Adam",
    dense: dict | None = None,
    settings: dict | None = None,
    **training: object,
) -> Job:
    layers = (
        LayerSpec(class_name="Dense", config={"units": 3, **(dense or {})}),
        *middle,
        LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"}),
    )
    return Job(
        member=Member(trial=1, fold=0, repeat=0, seed=1),
        split=0,
        blueprint=Blueprint(layers=layers),
        training=Training(
            optimizer=OptimizerSpec(class_name=optimizer, learning_rate=0.01, config=settings or {}),
            epochs=1,
            **{"loss": "binary_crossentropy", **training},
        ),
    )


def own_loss(y: object, prediction: object) -> object:
    """Of the whole batch: one that treats each row by itself has a form."""
    return keras.ops.sqrt(keras.ops.mean(keras.ops.square(y - prediction)))


def layer(name: str, **config: object) -> LayerSpec:
    return LayerSpec(class_name=name, config=config)


CASES = {
    "Adafactor": (make_job(optimizer="Adafactor"), "`Adafactor` factors each weight matrix"),
    "Muon": (make_job(optimizer="Muon"), "`Muon` orthogonalises"),
    "Lamb": (make_job(optimizer="Lamb"), "`Lamb` scales each update by the norm"),
    "own loss": (make_job(loss=own_loss), "the loss `own_loss` gives one number for a batch"),
    "metric": (make_job(metrics=("auc",)), "the metric `auc` has no fused form"),
    "layer": (make_job(layer("SpectralNormalization")), "the layer `SpectralNormalization` has no fused form"),
    "noise shape": (make_job(layer("Dropout", rate=0.1, noise_shape=(None, 1))), "`Dropout(noise_shape=...)`"),
    "scaled loss": (make_job(settings={"loss_scale_factor": 2}), "loss_scale_factor"),
    "regulariser": (
        make_job(dense={"kernel_regularizer": {"class_name": "OrthogonalRegularizer", "config": {"factor": 0.1}}}),
        "the regulariser `OrthogonalRegularizer` has no fused form",
    ),
    "no chain": (replace(make_job(), blueprint=Blueprint()), "is not a chain of layers"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_told(split: Split, name: str) -> None:
    job, reason = CASES[name]
    fusable, _, refused = read_jobs([job], [split])
    assert not fusable
    ((refused_job, told),) = refused
    assert refused_job is job
    assert reason in told


def test_auto_trains_what_it_refuses_with_fit(split: Split) -> None:
    odd = replace(CASES["Lamb"][0], member=Member(trial=2, fold=0, repeat=0, seed=1))
    outcomes = {out.engine: out for out in FusedEngine().train([make_job(), odd], [split])}
    assert outcomes.keys() == {"fused", "solo"}
    assert outcomes["fused"].engine_reason == ""
    assert outcomes["solo"].jobs == (odd,)
    assert "`Lamb` scales each update" in outcomes["solo"].engine_reason
    assert np.isfinite(outcomes["solo"].validation_predictions).all()


def test_strict_fails_before_anything_is_trained(split: Split) -> None:
    with pytest.raises(FusionError, match=r"1 of 1 trials have none; trial 1: `Muon` .* Use `engine=\"auto\"`"):
        next(FusedEngine(strict=True).train([CASES["Muon"][0]], [split]))
