"""Whatever is not what its arguments say is not plain: tried on every public class of the installed Keras."""

import inspect
import types

import numpy as np
import pytest

from unitune.models import backend, calls, optimizers
from unitune.models.compiled_metrics import read_metric
from unitune.models.identity import NotPlain, read
from unitune.models.value_key import BOOKKEEPING, attribute_keys

KINDS = {
    "losses": "Loss",
    "metrics": "Metric",
    "regularizers": "Regularizer",
    "initializers": "Initializer",
    "constraints": "Constraint",
    "callbacks": "Callback",
    "optimizers.schedules": "LearningRateSchedule",
}
# Arguments that a class must have.
NEEDS = {
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "BackupAndRestore": {"backup_dir": "folder"},
    "CSVLogger": {"filename": "file"},
    "ModelCheckpoint": {"filepath": "file.keras"},
    "LearningRateScheduler": {"schedule": abs},
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "PiecewiseConstantDecay": {"boundaries": [2], "values": [0.1, 0.2]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
}
# Their instances have functions put in, want others inside, or a package that is not there.
LEFT_OUT = {"LambdaCallback", "MeanMetricWrapper", "OrbaxCheckpoint", "RemoteMonitor", "CallbackList"}
OTHER = {"curve": "PR", "summation_method": "minoring", "reduction": "sum", "average": "macro", "mode": "max"}


@pytest.fixture(scope="module")
def keras():
    return backend.ensure()


def classes(keras, module):
    """The public classes of a module, each once, with their arguments."""
    found = keras
    for part in module.split("."):
        found = getattr(found, part)
    base = getattr(found, KINDS[module])
    for name, kind in sorted(vars(found).items()):
        public = inspect.isclass(kind) and issubclass(kind, base) and kind is not base and kind.__name__ == name
        if public and name not in LEFT_OUT:
            yield kind, NEEDS.get(name, {})


def other(name, value):
    """Another value of an argument."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 0.75 + 0.11
    return OTHER.get(name)


def plain(live, module):
    return read(live, module, "object")


@pytest.mark.parametrize("module", KINDS)
def test_what_keras_makes_is_plain(keras, module):
    made = [kind(**arguments) for kind, arguments in classes(keras, module)]
    assert len(made) > 3
    for one in made:
        plain(one, module)


@pytest.mark.parametrize("module", KINDS)
def test_every_argument_is_read_whatever_the_configuration_leaves_out(keras, module):
    tried = 0
    for kind, arguments in classes(keras, module):
        for name, parameter in inspect.signature(kind).parameters.items():
            value = other(name, arguments.get(name, parameter.default))
            if value is None or name == "name":
                continue
            try:
                live = kind(**{**arguments, name: value})
            except (ValueError, TypeError, AttributeError):
                continue  # not on its own
            tried += 1
            try:
                told = plain(live, module)
            except NotPlain:
                continue  # the user's own object is trained with
            again = kind(**{**arguments, **told})
            assert attribute_keys(again) == attribute_keys(live), (kind, name)
            if name != "seed":
                assert attribute_keys(again) != attribute_keys(kind(**arguments)), (kind, name)
    assert tried > 0 or module == "constraints"


def test_arguments_that_keras_leaves_out_of_configurations_are_read(keras):
    assert plain(keras.losses.Huber(0.3), "losses") == {"delta": 0.3}
    assert plain(keras.losses.CosineSimilarity(axis=1), "losses") == {"axis": 1}
    assert plain(keras.losses.SparseCategoricalCrossentropy(axis=1), "losses") == {"axis": 1}
    assert plain(keras.initializers.Identity(gain=2.0), "initializers") == {"gain": 2.0}
    assert plain(keras.metrics.AUC(thresholds=[0.2, 0.7]), "metrics")["thresholds"] == [0.2, 0.7]


@pytest.mark.parametrize("module", KINDS)
def test_a_class_of_the_same_name_is_not_keras(keras, module):
    for kind, arguments in classes(keras, module):
        own = type(kind.__name__, (kind,), {})
        with pytest.raises(NotPlain, match="class of your own"):
            plain(own(**arguments), module)
        own.__module__ = kind.__module__
        with pytest.raises(NotPlain):
            plain(own(**arguments), module)


@pytest.mark.parametrize("module", KINDS)
def test_a_method_that_was_put_in_is_seen(keras, module):
    for kind, arguments in classes(keras, module):
        for name in dir(kind):
            method = getattr(kind, name)
            if name.startswith("__") or not isinstance(method, types.FunctionType) or name in BOOKKEEPING:
                continue
            live = kind(**arguments)
            setattr(live, name, lambda *args, **kwargs: 0)
            with pytest.raises(NotPlain):
                plain(live, module)


@pytest.mark.parametrize("module", KINDS)
def test_an_attribute_that_was_changed_is_seen_or_read(keras, module):
    for kind, arguments in classes(keras, module):
        for name, value in vars(kind(**arguments)).items():
            if name in BOOKKEEPING or other(name, value) is None:
                continue
            live = kind(**arguments)
            setattr(live, name, other(name, value))
            try:
                told = plain(live, module)
            except NotPlain:
                continue
            assert attribute_keys(kind(**{**arguments, **told})) == attribute_keys(live), (kind, name)


def test_a_method_that_was_put_into_keras_class_is_seen(keras, monkeypatch):
    monkeypatch.setattr(keras.losses.LogCosh, "call", lambda self, y, p: p, raising=False)
    with pytest.raises(NotPlain, match="`call` of its own"):
        plain(keras.losses.LogCosh(), "losses")


# Optimizers ---------------------------------------------------------------------------------------------------------


def all_optimizers(keras):
    for name in optimizers.OPTIMIZERS.values():
        yield getattr(keras.optimizers, name)


def test_every_new_optimizer_can_be_made_anew(keras):
    for kind in all_optimizers(keras):
        assert optimizers.why_not_anew(kind()) == "", kind
        built = kind()
        built.build([keras.Variable(np.ones((3, 3), "float32"))])
        assert optimizers.why_not_anew(built) == "", kind


def test_the_state_of_an_optimizer_is_seen(keras):
    def trained(optimizer):
        variable = keras.Variable(np.ones((3, 3), "float32"))
        optimizer.apply([keras.ops.ones((3, 3))], [variable])

    def set_slots(optimizer):
        optimizer.build([keras.Variable(np.ones((3, 3), "float32"))])
        for slot in optimizer.variables[2:]:
            slot.assign(keras.ops.ones_like(slot) * 0.37)

    def patched(optimizer):
        optimizer.update_step = lambda gradient, variable, learning_rate: None

    def noted(optimizer):
        optimizer.weight_decay_of_mine = 3

    for change, reason in (
        (trained, "has taken 1 steps"),
        (set_slots, "slots"),
        (patched, "`update_step` of its own"),
        (lambda one: one.exclude_from_weight_decay(var_names=["bias"]), "exclude_from_weight_decay"),
        (noted, "weight_decay_of_mine"),
    ):
        for kind in all_optimizers(keras):
            live = kind()
            change(live)
            if change is set_slots and len(live.variables) < 3:
                continue
            assert reason in optimizers.why_not_anew(live), (kind, reason)


def test_a_rate_that_is_a_function_is_seen(keras):
    assert "is a function" in optimizers.why_not_anew(keras.optimizers.SGD(lambda: 0.1))


# Layers -------------------------------------------------------------------------------------------------------------

SHAPES = {1: (6,), 2: (5, 4), 3: (6, 6, 3), 4: (6, 6, 6, 2)}


def _layers(keras):
    layers = keras.layers
    one = [
        layers.Dense(3, activation="relu", kernel_regularizer="l2", bias_constraint="non_neg"),
        layers.Dense(3, activation=layers.LeakyReLU(0.1)),
        layers.Dense(3, activation=keras.ops.sin, use_bias=False, bias_regularizer="l1"),
        layers.BatchNormalization(gamma_regularizer="l1", beta_constraint="non_neg"),
        layers.BatchNormalization(center=False, scale=False),
        layers.LayerNormalization(),
        layers.GroupNormalization(2),
        layers.UnitNormalization(),
        layers.PReLU(alpha_regularizer="l2"),
        layers.Activation("tanh"),
        layers.Dropout(0.2, seed=3),
        layers.Rescaling(0.5),
        layers.Softmax(),
        layers.Lambda(lambda x: x * 2),
        layers.Normalization(),
        keras.Sequential([layers.Dense(2), layers.Dropout(0.1)]),
    ]
    two = [
        layers.LSTM(3, recurrent_activation=keras.ops.sin, recurrent_regularizer="l2"),
        layers.GRU(3, reset_after=False),
        layers.SimpleRNN(3, use_bias=False),
        layers.Bidirectional(layers.LSTM(2)),
        layers.TimeDistributed(layers.Dense(2)),
        layers.Conv1D(3, 2, kernel_constraint="max_norm"),
        layers.SeparableConv1D(3, 2, depthwise_regularizer="l2", pointwise_constraint="max_norm"),
        layers.DepthwiseConv1D(2, depthwise_regularizer="l2"),
        layers.Flatten(),
        layers.Reshape((20,)),
    ]
    three = [
        layers.Conv2D(3, 2, strides=2, padding="same"),
        layers.Conv2DTranspose(3, 2),
        layers.MaxPooling2D(),
        layers.GlobalAveragePooling2D(),
        layers.ZeroPadding2D(1),
        layers.RandomFlip("horizontal", seed=1),
    ]
    return [(layer, SHAPES[rank]) for rank, group in enumerate((one, two, three), start=1) for layer in group]


def built(keras, layer, shape):
    keras.Sequential([keras.Input(shape), layer])
    return layer


def test_layers_are_read_before_and_after_they_are_built(keras):
    for layer, shape in _layers(keras):
        fresh = [spec.class_name for spec in calls.read_layer(layer)]
        assert [spec.class_name for spec in calls.read_layer(built(keras, layer, shape))] == fresh


def test_what_is_done_to_a_layer_is_seen(keras):
    def frozen(layer):
        layer.trainable_variables[0].trainable = False

    def regularized(layer):
        layer.trainable_variables[0].regularizer = keras.regularizers.L2(0.1)

    def constrained(layer):
        layer.trainable_variables[-1].constraint = keras.constraints.MaxNorm(0.3)

    def patched(layer):
        layer.call = lambda x, *args, **kwargs: x

    def rebuilt(layer):
        layer.build = lambda shape: None

    for change in (frozen, regularized, constrained, patched, rebuilt):
        for layer, shape in _layers(keras):
            built(keras, layer, shape)
            if change in (frozen, regularized, constrained) and not layer.trainable_variables:
                continue
            change(layer)
            with pytest.raises(calls.Unreadable):
                calls.read_layer(layer)


def test_a_regularizer_that_comes_too_late_is_seen(keras):
    for name, value in (("kernel_regularizer", "l2"), ("kernel_constraint", "max_norm"), ("bias_regularizer", "l1")):
        layer = built(keras, keras.layers.Dense(3), (4,))
        get = keras.regularizers.get if name.endswith("regularizer") else keras.constraints.get
        setattr(layer, name, get(value))
        with pytest.raises(calls.Unreadable, match="was changed"):
            calls.read_layer(layer)


def test_layers_with_a_state_outside_their_configuration_are_seen(keras):
    adapted = keras.layers.Normalization()
    adapted.adapt(np.arange(12.0).reshape(4, 3))

    class Scaled(keras.layers.Layer):
        def __init__(self, factor=1.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x):
            return x * self.factor

    late = Scaled(2.0)
    late.factor = 3.0
    told = Scaled(2.0)
    with pytest.raises(calls.Unreadable, match="`mean`"):
        calls.read_layer(adapted)
    with pytest.raises(calls.Unreadable, match="`factor`"):
        calls.read_layer(late)
    assert calls.read_layer(told)[0].class_name == "Scaled"


def test_activations_of_a_name_of_keras_stay_what_they_are(keras):
    def sigmoid(x):
        return keras.ops.sin(x)

    class ReLU(keras.layers.Layer):
        def call(self, x):
            return -x

    layers = keras.layers
    for layer in (layers.LSTM(3, recurrent_activation=sigmoid), layers.GRU(3, activation=sigmoid)):
        assert sigmoid in calls.read_layer(layer)[0].config.values()
    assert calls.read_layer(layers.Dense(3, activation=keras.ops.gelu))[0].config["activation"] is keras.ops.gelu
    assert calls.read_layer(layers.Dense(3, activation="gelu"))[0].config["activation"] == "gelu"
    with pytest.raises(calls.Unreadable, match="cannot be made again"):
        calls.read_layer(layers.Dense(3, activation=ReLU()))
    with pytest.raises(calls.Unreadable):
        calls.read_layer(layers.TimeDistributed(layers.Dense(3, activation=sigmoid)))


# Metrics ------------------------------------------------------------------------------------------------------------


def test_metrics_are_read_as_keras_logs_them(keras):
    def own(y, p):
        return keras.ops.mean(y - p, -1)

    class Own(keras.metrics.AUC):
        pass

    def told(given):
        name, spec, more = read_metric(given)
        return name, spec if isinstance(spec, str) else spec.class_name, more

    assert told("acc") == ("acc", "accuracy", True)
    assert told("AUC") == ("AUC", "AUC", True)
    assert told("MAE") == ("MAE", "MeanAbsoluteError", False)
    assert told("binary_accuracy") == ("binary_accuracy", "BinaryAccuracy", True)
    assert told(keras.metrics.Precision(name="p")) == ("p", "Precision", True)
    assert told(keras.losses.mean_squared_error) == ("mean_squared_error", "MeanSquaredError", False)
    assert dict(read_metric(keras.metrics.BinaryAccuracy(threshold=0.3))[1].config)["threshold"] == 0.3
    for given in (own, Own(), keras.metrics.MeanMetricWrapper(own)):
        assert told(given)[1] == ""
        assert read_metric(given)[1].given is given
    assert "a function of your own" in read_metric(own)[1].reason
    assert "a class of your own" in read_metric(Own())[1].reason
