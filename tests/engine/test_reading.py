"""What has no fused form is found while reading, with the reason: `auto` runs it solo, `fused` makes it an error."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import parity_cases as cases
import pytest

from unitune.engine.contract import Job, Outcome
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.engine.lift.activation import activation_key, function_of, is_elementwise, keeps_zero
from unitune.engine.order import order_of
from unitune.engine.vmap import engine as vmap_module
from unitune.errors import FusionError
from unitune.models.backend import ensure
from unitune.models.blueprint import Blueprint, LayerSpec, OptimizerSpec, Training
from unitune.records import Member


@pytest.fixture(scope="module", autouse=True)
def keras() -> Any:
    return ensure()


@pytest.fixture(scope="module")
def splits() -> list[Any]:
    return [cases.as_floats(cases.make_split(0, 0, 20, 8), "float32")]


def job(blueprint: Blueprint | None = None, **training: Any) -> Job:
    options: dict[str, Any] = {
        "optimizer": OptimizerSpec(class_name="Adam", learning_rate=0.01),
        "loss": "binary_crossentropy",
        "epochs": 1,
    }
    return Job(
        member=Member(trial=0, fold=0, repeat=0, seed=1),
        split=0,
        blueprint=blueprint or cases.chain(cases.dense(3, "relu"), cases.dense(1, "sigmoid")),
        training=Training(**options | training),
    )


def hidden(*layers: LayerSpec) -> Blueprint:
    return cases.chain(*layers, cases.dense(1, "sigmoid"))


def own_loss(y: Any, prediction: Any) -> Any:
    from keras import ops

    return (y - ops.mean(prediction, axis=0)) ** 2  # of each row by itself it would have a form


def mixes_rows(x: Any) -> Any:
    from keras import ops

    return x - ops.mean(x, axis=0, keepdims=True)


def draws(x: Any) -> Any:
    import keras

    return x + keras.random.normal((1,), seed=None)


def optimizer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"optimizer": OptimizerSpec(class_name=class_name, learning_rate=0.01, config=config)}


REFUSED = {
    "adafactor": (job(**optimizer("Adafactor")), "`Adafactor` factors each weight matrix"),
    "muon": (job(**optimizer("Muon")), "`Muon` orthogonalises"),
    "lamb": (job(**optimizer("Lamb")), "`Lamb` scales each update"),
    "schedule-free": (job(**optimizer("ScheduleFreeAdamW")), "`ScheduleFreeAdamW` has no fused form"),
    "loss-scale": (job(**optimizer("SGD", loss_scale_factor=2)), "loss_scale_factor"),
    "ema-overwrite": (
        job(**optimizer("SGD", use_ema=True, ema_overwrite_frequency=2)),
        "`ema_overwrite_frequency` has no fused form",
    ),
    "no-epsilon": (job(**optimizer("Adam", epsilon=0.0)), "epsilon"),
    "own-optimizer": (job(**optimizer("Adam", optimizer=object())), "a class of your own"),
    "layer": (job(hidden(cases.layer("SpectralNormalization"))), "`SpectralNormalization` has no fused form"),
    "template": (job(Blueprint()), "not a chain of layers"),
    "own-loss": (job(loss=own_loss), "the loss `own_loss` mixes rows"),
    "metric": (job(metrics=("auc",)), "the metric `auc` has no fused form"),
    "activity": (job(hidden(cases.dense(3, activity_regularizer="orthogonal_regularizer"))), "regulariser"),
    "orthogonal": (job(hidden(cases.dense(3, kernel_regularizer="orthogonal_regularizer"))), "regulariser"),
    "other-type": (job(hidden(cases.dense(3, dtype="float64"))), "dtype"),
    "unknown-activation": (job(hidden(cases.dense(3, "no_such_activation"))), "no_such_activation"),
    "activation-with-arguments": (job(hidden(cases.dense(3, "threshold"))), "threshold"),
    "gated": (job(hidden(cases.dense(4, "glu"))), "changes the number of features"),
    "rows-mixed": (job(hidden(cases.dense(3, mixes_rows))), "`mixes_rows` mixes rows"),
    "random-activation": (job(hidden(cases.dense(3, draws))), "`draws` draws at random"),
    "dropout-noise-shape": (job(hidden(cases.layer("Dropout", rate=0.1, noise_shape=(1, 3)))), "noise_shape"),
    "normalised-other-axis": (job(hidden(cases.layer("BatchNormalization", axis=0))), "axis"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_give_the_reason(name: str, splits: list[Any]) -> None:
    refused_job, reason = REFUSED[name]
    fusable, _, refused = read_jobs([refused_job], splits)
    assert not fusable
    assert reason in refused[0][1]


def test_strict_is_an_error_that_counts(splits: list[Any]) -> None:
    bad, _ = REFUSED["adafactor"]
    good = replace(job(), member=Member(trial=1, fold=0, repeat=0, seed=1))
    with pytest.raises(FusionError, match="1 of 2 trials have none; trial 0: `Adafactor`"):
        list(FusedEngine(strict=True).train([good, bad], splits))


def test_auto_runs_the_others_solo_and_says_why(splits: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorder:
        def __init__(self, reason: str) -> None:
            self.reason = reason

        def train(self, jobs: Sequence[Job], splits: Any, *, should_stop: Any) -> Iterator[Outcome]:
            for one in jobs:
                nothing = np.empty((1, 0))
                yield Outcome(
                    jobs=(one,),
                    metrics=("loss",),
                    train=nothing,
                    validation=nothing,
                    learning_rate=nothing,
                    n_epochs=np.zeros(1),
                    best_epoch=np.zeros(1),
                    train_predictions=nothing,
                    validation_predictions=nothing,
                    weights=((),),
                    failures=("",),
                    elapsed_s=np.zeros(1),
                    engine="solo",
                    engine_reason=self.reason,
                )

    monkeypatch.setattr(vmap_module, "SoloEngine", Recorder)
    jobs = [
        replace(refused, member=Member(trial=number, fold=0, repeat=0, seed=1))
        for number, (refused, _) in enumerate(REFUSED.values())
    ]
    outcomes = list(FusedEngine().train(jobs, splits))
    assert sorted(outcome.jobs[0].member.trial for outcome in outcomes) == list(range(len(REFUSED)))
    for outcome in outcomes:
        assert outcome.engine == "solo"
        assert list(REFUSED.values())[outcome.jobs[0].member.trial][1] in outcome.engine_reason


def test_the_solo_fallback_trains(splits: list[Any]) -> None:
    (outcome,) = FusedEngine().train([REFUSED["adafactor"][0]], splits)
    assert (outcome.engine, outcome.failures) == ("solo", ("",))
    assert np.isfinite(outcome.train).all()


def names_of_keras() -> list[str]:
    from keras.src import activations

    return sorted(set(activations.ALL_OBJECTS_DICT) - {"threshold"})


def test_every_activation_of_keras_is_known_for_what_it_is(keras: Any) -> None:
    x = np.linspace(-3, 3, 24, dtype="float32").reshape(4, 6)
    for name in names_of_keras():
        f = function_of(activation_key(name))
        whole = np.asarray(f(keras.ops.convert_to_tensor(x)))
        parts = np.asarray(f(keras.ops.convert_to_tensor(x[:, :2])))
        separate = whole.shape == x.shape and np.allclose(parts, whole[:, :2])
        assert is_elementwise(name) == separate, name
        zero = np.asarray(f(keras.ops.zeros((1, 2))))
        assert keeps_zero(name) == bool((zero == 0).all()), name


def test_the_covering_set_has_every_activation() -> None:
    own = {cases.wave, cases.row_share}
    names = {a for a in (*cases.ELEMENTWISE, *cases.ROWWISE) if isinstance(a, str)}
    assert set(names_of_keras()) - names == {"glu", "hard_swish", "swish"}
    assert own == {a for a in (*cases.ELEMENTWISE, *cases.ROWWISE) if callable(a)}


def test_the_covering_set_has_every_pair() -> None:
    pairs: dict[str, set[Any]] = {"activation": set(), "way": set(), "both": set()}
    for case in cases.covering_cases():
        optimizer_name = case.name.rsplit("-", 1)[0]
        ways = way_of_each_activation(case.job.blueprint)
        for activation, way in ways:
            pairs["activation"].add((optimizer_name, activation))
            pairs["way"].add((optimizer_name, way))
            pairs["both"].add((activation, way))
    activations = {label(a) for a in (*cases.ELEMENTWISE, *cases.ROWWISE)}
    ways_seen = {way for _, way in pairs["both"]}
    assert len(activations) == len(cases.ELEMENTWISE) + len(cases.ROWWISE)
    assert pairs["activation"] == set(itertools.product(cases.OPTIMIZERS, activations))
    assert pairs["way"] == set(itertools.product(cases.OPTIMIZERS, ways_seen))
    assert pairs["both"] == set(itertools.product(activations, ways_seen))


def label(activation: Any) -> str:
    if isinstance(activation, LayerSpec):
        return f"{activation.class_name}({sorted(activation.config.items())})"
    return activation if isinstance(activation, str) else str(activation.__name__)


def way_of_each_activation(blueprint: Blueprint) -> list[tuple[str, int]]:
    """Each hidden activation with the number of its dense layer, which is what decides how it is regularised."""
    found = []
    number = -1
    for spec in blueprint.layers[:-1]:
        if spec.class_name == "Dense":
            number += 1
            if "activation" in spec.config:
                found.append((label(spec.config["activation"]), number))
        elif spec.class_name == "Activation":
            found.append((label(spec.config["activation"]), number))
        elif spec.class_name in ("ReLU", "LeakyReLU", "ELU", "Softmax"):
            found.append((label(spec), number))
    return found


def test_serialised_activations_read_like_live_ones(keras: Any) -> None:
    layer = keras.layers.LeakyReLU(negative_slope=0.3)
    serialised = keras.saving.serialize_keras_object(layer)
    assert activation_key(serialised) == activation_key(layer)
    assert activation_key(keras.saving.serialize_keras_object(keras.activations.gelu)) == "gelu"
    assert activation_key(keras.activations.gelu) == "gelu"


def test_reading_is_by_value(splits: list[Any]) -> None:
    """Equal networks from different objects share a group, and a linear layer before an activation layer is nothing."""
    one = job(hidden(cases.dense(3, "relu")))
    other = job(hidden(cases.dense(5), cases.layer("Activation", activation="relu")))
    _, (first, second), _ = read_jobs([one, other], splits)
    assert first.group == second.group


def test_whole_batches_are_put_in_a_new_order() -> None:
    training = replace(job().training, batch_size=4, shuffle="batch")
    orders = [order_of(training, 20, seed=1, epoch=epoch).reshape(5, 4) for epoch in range(2)]
    for order in orders:
        np.testing.assert_array_equal(order, order[:, :1] + np.arange(4))
        assert sorted(order[:, 0]) == [0, 4, 8, 12, 16]
    assert not np.array_equal(*orders)
