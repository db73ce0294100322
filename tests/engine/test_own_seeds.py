"""A seed that the user wrote decides what is drawn, as in `fit`; what has none follows from the run's seed."""

import keras
import numpy as np
from keras import initializers, layers

import unitune
from unitune.models.adopt import read_model

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(52, 5)).astype("float32"), rng.normal(size=(52, 1)).astype("float32")
ROWS = {"validation_data": (X[:20], Y[:20])}
FIT = {"epochs": 2, "batch_size": 16, "shuffle": False}


def recurrent_weights() -> dict[str, initializers.Initializer]:
    return {
        "kernel_initializer": initializers.GlorotUniform(3),
        "recurrent_initializer": initializers.Orthogonal(seed=4),
    }


NETWORKS = {
    "glorot": lambda: [
        layers.Dense(6, kernel_initializer=initializers.GlorotUniform(3)),
        layers.Dropout(0.4, seed=1),
        layers.Dense(1, kernel_initializer=initializers.HeNormal(4)),
    ],
    # These draw whenever they are called, for validation rows too.
    "recurrent": lambda: [
        layers.Reshape((5, 1)),
        layers.LSTM(4, dropout=0.3, seed=5, return_sequences=True, **recurrent_weights()),
        layers.SimpleRNN(3, dropout=0.2, recurrent_dropout=0.3, seed=6, **recurrent_weights()),
        layers.Dense(1, kernel_initializer=initializers.HeNormal(4)),
    ],
    "orthogonal": lambda: [
        layers.Dense(6, kernel_initializer=initializers.Orthogonal(seed=3)),
        layers.GaussianNoise(0.4, seed=2**33 + 5),
        layers.Dense(
            1,
            kernel_initializer=initializers.RandomNormal(seed=4),
            bias_initializer=initializers.RandomUniform(seed=2),
        ),
    ],
}


def compiled(name: str) -> keras.Model:
    model = keras.Sequential([keras.Input((5,)), *NETWORKS[name]()])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    return model


class Networks(unitune.HyperModel):
    def build(self, hp):
        return compiled(hp.Choice("network", list(NETWORKS)))

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, **FIT, **kwargs)


def test_seeds_of_the_users_are_those_that_fit_draws_with():
    result = unitune.tune(Networks(), X, Y, **ROWS, strategy="grid", progress=False)
    assert [trial.engine for trial in result.trials] == ["fused"] * len(NETWORKS)
    for trial in result.trials:
        fitted = compiled(trial.configuration["network"]).fit(X, Y, **FIT, **ROWS, verbose=0).history
        ours = result.history(trial)
        for split, name in (("train", "loss"), ("validation", "val_loss")):
            values = ours[(ours.metric == "loss") & (ours.split == split)].value
            np.testing.assert_allclose(values, fitted[name], rtol=1e-4)


def test_a_seed_that_no_configuration_says_is_left_to_fit():
    class Noisy(layers.Layer):
        def __init__(self, seed=None, **options):
            super().__init__(**options)
            self.seed, self.seed_generator = seed, keras.random.SeedGenerator(seed)

        def get_config(self):
            return super().get_config()

        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)

    for seed, said in ((5, "has a seed that its configuration does not say"), (None, "")):
        model = keras.Sequential([keras.Input((4,)), Noisy(seed), layers.Dense(1)])
        assert said in read_model(model).solo_reason


def test_a_layer_with_a_seed_that_cannot_be_made_again_is_left_to_fit():
    """Keras 3.15 refuses what its own `RandomShear` says of itself."""
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.RandomShear(0.3, seed=3), layers.Flatten(), layers.Dense(1)]
    )
    assert "`RandomShear` cannot be made again from its arguments" in read_model(model).solo_reason


def test_a_layer_that_has_drawn_already_goes_on_from_there():
    model = compiled("glorot")
    model(X, training=True)
    result = unitune.compare({"used": model}, X, Y, **ROWS, **FIT, normalize=False, progress=False)
    assert "has drawn random numbers already" in result.trials[0].engine_reason


def test_a_variable_whose_gradient_is_its_value_is_left_to_keras():
    model = compiled("glorot")
    model.layers[0].bias.overwrite_with_gradient = True
    assert "takes its gradient as its value" in read_model(model).solo_reason
