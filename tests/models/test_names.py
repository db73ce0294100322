"""The tables of names that are kept so that Keras need not be imported, against Keras itself."""

import inspect
import subprocess
import sys

import pytest

from unitune.errors import SpaceError
from unitune.models import activations, backend, initializers, optimizers
from unitune.space.labels import label


@pytest.fixture(scope="module")
def keras():
    return backend.ensure()


def test_activation_names_are_those_of_keras(keras):
    names = {name for name in dir(keras.activations) if not name.startswith("_")} - {"get", "serialize", "deserialize"}
    assert names == activations.ACTIVATIONS


def test_activation_layers_take_the_arguments_in_the_table(keras):
    for class_name, arguments in activations.ACTIVATION_LAYERS.values():
        known = set(inspect.signature(getattr(keras.layers, class_name).__init__).parameters)
        assert arguments == known - {"self", "kwargs"}


def test_optimizer_names_are_those_of_keras(keras):
    wrappers = {"LossScaleOptimizer", "MultiOptimizer", "Optimizer", "OptimizerMap"}
    classes = {name for name in dir(keras.optimizers) if inspect.isclass(getattr(keras.optimizers, name))}
    assert classes - wrappers == set(optimizers.OPTIMIZERS.values())


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_optimizer_arguments_and_default_rate_are_those_of_keras(keras, name):
    parameters = inspect.signature(getattr(keras.optimizers, optimizers.OPTIMIZERS[name]).__init__).parameters
    assert optimizers.arguments(name) == set(parameters) - {"self", "kwargs"}
    assert optimizers.spec(name).learning_rate == parameters["learning_rate"].default


def test_initializer_names_are_those_of_keras(keras):
    classes = {
        value.__name__
        for name in dir(keras.initializers)
        if inspect.isclass(value := getattr(keras.initializers, name)) and name != "Initializer"
    }
    named = {initializers.canonical(name)[0] for name in classes}
    assert named == initializers.INITIALIZERS
    for name in initializers.INITIALIZERS:
        assert hasattr(keras.initializers, initializers.class_name(name))


def test_names_are_checked_without_keras():
    code = (
        "import sys; from unitune.models.dense import dense_space, blueprint, training;"
        "from unitune.models.heads import head; from unitune.models.build import n_parameters;"
        "from unitune.models.build import initial_weights;"
        "s = dense_space(units=8, activations='prelu', optimizers='sgd(momentum=0.9)', schedules='cosine');"
        "c = s.active({}); b = blueprint(c, head('binary')); training(c, head('binary'));"
        "n_parameters(b, (4,)); initial_weights(b, (4,), 0);"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (activations.check, "rleu", "Did you mean `relu`"),
        (activations.check, "relu(slope=1)", "negative_slope"),
        (activations.check, "tanh(a=1)", "only some activations"),
        (activations.check, "glu", "width"),
        (activations.check, 3, "names, layers or functions"),
        (optimizers.check, "adm", "Did you mean"),
        (optimizers.check, "sgd(momentm=0.9)", "momentum"),
        (optimizers.check, "sgd(nesterov=true)", "momentum above 0"),
        (optimizers.check, 0.1, "names or Keras optimizers"),
        (initializers.check, "he_unifrom", "he_uniform"),
        (initializers.check, 0.1, "names or Keras initializers"),
    ],
)
def test_unknown_names_are_refused_with_close_matches(check, value, message):
    with pytest.raises(SpaceError, match=message):
        check(value)


def test_forms_of_the_same_activation_agree(keras):
    assert activations.check("LeakyReLU(negative_slope=.1)") == activations.check("leaky_relu(negative_slope=0.1)")
    assert activations.check(keras.activations.tanh) == "tanh"
    from_text = activations.layer_spec(activations.check("leaky_relu(negative_slope=0.1)"))
    from_layer = activations.layer_spec(activations.check(keras.layers.LeakyReLU(negative_slope=0.1)))
    assert from_text == from_layer
    assert activations.layer_spec(activations.check(keras.layers.PReLU)) == activations.layer_spec("prelu")


def test_the_layer_by_its_class_name_keeps_the_layers_own_slope(keras):
    spec = activations.layer_spec(activations.check("LeakyReLU"))
    assert spec.config["negative_slope"] == keras.layers.LeakyReLU().negative_slope


def test_labels_of_keras_objects(keras):
    assert label(keras.layers.LeakyReLU(negative_slope=0.1)) == "LeakyReLU(negative_slope=0.1)"
    assert label(keras.layers.PReLU()) == "PReLU"
    assert label(keras.layers.ReLU(max_value=6)) == "ReLU(max_value=6)"


def test_auto_initializer_suits_the_activation():
    assert initializers.suits("relu") == initializers.suits("gelu") == "he_uniform"
    assert initializers.suits("selu") == "lecun_normal"
    assert initializers.suits("tanh") == initializers.suits("") == "glorot_uniform"
    assert {name for name in initializers._HE if name not in ("prelu", "re_lu", "p_relu")} <= activations.ACTIVATIONS


def test_optimizer_spec_from_every_form(keras):
    text = optimizers.spec(optimizers.check("SGD(momentum=0.9, nesterov=true)"))
    live = optimizers.spec(optimizers.check(keras.optimizers.SGD(momentum=0.9, nesterov=True)))
    assert text == live
    assert optimizers.spec(optimizers.check(keras.optimizers.Adam)) == optimizers.spec("adam")


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_every_optimizer_is_built_and_read_back(keras, name):
    spec = optimizers.spec(name, learning_rate=0.5, weight_decay=0.25)
    built = optimizers.build(spec)
    assert type(built).__name__ == optimizers.OPTIMIZERS[name]
    assert float(built.learning_rate) == 0.5
    assert built.weight_decay == 0.25
    assert optimizers.from_keras(built) == spec


def test_no_weight_decay_is_no_weight_decay(keras):
    assert optimizers.build(optimizers.spec("adamw", weight_decay=0.0)).weight_decay == 0
    assert optimizers.build(optimizers.spec("adam", weight_decay=0.0)).weight_decay is None
    assert optimizers.build(optimizers.spec("adamw")).weight_decay == pytest.approx(0.004)


def test_an_optimizer_of_the_users_own_is_copied(keras):
    class Mine(keras.optimizers.SGD):
        pass

    mine = Mine(0.25, momentum=0.5)
    copy = optimizers.build(optimizers.spec(mine, learning_rate=0.125))
    assert type(copy) is Mine
    assert copy is not mine
    assert (float(copy.learning_rate), copy.momentum) == (0.125, 0.5)
