import math
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from unitune.errors import SpaceError
from unitune.models import backend, build
from unitune.models.blueprint import Blueprint, LayerSpec
from unitune.models.build import initial_weights
from unitune.models.initial import draw, fans

RANDOM = [
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "random_uniform(minval=-1, maxval=3)",
    "random_normal(mean=0.5, stddev=2.0)",
    "truncated_normal(stddev=0.5)",
    "variance_scaling(scale=3.0, mode='fan_out', distribution='untruncated_normal')",
    "variance_scaling(mode='fan_avg', distribution='uniform')",
]


def live(name):
    from unitune.models.initializers import plain

    made = backend.ensure().initializers.get(plain(name))
    config = made.get_config()
    return type(made).from_config({**config, "seed": 5}) if "seed" in config else made


@pytest.mark.parametrize("name", RANDOM)
def test_distribution_is_that_of_keras(name):
    shape = (200, 300)
    ours = draw(name, shape, seed=1).ravel().astype(float)
    theirs = np.asarray(backend.ensure().ops.convert_to_numpy(live(name)(shape))).ravel().astype(float)
    spread = float(theirs.std())
    # 60,000 draws: the mean is known to 0.4 %, the spread to 0.3 % of the spread; four standard errors are allowed.
    assert ours.mean() == pytest.approx(theirs.mean(), abs=4 * spread * math.sqrt(2 / ours.size))
    assert ours.std() == pytest.approx(spread, rel=4 * math.sqrt(1 / ours.size))
    quantiles = np.linspace(0.01, 0.99, 21)
    np.testing.assert_allclose(np.quantile(ours, quantiles), np.quantile(theirs, quantiles), atol=0.1 * spread)
    if "random_normal" not in name and "untruncated" not in name:
        assert np.abs(ours - ours.mean()).max() == pytest.approx(np.abs(theirs - theirs.mean()).max(), rel=0.03)


@pytest.mark.parametrize("name", ["zeros", "ones", "constant(value=0.5)", "identity(gain=2.0)"])
def test_what_is_not_random_equals_keras(name):
    theirs = backend.ensure().ops.convert_to_numpy(live(name)((3, 5)))
    np.testing.assert_array_equal(draw(name, (3, 5), seed=0), theirs)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 4)])
def test_orthogonal(shape):
    matrix = draw("orthogonal(gain=2.0)", shape, seed=0, dtype="float64").reshape(-1, shape[-1])
    rows, columns = matrix.shape
    gram = matrix @ matrix.T if rows < columns else matrix.T @ matrix
    np.testing.assert_allclose(gram, 4.0 * np.eye(len(gram)), atol=1e-12)


def test_objects_mappings_and_names_draw_alike():
    keras = backend.ensure()
    expected = draw("truncated_normal(stddev=0.1)", (4, 5), seed=3)
    for form in (
        {"class_name": "TruncatedNormal", "config": {"stddev": 0.1}},
        keras.initializers.TruncatedNormal(stddev=0.1),
        keras.initializers.TruncatedNormal(stddev=0.1),
        keras.initializers.serialize(keras.initializers.TruncatedNormal(stddev=0.1)),
    ):
        np.testing.assert_array_equal(draw(form, (4, 5), seed=3), expected)


def test_a_seed_of_the_users_draws_what_keras_draws():
    keras = backend.ensure()
    own = keras.initializers.TruncatedNormal(stddev=0.1, seed=9)
    theirs = keras.ops.convert_to_numpy(own((4, 5)))
    for seed in (3, 4):
        np.testing.assert_array_equal(draw(own, (4, 5), seed=seed), theirs)
    np.testing.assert_array_equal(draw("truncated_normal(stddev=0.1, seed=9)", (4, 5), seed=3), theirs)


def test_other_initializers_are_called_with_a_seed_of_the_member():
    keras = backend.ensure()

    class Mine(keras.initializers.RandomUniform):
        pass

    first, again, other = (draw(Mine(), (3, 3), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(draw(lambda shape, dtype: np.full(shape, 7.0, dtype), (2,), seed=0), [7.0, 7.0])


def test_gain_of_a_live_identity_is_read():
    identity = backend.ensure().initializers.Identity(gain=2.0)
    np.testing.assert_array_equal(draw(identity, (2, 2), seed=0), 2.0 * np.eye(2))


def test_fans_count_the_receptive_field():
    assert fans((3, 3, 8, 16)) == (72, 144)
    assert fans((5,)) == (5, 5)
    assert fans(()) == (1, 1)


def chain(units=6):
    return Blueprint(
        layers=(
            LayerSpec(class_name="Dense", config={"units": units, "kernel_initializer": "he_normal"}),
            LayerSpec(class_name="BatchNormalization"),
            LayerSpec(
                class_name="PReLU", config={"alpha_initializer": {"class_name": "Constant", "config": {"value": 0.2}}}
            ),
            LayerSpec(class_name="Dense", config={"units": 2, "use_bias": False}),
        )
    )


def test_weights_come_in_the_order_of_keras():
    weights = initial_weights(chain(), (5,), seed=0)
    model = build.bare_model(chain(), (5,))
    assert [w.shape for w in weights] == [w.shape for w in model.get_weights()]
    by_name = dict(zip([w.path.removeprefix("unitune/") for w in model.weights], weights, strict=True))
    assert (by_name["batch_normalization_1/moving_variance"] == 1).all()
    assert (by_name["batch_normalization_1/moving_mean"] == 0).all()
    assert (by_name["p_re_lu_1/alpha"] == np.float32(0.2)).all()


def test_same_seed_same_weights_and_members_pair_up_where_shapes_agree():
    a, again, other = (initial_weights(chain(), (5,), seed=seed) for seed in (4, 4, 5))
    assert all(np.array_equal(x, y) for x, y in zip(a, again, strict=True))
    assert not np.array_equal(a[0], other[0])
    assert not np.array_equal(a[0][:, :2], a[-1][:5])
    longer = Blueprint(layers=chain().layers[:1] * 2 + chain().layers[1:])
    np.testing.assert_array_equal(initial_weights(longer, (5,), seed=4)[0], a[0])


def test_dtype():
    assert {w.dtype for w in initial_weights(chain(), (5,), seed=0)} == {np.dtype("float32")}
    assert {w.dtype for w in initial_weights(chain(), (5,), seed=0, dtype="float64")} == {np.dtype("float64")}


def test_template_is_drawn_from_the_seed_and_leaves_the_global_generator_alone():
    keras = backend.ensure()
    entry = keras.Input((3,))
    hidden = keras.layers.Dense(3)(entry)
    template = Blueprint(template=keras.Model(entry, keras.layers.Add()([entry, hidden])))
    random.seed(1)
    expected = random.random()
    random.seed(1)
    first, again, other = (initial_weights(template, (3,), seed=seed) for seed in (1, 1, 2))
    assert random.random() == expected
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("name", ["identity", "orthogonal"])
def test_matrix_initializers_refuse_a_bias(name):
    with pytest.raises(SpaceError, match="matrix"):
        draw(name, (3,), seed=0)


def test_threads_that_draw_at_a_time_do_not_change_what_is_drawn():
    keras = backend.ensure()

    class Own(keras.layers.Dense):
        pass

    own = LayerSpec(class_name="Own", config={"class": Own, "config": {"units": 3}})
    networks = [(Blueprint(layers=(own, own)), (4,), seed) for seed in range(24)]
    alone = [initial_weights(*network) for network in networks]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda network: initial_weights(*network), networks))
    for one, other in zip(alone, together, strict=True):
        for mine, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, same)
