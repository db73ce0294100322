import numpy as np
import pytest

from unitune.errors import OptionError
from unitune.models import backend
from unitune.models.adopt import adopt
from unitune.models.blueprint import OutputSpec
from unitune.models.build import build_model
from unitune.models.compiled import compiled_outputs, output_names


@pytest.fixture(scope="module")
def keras():
    return backend.ensure()


def two_outputs(keras, *, keys=()):
    layers = keras.layers
    entry = keras.Input((3,))
    found = [layers.Dense(1, name="zed")(entry), layers.Dense(2, name="bee")(entry)]
    return keras.Model(entry, dict(zip(keys, found, strict=True)) if keys else found)


# Among these, weights by name beside a list of losses: Keras takes them in the order of their names.
COMPILED = [
    {"loss": "mse"},
    {"loss": "mse", "loss_weights": 2.0},
    {"loss": ["mse", "mae"]},
    {"loss": ["mse", "mae"], "loss_weights": [0.5, 3]},
    {"loss": {"bee": "mae", "zed": "mse"}, "loss_weights": {"zed": 0.5, "bee": 3.0}},
    {"loss": {"bee": "mae", "zed": "mse"}, "loss_weights": [0.5, 3.0]},
    {"loss": ["mse", "mae"], "loss_weights": {"zed": 0.5, "bee": 3.0}},
]


@pytest.mark.parametrize("arguments", COMPILED)
def test_losses_and_weights_are_those_that_keras_adds_up(keras, arguments):
    rng = np.random.default_rng(0)
    y, predictions = ([rng.normal(size=(4, n)).astype("float32") for n in (1, 2)] for _ in range(2))
    model = two_outputs(keras)
    model.compile("sgd", **arguments)
    expected = float(model._compile_loss(y, predictions))
    found = compiled_outputs(model)
    assert [one.name for one in found] == ["zed", "bee"]
    total = sum(
        (1.0 if one.weight is None else one.weight) * float(np.mean(keras.losses.get(one.loss)(true, predicted)))
        for one, true, predicted in zip(found, y, predictions, strict=True)
    )
    assert total == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (["mae", "mse"], (("mae",), ("mse",))),
        ([["mae", "mse"], []], (("mae", "mse"), ())),
        ({"bee": "mae"}, ((), ("mae",))),
        (None, ((), ())),
    ],
)
def test_metrics_belong_to_outputs(keras, metrics, expected):
    model = two_outputs(keras)
    model.compile("sgd", "mse", metrics=metrics)
    assert tuple(one.metrics for one in compiled_outputs(model)) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": ["mse"]},
        {"loss": {"zed": "mse"}},
        {"loss": "mse", "loss_weights": [1.0, 2.0]},
        {"loss": ["mse", "mae"], "loss_weights": [1.0]},
        {"loss": {"zed": "mse", "bee": "mse"}, "loss_weights": {"zed": 1.0}},
        {"loss": "mse", "metrics": ["mae"]},
    ],
)
def test_what_keras_refuses_is_refused(keras, arguments):
    model = two_outputs(keras)
    model.compile("sgd", **arguments)
    with pytest.raises(OptionError):
        compiled_outputs(model)


def test_one_output_has_a_weight_and_no_name(keras):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", loss_weights=[2.0], metrics=["mae"])
    _, training, _ = adopt(model)
    assert (training.loss, training.loss_weight, training.metrics) == ("mse", 2.0, ("mae",))
    assert training.metric_names == ("mae",)


@pytest.mark.parametrize("keys", [(), ("first", "also")])
def test_several_outputs_are_read_and_built_again(keras, keys):
    model = two_outputs(keras, keys=keys)
    names = ("also", "first") if keys else ("zed", "bee")
    model.compile("sgd", ["mae", "mse"], loss_weights=[1.0, 2.0], metrics=[[], ["mae"]])
    blueprint, training, weights = adopt(model, (3,), n_outputs=2)
    assert training.outputs == (
        OutputSpec(name=names[0], loss="mae", weight=1.0),
        OutputSpec(name=names[1], loss="mse", weight=2.0, metrics=("mae",)),
    )
    assert training.metric_names == (f"{names[0]}_loss", f"{names[1]}_loss", f"{names[1]}_mae")
    again = build_model(blueprint, (3,), training)
    again.set_weights(weights)
    assert output_names(again) == names
    x = np.ones((2, 3), "float32")
    for mine, theirs in zip(*(keras.tree.flatten(one(x)) for one in (again, model)), strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=1e-6)
    if keys:
        assert set(again(x)) == set(keys)
