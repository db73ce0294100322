"""Models within models, frozen parts and penalties on what comes out, against `fit` of the user's own model."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import layers

import unitune

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(52, 5)).astype("float32"), rng.normal(size=(52, 1)).astype("float32")
FIT = {"epochs": 2, "batch_size": 16, "shuffle": False, "validation_data": (X[:20], Y[:20])}


def part(*more):
    return keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="relu"), *more, layers.Dense(4)])


def frozen(layer):
    layer.trainable = False
    return layer


def first_frozen(x):
    inner = part()
    inner.layers[0].trainable = False
    return inner(x)


def called_twice(x):
    inner = part()
    return layers.Add()([inner(x), inner(x * 2)])


SOME = {
    "frozen, with batch normalization": lambda x: frozen(part(layers.BatchNormalization()))(x),
    "called twice": called_twice,
    "its first layer is frozen": first_frozen,
    "penalty on what comes out": lambda x: layers.Dense(4, activation="relu", activity_regularizer="l2")(x),
}
MORE = {
    "as it is": lambda x: part()(x),
    "dropout inside": lambda x: part(layers.Dropout(0.5, seed=3))(x),
    "frozen, with dropout, called in inference": lambda x: frozen(part(layers.Dropout(0.5, seed=3)))(x, training=False),
    "batch normalization in inference": lambda x: part(layers.BatchNormalization())(x, training=False),
    "batch normalization is frozen": lambda x: frozen(layers.BatchNormalization())(layers.Dense(6)(x)),
    "two levels": lambda x: keras.Sequential([keras.Input((5,)), part(), layers.Dense(3, activation="tanh")])(x),
    "frozen with a penalty": lambda x: frozen(layers.Dense(6, kernel_regularizer="l2"))(layers.Dense(4)(x)),
    "frozen with a constraint": lambda x: frozen(layers.Dense(6, kernel_constraint=keras.constraints.MaxNorm(0.1)))(x),
    "penalty on dropped numbers": lambda x: layers.Dropout(0.3, seed=1, activity_regularizer="l1")(layers.Dense(6)(x)),
    "penalty on normalised numbers": lambda x: layers.BatchNormalization(activity_regularizer="l2")(layers.Dense(6)(x)),
}


def compiled(network, optimizer):
    keras.utils.set_random_seed(7)
    entry = keras.Input((5,))
    model = keras.Model(entry, layers.Dense(1)(network(entry)))
    model.compile(optimizer(), "mse")
    return model


def agrees_with_fit(builds, x, **rows):
    """Each function builds a model, with the same weights whenever it is called."""
    models = {name: build() for name, build in builds.items()}
    result = unitune.compare(models, x, Y, **rows, normalize=False, progress=False)
    for trial in result.trials:
        name = trial.configuration["model"]
        assert trial.engine == "fused", (name, trial.engine_reason)
        fitted = builds[name]().fit(x, Y, **rows, verbose=0).history
        ours = result.history(trial)
        for split, key in (("train", "loss"), ("validation", "val_loss")):
            values = ours[(ours.metric == "loss") & (ours.split == split)].value
            np.testing.assert_allclose(values, fitted[key], rtol=1e-4, err_msg=f"{name}, {key}")


def builds_of(networks, optimizer):
    return {name: partial(compiled, network, optimizer) for name, network in networks.items()}


def test_nested_and_frozen_networks_are_fused_and_agree_with_fit():
    agrees_with_fit(builds_of(SOME, lambda: keras.optimizers.SGD(0.05)), X, **FIT)


def test_tables_that_are_looked_up_agree_with_fit_whatever_optimizers_are_beside_each_other():
    words = rng.integers(0, 12, (52, 7))
    optimizers = {
        "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
        "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
        "adam": lambda: keras.optimizers.Adam(0.01),
    }

    def embedded(optimizer):
        keras.utils.set_random_seed(7)
        model = keras.Sequential(
            [keras.Input((7,)), layers.Embedding(12, 4), layers.GlobalAveragePooling1D(), layers.Dense(1)]
        )
        model.compile(optimizer(), "mse")
        return model

    builds = {name: partial(embedded, optimizer) for name, optimizer in optimizers.items()}
    agrees_with_fit(builds, words, **FIT | {"validation_data": (words[:20], Y[:20])})


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.05, global_clipnorm=0.01),
        # A bias before batch normalization has no gradient but rounding, of which Adam makes steps.
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.3, epsilon=1e-3),
        lambda: keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5),
    ],
)
def test_more_nested_and_frozen_networks(optimizer):
    agrees_with_fit(builds_of(SOME | MORE, optimizer), X, **FIT)
