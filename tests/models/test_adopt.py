from functools import partial

import numpy as np
import pytest

from unitune.errors import OptionError
from unitune.models import backend
from unitune.models.adopt import adopt, predicts_logits
from unitune.models.blueprint import OptimizerSpec
from unitune.models.build import build_model, n_parameters
from unitune.models.description import describe


@pytest.fixture(scope="module")
def keras():
    return backend.ensure()


def rebuilt_equals(blueprint, training, weights, model, shape):
    """The blueprint rebuilt with the model's weights predicts what the model predicts."""
    copy = build_model(blueprint, shape, training, seed=1, steps_per_epoch=2)
    copy.set_weights(weights)
    x = np.random.default_rng(0).normal(size=(5, *shape)).astype("float32")
    np.testing.assert_allclose(np.asarray(copy(x)), np.asarray(model(x)), rtol=1e-6)
    return copy


def test_unbuilt_sequential_of_the_issue(keras):
    layers = keras.layers
    model = keras.Sequential([layers.Dense(64, "relu"), layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    blueprint, training, weights = adopt(model, (30,))
    assert [layer.config for layer in blueprint.layers] == [
        {"units": 64, "activation": "relu"},
        {"units": 1, "activation": "sigmoid"},
    ]
    assert training.optimizer == OptimizerSpec(class_name="Adam", learning_rate=0.001)
    assert (training.loss, training.metrics) == ("binary_crossentropy", ("accuracy",))
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    rebuilt_equals(blueprint, training, weights, model, (30,))


def test_metrics_written_as_third_argument_are_understood(keras):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", ["mae"])
    assert adopt(model, (2,))[1].metrics == ("mae",)


def test_functional_chain_with_everything(keras):
    layers = keras.layers
    entry = keras.Input((6,))
    hidden = layers.Dense(
        8,
        activation=layers.LeakyReLU(0.1),
        kernel_regularizer="l2",
        kernel_constraint="max_norm",
        kernel_initializer="he_normal",
    )(entry)
    hidden = layers.BatchNormalization(momentum=0.9)(hidden)
    hidden = layers.Activation(keras.ops.sin)(hidden)
    hidden = layers.Dropout(0.3, seed=4)(hidden)
    model = keras.Model(entry, layers.Dense(3, "softmax", name="classes")(hidden), name="mine")
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, clipnorm=1.0),
        loss,
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    blueprint, training, weights = adopt(model, (6,))
    names = [layer.class_name for layer in blueprint.layers]
    assert names == ["Dense", "LeakyReLU", "BatchNormalization", "Activation", "Dropout", "Dense"]
    assert blueprint.layers[4].config["seed"] == 4
    assert training.optimizer.config == {"momentum": 0.9, "clipnorm": 1.0}
    assert training.schedule.source is rate
    assert training.loss is loss
    assert n_parameters(blueprint, (6,)) == model.count_params()
    copy = rebuilt_equals(blueprint, training, weights, model, (6,))
    assert copy.name == "mine"
    assert type(copy.layers[0].kernel_constraint).__name__ == "MaxNorm"
    assert type(copy.layers[0].kernel_regularizer).__name__ == "L2"


def test_names_of_layers_are_kept(keras):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="wide"), keras.layers.Dense(1, name="out")])
    model.compile(loss="mse")
    blueprint, _, _ = adopt(model)
    assert [layer.name for layer in build_model(blueprint, (2,)).layers] == ["wide", "out"]


def test_arguments_of_initializers_and_regularizers_are_kept(keras):
    kernel, bias = keras.initializers.Identity(gain=2.0), keras.initializers.Constant(0.5)
    dense = keras.layers.Dense(
        2, kernel_initializer=kernel, bias_initializer=bias, kernel_regularizer=keras.regularizers.L1(0.25)
    )
    model = keras.Sequential([keras.Input((2,)), dense])
    model.compile(loss="mse")
    config = adopt(model)[0].layers[0].config
    assert config["kernel_initializer"] == {"class_name": "Identity", "config": {"gain": 2.0}}
    assert config["bias_initializer"] == {"class_name": "Constant", "config": {"value": 0.5}}
    assert config["kernel_regularizer"] == {"class_name": "L1", "config": {"l1": 0.25}}
    for drawn, own in zip(build_model(adopt(model)[0], (2,)).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(drawn, own)


def test_frozen_layer_stays_frozen(keras):
    frozen = keras.layers.Dense(3, trainable=False)
    model = keras.Sequential([keras.Input((2,)), frozen, keras.layers.Dense(1)])
    model.compile(loss="mse")
    blueprint, _, _ = adopt(model)
    assert blueprint.layers[0].config["trainable"] is False
    assert len(build_model(blueprint, (2,)).trainable_weights) == 2


@pytest.mark.parametrize("kind", ["skip", "shared", "nested", "custom", "adapted", "prelu", "operations", "lambda"])
def test_any_graph_of_layers_is_read(keras, kind):
    layers = keras.layers

    class Mine(layers.Dense):
        pass

    entry = keras.Input((3,))
    dense = layers.Dense(3)
    outputs = {
        "skip": lambda: layers.Add()([dense(entry), entry]),
        "shared": lambda: dense(dense(entry)),
        "nested": lambda: keras.Sequential([layers.Dense(3)])(entry),
        "custom": lambda: Mine(3)(entry),
        "prelu": lambda: layers.Dense(3, activation=layers.PReLU())(entry),
        "adapted": lambda: layers.Normalization(mean=1.0, variance=2.0)(entry),
        "operations": lambda: keras.ops.maximum(dense(entry) + entry, 0.5 * entry),
        "lambda": lambda: layers.Lambda(lambda x: x * 2.0)(dense(entry)),
    }
    model = keras.Model(entry, outputs[kind]())
    model.compile(loss="mse")
    blueprint, training, weights = adopt(model, (3,))
    assert blueprint.layers
    assert blueprint.template is None
    assert not blueprint.keeps_weights
    assert n_parameters(blueprint, (3,)) == model.count_params()
    rebuilt_equals(blueprint, training, weights, model, (3,))


def test_branches_and_names_are_rebuilt_in_the_order_of_the_weights(keras):
    layers = keras.layers
    numbers, words = keras.Input((4,), name="numbers"), keras.Input((6,), dtype="int32", name="words")
    table = layers.Embedding(9, 3, name="table")(words)
    attended = layers.MultiHeadAttention(2, 3, name="attention")(table, value=table, use_causal_mask=True)
    pooled = layers.GlobalAveragePooling1D()(layers.Add()([table, attended]))
    joined = layers.Concatenate()([layers.Dense(5, "relu", name="wide")(numbers), pooled])
    model = keras.Model([numbers, words], layers.Dense(2, name="out")(joined), name="both")
    model.compile(loss="mse")
    shape = ((4,), (6,))
    blueprint, _, weights = adopt(model, shape)
    copy = build_model(blueprint, shape)
    assert [one.name for one in copy.inputs] == ["numbers", "words"]
    assert copy.name == "both"
    assert [w.shape for w in copy.get_weights()] == [w.shape for w in weights]
    copy.set_weights(weights)
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(5, 4)).astype("float32"), rng.integers(0, 9, (5, 6)).astype("int32")]
    np.testing.assert_allclose(np.asarray(copy(x)), np.asarray(model(x)), rtol=1e-6)


def test_what_needs_its_own_fit_says_why(keras):
    class Mine(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    entry = keras.Input((3,))
    model = Mine(entry, keras.layers.Dense(1)(entry))
    model.compile(loss="mse")
    blueprint, _, _ = adopt(model)
    assert blueprint.template is model
    assert blueprint.solo_reason == "the model has a `train_step` of its own"
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    plain.compile(loss="mse", run_eagerly=True)
    blueprint, training, _ = adopt(plain)
    assert "run_eagerly" in blueprint.solo_reason
    assert build_model(blueprint, (3,), training).run_eagerly


def test_functions_without_a_name_are_kept_as_they_are(keras):
    layers, halved = keras.layers, partial(keras.activations.elu, alpha=0.5)

    def compiled(layer):
        model = keras.Sequential([keras.Input((3, 2)), layer, layers.Flatten(), layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    model = compiled(layers.Dense(2, activation=halved))
    blueprint, training, weights = adopt(model, (3, 2))
    assert blueprint.layers[0].config == {"units": 2, "activation": halved}
    assert model.layers[0].activation is halved
    rebuilt_equals(blueprint, training, weights, model, (3, 2))
    blueprint, training, _ = adopt(compiled(layers.GRU(2, activation=halved)), (3, 2))
    assert "`GRU` holds something that Keras cannot write down" in blueprint.solo_reason
    assert "GRU(" in describe(blueprint, training)


def test_weights_are_read_only_where_they_are_wanted(keras):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    assert adopt(model, weights=False)[2] == ()


def test_logits_are_noticed(keras):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    assert predicts_logits(adopt(model)[1])
    model.compile(loss=keras.losses.BinaryCrossentropy())
    assert not predicts_logits(adopt(model)[1])


def test_models_that_cannot_be_compared_are_refused(keras):
    layers = keras.layers

    class Sub(keras.Model):
        def call(self, inputs):
            return keras.ops.convert_to_tensor(inputs.numpy())

    plain = keras.Sequential([layers.Dense(1)])
    with pytest.raises(OptionError, match="compile"):
        adopt(plain, (2,))
    plain.compile(loss="mse")
    with pytest.raises(OptionError, match="Input"):
        adopt(plain)
    adopt(plain, (2,))
    with pytest.raises(OptionError, match=r"\(3,\)"):
        adopt(plain, (3,))
    with pytest.raises(OptionError, match=r"keras\.Model"):
        adopt("model")
    sub = Sub()
    sub.compile(loss="mse")
    assert "could not be read as a graph of layers" in adopt(sub, (2,))[0].solo_reason
    first, second = keras.Input((2,)), keras.Input((2,))
    two = keras.Model([first, second], layers.Add()([first, second]))
    two.compile(loss="mse")
    with pytest.raises(OptionError, match=r"\(\(2,\), \(2,\)\)"):
        adopt(two, (2,))
    outputs = keras.Model(first, [layers.Dense(1)(first), layers.Dense(1)(first)])
    outputs.compile(loss="mse")
    with pytest.raises(OptionError, match="one output"):
        adopt(outputs, (2,))


def test_a_configuration_that_keras_takes_apart_stays_whole(keras):
    cells = keras.layers.StackedRNNCells([keras.layers.GRUCell(2), keras.layers.SimpleRNNCell(3)])
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.RNN(cells), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    blueprint, _, weights = adopt(model)
    for _ in range(2):
        again = build_model(blueprint, (4, 2))
        assert [one.shape for one in again.get_weights()] == [one.shape for one in weights]


def test_what_keras_knows_by_no_name_is_kept_as_it_is(keras):
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("Keras before 3.15 has no MultiOptimizer")
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1), {"bias": keras.optimizers.Adam(0.2)})
    )
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=[keras.losses.huber])
    _, training, _ = adopt(model)
    assert training.optimizer.config["optimizer"] is optimizer
    (metric,) = training.metrics
    assert metric.given is keras.losses.huber
    assert "no fused form" in metric.reason
