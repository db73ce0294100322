"""Learning-rate schedules: a factor on the optimizer's rate at every step, in NumPy and as the equal Keras schedule.

| schedule | factor at step `t` of `T` | parameters |
| --- | --- | --- |
| `constant` | 1 | |
| `exponential` | `final ** (t / T)` | `final=0.01` |
| `cosine` | `final + (1 - final) * (1 + cos(pi * t / T)) / 2` | `final=0` |
| `warmup_cosine` | from `start` straight to 1 in the first `warmup * T` steps, then cosine | `warmup=0.1`, `start=0.01`, `final=0` |
| `step` | `factor ** floor(t / (every * T))` | `factor=0.5`, `every=0.25` |
| `plateau` | times `factor` when `val_loss` has not improved for `patience` epochs | `factor=0.5`, `patience=3`, `min_delta=1e-4`, `cooldown=0`, `min_lr=0` |

`T` is the number of steps of the whole run; early stopping does not shorten it. `plateau` depends on what happens in
training, so it is `keras.callbacks.ReduceLROnPlateau` and not a function of the step. The cosine is that of Loshchilov
and Hutter (2017, SGDR), the warm-up that of Goyal et al. (2017); warm-up starts above 0 because a step with rate 0
would be wasted.
"""  # noqa: E501

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from unitune.errors import SpaceError, suggest
from unitune.models import backend
from unitune.models.blueprint import Plateau, Schedule
from unitune.records import Array
from unitune.space.parse import call

SCHEDULES: dict[str, dict[str, float]] = {
    "constant": {},
    "exponential": {"final": 0.01},
    "cosine": {"final": 0.0},
    "warmup_cosine": {"warmup": 0.1, "start": 0.01, "final": 0.0},
    "step": {"factor": 0.5, "every": 0.25},
    "plateau": {"factor": 0.5, "patience": 3, "min_delta": 1e-4, "cooldown": 0, "min_lr": 0.0},
}
"""The names of all schedules, with their parameters' defaults."""

# Bounds of the parameters: (low, whether low itself is allowed, high, whether high itself is allowed).
_BOUNDS: dict[str, tuple[float, bool, float, bool]] = {
    "final": (0.0, True, 1.0, True),
    "warmup": (0.0, False, 1.0, False),
    "start": (0.0, True, 1.0, True),
    "factor": (0.0, False, 1.0, False),
    "every": (0.0, False, 1.0, True),
    "patience": (1, True, math.inf, False),
    "min_delta": (0.0, True, math.inf, False),
    "cooldown": (0, True, math.inf, False),
    "min_lr": (0.0, True, math.inf, False),
}


def check(value: Any) -> Any:
    """Checks a schedule of a search space.

    Args:
        value: A name, a name with parameters (`"step(factor=0.5, every=0.25)"`), None for `"constant"`, or a `Schedule`
            or `Plateau`.

    Returns:
        The value in its canonical form.

    Raises:
        SpaceError: A name or a parameter is unknown or out of bounds.

    Example:
        >>> check("step(factor=.1)")
        'step(factor=0.1)'
    """
    if value is None:
        return "constant"
    if isinstance(value, Schedule | Plateau):
        return value
    if not isinstance(value, str):
        raise SpaceError("`schedules` must be names", f"got {value!r}", suggest("", SCHEDULES))
    name, given = call(value)
    name = name.lower()
    if name not in SCHEDULES:
        raise SpaceError("`schedules` must be names that Unitune knows", f"got `{name}`", suggest(name, SCHEDULES))
    for parameter, number in given.items():
        if parameter not in SCHEDULES[name]:
            raise SpaceError(
                f"`{name}` has no such parameter", f"got `{parameter}`", suggest(parameter, SCHEDULES[name])
            )
        _check_bound(name, parameter, number)
    if name == "exponential" and given.get("final") == 0:
        raise SpaceError("`final` of `exponential` must be above 0", "got 0", "Use `cosine` to end at 0.")
    return f"{name}({', '.join(f'{key}={item!r}' for key, item in given.items())})" if given else name


def _check_bound(name: str, parameter: str, number: Any) -> None:
    low, with_low, high, with_high = _BOUNDS[parameter]
    whole = parameter in ("patience", "cooldown")
    right_kind = isinstance(number, int if whole else int | float) and not isinstance(number, bool)
    above = right_kind and (low < number or (with_low and number == low))
    if above and (number < high or (with_high and number == high)):
        return
    bounds = f"{'at least' if with_low else 'above'} {low:g}"
    if high < math.inf:
        bounds += f" and {'at most' if with_high else 'below'} {high:g}"
    raise SpaceError(f"`{parameter}` of `{name}` must be {'whole, ' if whole else ''}{bounds}", f"got {number!r}")


@functools.lru_cache(maxsize=256)
def _text_schedule(text: str) -> tuple[Schedule, Plateau | None]:
    name, given = call(text)
    if name == "plateau":
        return Schedule(), Plateau(**{**SCHEDULES["plateau"], **given})
    return Schedule(name=name, params=tuple((key, float(item)) for key, item in given.items())), None


def parse(value: Any) -> tuple[Schedule, Plateau | None]:
    """What a checked schedule means for training: the factor by step, and what reacts to a plateau.

    Example:
        >>> parse("cosine")
        (Schedule(name='cosine', params=(), source=None), None)
    """
    if isinstance(value, Schedule):
        return value, None
    if isinstance(value, Plateau):
        return Schedule(), value
    return _text_schedule(value)


def parameters(schedule: Schedule) -> dict[str, float]:
    """The parameters of a schedule, with the defaults of those that are not given."""
    return {**SCHEDULES[schedule.name], **dict(schedule.params)}


def from_keras(source: Any) -> Schedule:
    """A user's own `keras.optimizers.schedules.LearningRateSchedule`, on an optimizer with rate 1."""
    return Schedule(name="keras", source=source)


def factors(schedule: Schedule, total_steps: int) -> Array:
    """The factor on the learning rate at each step.

    Args:
        schedule: Its name and parameters.
        total_steps: Steps of the whole run: epochs times batches per epoch; 1 or more.

    Returns:
        `(step,)` float64.

    Example:
        >>> factors(Schedule(name="step"), 8).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    """
    if schedule.name == "keras":
        return _keras_factors(schedule, total_steps).copy()
    step = np.arange(total_steps, dtype=np.float64)
    if schedule.name == "constant":
        return np.ones(total_steps)
    shape = parameters(schedule)
    if schedule.name == "exponential":
        return np.asarray(shape["final"] ** (step / total_steps))
    if schedule.name == "cosine":
        return _cosine(step / total_steps, shape["final"])
    if schedule.name == "warmup_cosine":
        warmup = _warmup_steps(shape["warmup"], total_steps)
        rising = shape["start"] + (1.0 - shape["start"]) * step / warmup
        falling = _cosine((step - warmup) / max(total_steps - warmup, 1), shape["final"])
        return np.where(step < warmup, rising, falling)
    if schedule.name == "step":
        boundaries = _boundaries(shape["every"], total_steps)
        return np.asarray(shape["factor"] ** np.searchsorted(boundaries, np.arange(total_steps), side="right"))
    raise SpaceError("a schedule must be one that Unitune knows", f"got `{schedule.name}`")


@functools.lru_cache(maxsize=32)
def _keras_factors(schedule: Schedule, total_steps: int) -> Array:
    # Step by step: a user's schedule need not take an array.
    return np.array([float(schedule.source(step)) for step in range(total_steps)])


def _cosine(fraction: Array, final: float) -> Array:
    return np.asarray(final + (1.0 - final) * 0.5 * (1.0 + np.cos(np.pi * fraction)))


def _warmup_steps(warmup: float, total_steps: int) -> int:
    return max(1, min(round(warmup * total_steps), total_steps - 1))


def _boundaries(every: float, total_steps: int) -> list[int]:
    """The steps at which the factor falls, the first of each stretch."""
    length = every * total_steps
    count = math.ceil(total_steps / length - 1e-9) - 1
    return sorted({max(1, math.ceil(length * (number + 1) - 1e-9)) for number in range(count)})


def keras_schedule(schedule: Schedule, learning_rate: float, total_steps: int) -> Any:
    """The same as an argument for `learning_rate=` of a Keras optimizer.

    Returns:
        A `keras.optimizers.schedules.LearningRateSchedule`, or the rate itself where it is constant.
    """
    if schedule.name == "keras":
        return schedule.source
    if schedule.name == "constant":
        return learning_rate
    schedules = backend.ensure().optimizers.schedules
    shape = parameters(schedule)
    if schedule.name == "exponential":
        return schedules.ExponentialDecay(learning_rate, decay_steps=total_steps, decay_rate=shape["final"])
    if schedule.name == "cosine":
        return schedules.CosineDecay(learning_rate, decay_steps=total_steps, alpha=shape["final"])
    if schedule.name == "warmup_cosine":
        warmup = _warmup_steps(shape["warmup"], total_steps)
        return schedules.CosineDecay(
            learning_rate * shape["start"],
            decay_steps=max(total_steps - warmup, 1),
            alpha=shape["final"],
            warmup_target=learning_rate,
            warmup_steps=warmup,
        )
    if schedule.name == "step":
        boundaries = _boundaries(shape["every"], total_steps)
        if not boundaries:
            return learning_rate
        # Keras keeps a value up to and including its boundary.
        values = [learning_rate * shape["factor"] ** number for number in range(len(boundaries) + 1)]
        return schedules.PiecewiseConstantDecay([boundary - 1 for boundary in boundaries], values)
    raise SpaceError("a schedule must be one that Unitune knows", f"got `{schedule.name}`")
