"""Models and layers of a class of one's own: read as the graph of layers that their `call` makes, or left alone."""

import numpy as np
import pytest

import unitune
from unitune.models import backend
from unitune.models.adopt import read_model
from unitune.models.calls import Unreadable
from unitune.models.subclassed import graph_of_call


@pytest.fixture(scope="module")
def keras():
    return backend.ensure()


def network(keras, call, **more):
    """A model with two layers, a dropout and this `call`."""

    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(4, "relu")
            if call is tells:
                self.norm = keras.layers.BatchNormalization(name="norm")
            self.out, self.dropout = keras.layers.Dense(1), keras.layers.Dropout(0.2)

    Network.call = call
    for name, method in more.items():
        setattr(Network, name, method)
    return Network()


def plain(self, x, training=False):
    return self.out(self.dropout(self.hidden(x), training=training))


def test_the_graph_is_that_of_the_layers(keras):
    model = network(keras, plain)
    graph = graph_of_call(model, (3,))
    assert [id(one) for one in graph.weights] == [id(one) for one in model.weights]
    assert [spec.class_name for spec in read_model(graph).layers] == ["Dense", "Dropout", "Dense"]
    rows = keras.random.normal((4, 3), seed=0)
    np.testing.assert_allclose(graph(rows), model(rows), rtol=1e-6)


def in_training(self, x, training=False):
    x = self.hidden(x)
    return self.out(self.dropout(x) if training else x)


def adds(self, x):
    x = self.hidden(x)
    self.add_loss(x)
    return self.out(x)


def not_told(self, x):
    """Keras passes `training` to a model whose `call` takes it, and only from there on to its layers."""
    return self.out(self.dropout(self.hidden(x)))


def tells(self, x, training=False):
    return self.out(self.norm(self.hidden(x), training=True))


def leaves_out(self, x):
    return self.out(x)


def step(self, data):
    return {}


@pytest.mark.parametrize(
    ("call", "more", "said"),
    [
        (in_training, {}, "does something else in training"),
        (adds, {}, "could not be read as a graph of layers"),
        (lambda self, x: self.out(self.hidden(x.numpy())), {}, "could not be read as a graph of layers"),
        (not_told, {}, "has no argument `training`"),
        (tells, {}, "says itself whether `norm` trains"),
        (leaves_out, {}, "in another order, or not all of them"),
        (plain, {"train_step": step}, "the model has a `train_step` of its own"),
    ],
)
def test_what_is_no_graph_of_layers_is_left_alone(keras, call, more, said):
    model = network(keras, call, **more)
    if call is leaves_out:
        model.hidden.build((None, 3))
    with pytest.raises(Unreadable, match=said):
        graph_of_call(model, (3,))


def test_what_is_no_graph_of_layers_is_trained_by_its_own_fit(keras):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype("float32"), rng.normal(size=(40, 1)).astype("float32")
    fit = {"epochs": 2, "batch_size": 16, "shuffle": False, "validation_data": (x[:9], y[:9])}

    def made(call):
        keras.utils.set_random_seed(3)
        model = network(keras, call)
        model.dropout = keras.layers.Dropout(0.2, seed=1)
        model(x)
        model.compile("adam", "mse")
        return model

    models = {one.__name__: made(one) for one in (in_training, not_told)}
    result = unitune.compare(models, x, y, normalize=False, progress=False, **fit)
    assert [trial.engine for trial in result.trials] == ["solo", "solo"]
    for trial, call in zip(result.trials, (in_training, not_told), strict=True):
        expected = made(call).fit(x, y, verbose=0, **fit).history
        losses = result.history(trial).query("metric == 'loss'").pivot(index="epoch", columns="split", values="value")
        np.testing.assert_allclose(losses["train"], expected["loss"], rtol=1e-5)
        np.testing.assert_allclose(losses["validation"], expected["val_loss"], rtol=1e-5)


def test_layers_of_layers_are_read_through(keras):
    class Residual(keras.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.hidden, self.out = keras.layers.Dense(units, "relu"), keras.layers.Dense(3)

        def call(self, x):
            return x + self.out(self.hidden(x))

    class Scaled(Residual):
        def build(self, shape):
            self.scale = self.add_weight(shape=(3,))
            super().build(shape)

        def call(self, x):
            return super().call(x) * self.scale

    def kinds(*layers):
        return [spec.class_name for spec in read_model(keras.Sequential([keras.Input((3,)), *layers])).layers]

    assert kinds(Residual(4), keras.layers.Dense(1)) == ["Dense", "Dense", "Dense", "keras.ops.Add"]
    assert kinds(Scaled(4), keras.layers.Dense(1)) == []


def test_a_class_with_a_constructor_only_is_what_it_is_made_of(keras):
    class Row(keras.Sequential):
        def __init__(self, units):
            super().__init__([keras.Input((3,)), keras.layers.Dense(units)])

    class Twice(Row):
        def call(self, x, **given):
            return 2 * super().call(x, **given)

    assert [spec.class_name for spec in read_model(Row(2)).layers] == ["Dense"]
    assert "of the class `Twice`" in read_model(Twice(2)).solo_reason
