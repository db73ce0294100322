import math

import numpy as np
import pytest

from unitune.errors import OptionError, SpaceError
from unitune.models import backend
from unitune.models.activations import ACTIVATIONS
from unitune.models.blueprint import EarlyStopping, Plateau, Schedule
from unitune.models.build import build_model, n_parameters
from unitune.models.dense import PerLayer, blueprint, dense_space, initializer_of, training
from unitune.models.heads import head
from unitune.space import Fixed, Float, Int

BINARY = head("binary")


def classes(configuration, task=BINARY):
    return [layer.class_name for layer in blueprint(configuration, task).layers]


def test_names_are_singular_and_complete():
    space = dense_space(units=[16, 32], activations=["relu", "tanh"])
    assert space.names == (
        "layers", "units", "activation", "optimizer", "learning_rate", "schedule", "dropout", "weight_decay", "l1",
        "l2", "batch_normalization", "initializer", "batch_size", "epochs",
    )  # fmt: skip
    assert space.varying == ("units", "activation")
    assert space.size == 4


def test_defaults_vary_units_and_activation():
    assert dense_space().varying == ("units", "activation")


def test_per_layer_hyperparameters_are_inactive_beyond_the_depth():
    space = dense_space(units=[8, 16], activations=["relu", "tanh"], layers=[1, 3], per_layer=["units"])
    assert [name for name in space.names if name.startswith("units")] == ["units_1", "units_2", "units_3"]
    assert space.size == 2 * (2 + 2**3)
    active = space.active({"layers": 1, "units_1": 8, "units_2": 8, "units_3": 8, "activation": "relu"})
    assert "units_2" not in active
    assert space["units_1"].active_if == ()


def test_lists_of_lists_are_one_domain_for_each_layer():
    space = dense_space(units=[[16, 32], [4, 8]], activations=PerLayer("relu", ["relu", "tanh"]))
    assert space["layers"].domain == Fixed(2)
    assert space["units_2"].domain.values() == (4, 8)
    assert space.size == 2 * 2 * 2
    layers = blueprint(space.active({"units_1": 16, "units_2": 4, "activation_2": "tanh"}), BINARY).layers
    assert [(layer.config["units"], layer.config["activation"]) for layer in layers[:2]] == [(16, "relu"), (4, "tanh")]


def test_ranges_and_strings():
    space = dense_space(units="16:64:16", learning_rates="1e-4:1e-2:log", dropouts=Float(0, 0.5), layers=Int(1, 3))
    assert space["units"].domain == Int(16, 64, 16)
    assert space.size == math.inf


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": []}, "`units` needs at least one value"),
        ({"units": 0}, "at least 1"),
        ({"units": [16, 2.5]}, "whole"),
        ({"units": True}, "got True"),
        ({"units": [16, 16]}, "twice"),
        ({"activations": ["relu", "tahn"]}, "Did you mean `tanh`"),
        ({"activations": ["relu", "ReLU"]}, "twice"),
        ({"layers": 9}, "at most 8"),
        ({"layers": 0}, "at least 1"),
        ({"optimizers": "adamm"}, "Did you mean"),
        ({"learning_rates": 0}, "above 0"),
        ({"learning_rates": Float(0.0, 0.1)}, "above 0"),
        ({"dropouts": [0.0, 1.0]}, "below 1"),
        ({"dropouts": -0.1}, "at least 0"),
        ({"weight_decays": -0.1}, "at least 0"),
        ({"l1": -1}, "at least 0"),
        ({"l2": "x"}, "got `x`"),
        ({"batch_normalization": 1}, "True, False"),
        ({"initializers": "he"}, "he_normal"),
        ({"batch_sizes": 0}, "at least 1"),
        ({"epochs": 0}, "at least 1"),
        ({"schedules": "cos"}, "cosine"),
        ({"per_layer": ["unit"]}, "units"),
        ({"units": [[16], [8]], "layers": 3}, "one domain for each layer"),
        ({"units": [[16], [8]], "activations": PerLayer("relu")}, "as many layers"),
    ],
)
def test_bad_arguments_say_which_rule(arguments, message):
    with pytest.raises(SpaceError, match=message):
        dense_space(**arguments)


def test_per_layer_takes_one_to_eight():
    with pytest.raises(SpaceError):
        PerLayer()


def test_order_of_layers():
    base = {"layers": 1, "units": 4, "activation": "relu"}
    assert classes(base) == ["Dense", "Dense"]
    assert classes({**base, "dropout": 0.1}) == ["Dense", "Dropout", "Dense"]
    normalised = {**base, "batch_normalization": True, "dropout": 0.1}
    assert classes(normalised) == ["Dense", "BatchNormalization", "Activation", "Dropout", "Dense"]
    assert blueprint(normalised, BINARY).layers[0].config["activation"] == "linear"
    assert classes({**normalised, "activation": "prelu"}) == [
        "Dense",
        "BatchNormalization",
        "PReLU",
        "Dropout",
        "Dense",
    ]
    assert classes({**base, "layers": 2, "activation": "elu(alpha=0.5)"}) == ["Dense", "ELU", "Dense", "ELU", "Dense"]


def test_penalties_act_on_every_kernel_and_no_bias():
    layers = blueprint({"units": 4, "activation": "relu", "l1": 0.1, "l2": 0.2}, BINARY).layers
    for layer in layers:
        assert layer.config["kernel_regularizer"] == {"class_name": "L1L2", "config": {"l1": 0.1, "l2": 0.2}}
        assert "bias_regularizer" not in layer.config
    model = build_model(blueprint({"units": 4, "activation": "relu", "l2": 0.2}, BINARY), (3,))
    kernels = [w for w in model.get_weights() if w.ndim == 2]
    assert float(sum(model.losses)) == pytest.approx(sum(0.2 * (k**2).sum() for k in kernels), rel=1e-5)


def test_auto_initializer_is_resolved_for_each_layer():
    configuration = {"layers": 2, "units": 4, "activation_1": "selu", "activation_2": "tanh", "initializer": "auto"}
    assert [initializer_of(configuration, layer) for layer in (1, 2)] == ["lecun_normal", "glorot_uniform"]
    kernels = [layer.config["kernel_initializer"] for layer in blueprint(configuration, BINARY).layers]
    assert kernels == ["lecun_normal", "glorot_uniform", "glorot_uniform"]
    named = {**configuration, "initializer": "random_normal(stddev=0.1)"}
    assert blueprint(named, BINARY).layers[0].config["kernel_initializer"]["class_name"] == "RandomNormal"


def test_training_of_a_configuration():
    made = training(
        {"optimizer": "sgd(momentum=0.9)", "learning_rate": 0.5, "weight_decay": 0.1, "schedule": "step(factor=0.1)",
         "batch_size": 8, "epochs": 3},
        BINARY,
        patience=2,
    )  # fmt: skip
    assert made.optimizer.config == {"momentum": 0.9, "weight_decay": 0.1}
    assert made.optimizer.learning_rate == 0.5
    assert made.schedule == Schedule(name="step", params=(("factor", 0.1),))
    assert made.early_stopping == EarlyStopping(patience=2)
    assert (made.batch_size, made.epochs, made.loss) == (8, 3, "binary_crossentropy")


def test_plateau_becomes_a_callback_and_not_a_schedule():
    made = training({"schedule": "plateau(patience=1)"}, BINARY)
    assert (made.schedule, made.plateau) == (Schedule(), Plateau(factor=0.5, patience=1))


@pytest.mark.parametrize(
    "activation", [*sorted(ACTIVATIONS - {"glu", "threshold"}), "prelu", "relu(max_value=6)", abs], ids=str
)
def test_every_activation_makes_a_network(activation):
    keras = backend.ensure()
    chosen = keras.ops.sin if activation is abs else activation
    space = dense_space(units=4, activations=[chosen], batch_normalization=[False, True])
    for normalised in (False, True):
        chain = blueprint(space.active({"batch_normalization": normalised}), BINARY)
        model = build_model(chain, (3,))
        assert n_parameters(chain, (3,)) == model.count_params()
        assert np.isfinite(model(np.ones((2, 3), "float32"))).all()


def test_a_configuration_trains():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    space = dense_space(units=8, activations="relu", learning_rates=0.05, schedules="cosine", dropouts=0.1, l2=1e-4)
    configuration = space.active({})
    model = build_model(
        blueprint(configuration, BINARY), (3,), training(configuration, BINARY), seed=1, steps_per_epoch=2
    )
    losses = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_heads():
    assert head("binary").units == 1
    assert head("multiclass", n_classes=4).loss == "sparse_categorical_crossentropy"
    assert head("regression", n_outputs=2).units == 2
    for arguments in (("multiclass",), ("multiclass", 1), ("regression", None, 0), ("ranking",)):
        with pytest.raises(OptionError):
            head(*arguments)
