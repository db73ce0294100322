import dataclasses

import numpy as np
import pytest

from unitune.errors import OptionError
from unitune.models import backend, dense, heads
from unitune.models.blueprint import PICK, Blueprint, LayerSpec, OptimizerSpec, Schedule, Training
from unitune.models.build import bare_model, build_model, dropout_seed, initial_weights, n_parameters
from unitune.models.shape_rules import MERGING
from unitune.models.shapes import KNOWN_LAYERS, output_shape

HEAD = heads.head("binary")
TRAINING = Training(optimizer=OptimizerSpec(class_name="Adam", learning_rate=0.01), loss="binary_crossentropy")

CHAINS = {
    "dense": [("Dense", {"units": 7, "activation": "relu"})],
    "no bias": [("Dense", {"units": 7, "use_bias": False})],
    "batch": [("Dense", {"units": 7}), ("BatchNormalization", {})],
    "batch without": [("BatchNormalization", {"scale": False, "center": False})],
    "layer": [("LayerNormalization", {}), ("LayerNormalization", {"center": False})],
    "group": [("Dense", {"units": 8}), ("GroupNormalization", {"groups": 4})],
    "rms": [("RMSNormalization", {})],
    "prelu": [("Dense", {"units": 7}), ("PReLU", {})],
    "weightless": [(name, {}) for name in ("ELU", "LeakyReLU", "ReLU", "Softmax", "UnitNormalization")],
    "noise": [("GaussianNoise", {"stddev": 0.1}), ("AlphaDropout", {"rate": 0.1}), ("GaussianDropout", {"rate": 0.1})],
    "other": [
        ("Activation", {"activation": "tanh"}),
        ("ActivityRegularization", {"l2": 0.1}),
        ("Dropout", {"rate": 0.2}),
    ],
}


CONV = {"filters": 5, "kernel_size": 2}
IMAGES = {
    "convolutions": [
        ("Conv2D", {**CONV, "strides": 2, "padding": "same"}),
        ("Conv2DTranspose", {**CONV, "strides": 2}),
    ],
    "depthwise": [
        ("DepthwiseConv2D", {"kernel_size": 2, "depth_multiplier": 2}),
        ("SeparableConv2D", {**CONV, "depth_multiplier": 2}),
    ],
    "pooling": [
        ("MaxPooling2D", {"padding": "same"}),
        ("AveragePooling2D", {"pool_size": 2, "strides": 1}),
        ("Flatten", {}),
    ],
    "room": [("ZeroPadding2D", {"padding": ((1, 2), (0, 1))}), ("Cropping2D", {}), ("UpSampling2D", {"size": (2, 3)})],
    "dropout": [("SpatialDropout2D", {"rate": 0.1}), ("Rescaling", {"scale": 2.0}), ("Identity", {})],
    "reshape": [("Permute", {"dims": (3, 1, 2)}), ("Reshape", {"target_shape": (-1, 4)}), ("GlobalMaxPooling1D", {})],
    "mean": [("GlobalAveragePooling2D", {"keepdims": True}), ("GlobalMaxPooling2D", {}), ("RepeatVector", {"n": 3})],
}
SEQUENCES = {
    "masking": [("Masking", {"mask_value": 0.0}), ("GRU", {"units": 3})],
    "convolutions": [("Conv1D", {**CONV, "padding": "causal", "dilation_rate": 2}), ("Conv1DTranspose", CONV)],
    "depthwise": [
        ("DepthwiseConv1D", {"kernel_size": 3}),
        ("SeparableConv1D", CONV),
        ("SpatialDropout1D", {"rate": 0.1}),
    ],
    "pooling": [("MaxPooling1D", {"pool_size": 3}), ("UpSampling1D", {}), ("AveragePooling1D", {"pool_size": 2})],
    "room": [("ZeroPadding1D", {"padding": 2}), ("Cropping1D", {"cropping": (1, 2)}), ("GlobalAveragePooling1D", {})],
    "recurrent": [
        ("LSTM", {"units": 4, "return_sequences": True}),
        ("GRU", {"units": 3, "return_sequences": True}),
        ("GRU", {"units": 3, "return_sequences": True, "reset_after": False}),
        ("SimpleRNN", {"units": 2, "use_bias": False}),
    ],
    "equation": [
        ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d"}),
        ("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 3}),
    ],
}
VOLUMES = {
    "convolutions": [("Conv3D", CONV), ("Conv3DTranspose", CONV), ("SpatialDropout3D", {"rate": 0.1})],
    "pooling": [("MaxPooling3D", {"padding": "same"}), ("UpSampling3D", {}), ("AveragePooling3D", {"pool_size": 2})],
    "room": [("ZeroPadding3D", {}), ("Cropping3D", {"cropping": (1, 0, 1)}), ("GlobalMaxPooling3D", {})],
    "mean": [("GlobalAveragePooling3D", {})],
}
RANKS = [
    pytest.param(layers, shape, id=f"{len(shape)}-{name}")
    for table, shape in ((CHAINS, (5,)), (IMAGES, (6, 5, 4)), (SEQUENCES, (9, 4)), (VOLUMES, (4, 5, 4, 2)))
    for name, layers in table.items()
]


def chain(layers):
    return Blueprint(layers=tuple(LayerSpec(class_name=name, config=config) for name, config in layers))


@pytest.mark.parametrize(("layers", "shape"), RANKS)
def test_weights_and_parameters_are_those_of_keras(layers, shape):
    blueprint = chain(layers)
    model = bare_model(blueprint, shape)
    assert n_parameters(blueprint, shape) == model.count_params()
    for drawn, own in zip(initial_weights(blueprint, shape, 0), model.get_weights(), strict=True):
        assert drawn.shape == own.shape
        if own.size >= 40:
            assert drawn.std() == pytest.approx(own.std(), rel=0.5)
    known = model(np.zeros((1, *shape))).shape[1:]
    assert output_shape(blueprint, shape) == known


def test_every_known_layer_is_covered():
    chains = {name for table in (CHAINS, IMAGES, SEQUENCES, VOLUMES) for layers in table.values() for name, _ in layers}
    graphs = {"Embedding", "MultiHeadAttention", "Concatenate", PICK, *MERGING}
    assert chains | graphs == KNOWN_LAYERS


def test_images_are_flattened_and_shared_axes_counted():
    blueprint = chain(
        [("PReLU", {"shared_axes": [1, 2]}), ("BatchNormalization", {}), ("Flatten", {}), ("Dense", {"units": 2})]
    )
    model = bare_model(blueprint, (4, 3, 2))
    assert n_parameters(blueprint, (4, 3, 2)) == model.count_params()
    assert [w.shape for w in initial_weights(blueprint, (4, 3, 2), 0)] == [w.shape for w in model.get_weights()]


def test_a_layer_in_the_middle_may_change_the_rank():
    blueprint = chain([("Dense", {"units": 4}), ("Reshape", {"target_shape": (2, 2)}), ("Dense", {"units": 3})])
    assert n_parameters(blueprint, (5,)) == bare_model(blueprint, (5,)).count_params() == 5 * 4 + 4 + 2 * 3 + 3
    first, again = (initial_weights(blueprint, (5,), seed=3) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])


def test_a_built_model_starts_with_its_members_weights():
    blueprint = dense.blueprint({"units": 4, "activation": "relu"}, HEAD)
    model = build_model(blueprint, (3,), seed=5)
    for given, expected in zip(model.get_weights(), initial_weights(blueprint, (3,), 5), strict=True):
        np.testing.assert_array_equal(given, expected)
    assert [layer.name for layer in model.layers] == ["dense_1", "output"]


def test_dropout_follows_from_the_members_seed():
    keras = backend.ensure()
    blueprint = chain([("Dropout", {"rate": 0.5})])
    x = np.ones((4, 50), "float32")

    def dropped(seed):
        return keras.ops.convert_to_numpy(build_model(blueprint, (50,), seed=seed)(x, training=True))

    np.testing.assert_array_equal(dropped(1), dropped(1))
    assert not np.array_equal(dropped(1), dropped(2))
    assert build_model(blueprint, (50,), seed=1).layers[0].seed == dropout_seed(1, 0)


def test_dropout_seeds_differ_and_fit_every_backend():
    seeds = {dropout_seed(seed, index) for seed in range(50) for index in range(8)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**31 - 2 for seed in seeds)


def test_cloned_template_is_seeded_too():
    keras = backend.ensure()
    template = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5)])
    x = np.ones((4, 50), "float32")
    first, again, other = (
        keras.ops.convert_to_numpy(build_model(Blueprint(template=template), (50,), seed=seed)(x, training=True))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_schedule_reaches_the_optimizer():
    blueprint = dense.blueprint({"units": 4, "activation": "relu"}, HEAD)
    training = dataclasses.replace(TRAINING, schedule=Schedule(name="cosine"), epochs=3)
    model = build_model(blueprint, (3,), training, steps_per_epoch=5)
    assert model.optimizer._learning_rate.decay_steps == 15
    with pytest.raises(OptionError, match="steps_per_epoch"):
        build_model(blueprint, (3,), training)


def test_an_activation_layer_of_the_users_own_is_copied_into_each_model():
    keras = backend.ensure()

    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return 2.0 * inputs

    mine = Twice()
    blueprint = dense.blueprint({"units": 4, "activation": mine}, HEAD)
    model = build_model(blueprint, (3,))
    assert type(model.layers[1]) is Twice
    assert model.layers[1] is not mine
    assert n_parameters(blueprint, (3,)) == model.count_params()


def test_unknown_layer_and_empty_blueprint_are_refused():
    with pytest.raises(OptionError, match="Dens"):
        bare_model(chain([("Dens", {"units": 3})]), (3,))
    with pytest.raises(OptionError, match="neither"):
        bare_model(Blueprint(), (3,))
