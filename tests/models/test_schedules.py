import numpy as np
import pytest

from unitune.errors import SpaceError
from unitune.models import backend, schedules
from unitune.models.blueprint import Plateau, Schedule

SCHEDULES = [
    "constant",
    "exponential",
    "exponential(final=0.5)",
    "cosine",
    "cosine(final=0.1)",
    "warmup_cosine",
    "warmup_cosine(warmup=0.5, start=0, final=0.2)",
    "step",
    "step(factor=0.1, every=0.3)",
    "step(every=1)",
]


@pytest.mark.parametrize("total", [1, 2, 7, 40])
@pytest.mark.parametrize("text", SCHEDULES)
def test_numpy_and_keras_agree_at_every_step(text, total):
    keras = backend.ensure()
    schedule, plateau = schedules.parse(schedules.check(text))
    assert plateau is None
    factors = schedules.factors(schedule, total)
    equal = schedules.keras_schedule(schedule, 0.125, total)
    rates = [float(keras.ops.convert_to_numpy(equal(step))) if callable(equal) else equal for step in range(total)]
    assert factors.shape == (total,)
    assert factors.dtype == np.float64
    np.testing.assert_allclose(rates, 0.125 * factors, rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("text", SCHEDULES)
def test_factors_stay_between_zero_and_one_and_end_where_they_should(text):
    factors = schedules.factors(schedules.parse(text)[0], 1000)
    assert factors.max() == pytest.approx(1.0)
    assert factors.min() >= 0
    shape = schedules.parameters(schedules.parse(text)[0])
    if "final" in shape:
        assert factors[-1] == pytest.approx(shape["final"], abs=0.01)


def test_step_has_as_many_stretches_as_fit():
    values, counts = np.unique(schedules.factors(Schedule(name="step"), 100), return_counts=True)
    assert values.tolist() == [0.125, 0.25, 0.5, 1.0]
    assert counts.tolist() == [25] * 4


def test_plateau_is_no_function_of_the_step():
    schedule, plateau = schedules.parse(schedules.check("plateau(factor=0.2, patience=5)"))
    assert schedule == Schedule()
    assert plateau == Plateau(factor=0.2, patience=5)


def test_a_schedule_of_keras_is_read_step_by_step():
    keras = backend.ensure()
    source = keras.optimizers.schedules.InverseTimeDecay(0.5, 10, 1.0)
    schedule = schedules.from_keras(source)
    assert schedules.keras_schedule(schedule, 1.0, 5) is source
    np.testing.assert_allclose(schedules.factors(schedule, 5), 0.5 / (1 + np.arange(5) / 10), rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("cosin", "Did you mean `cosine`"),
        ("step(factr=0.5)", "factor"),
        ("step(factor=1.5)", "below 1"),
        ("step(factor=true)", "above 0"),
        ("exponential(final=0)", "above 0"),
        ("warmup_cosine(warmup=1)", "below 1"),
        ("plateau(patience=1.5)", "whole"),
        (3, "names"),
    ],
)
def test_bad_schedule_says_which_rule(value, message):
    with pytest.raises(SpaceError, match=message):
        schedules.check(value)
