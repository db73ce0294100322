"""Normalisation of numbers: learnt in double precision, applied in the precision of Keras, inside and outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.errors import OptionError, suggest
from unitune.records import Array, Task

_CHUNK = 1 << 20

TARGET_SCALES = ("auto", "standard", "log")
HEAVY_TAIL = 2.0
"""Skewness from which a target has a heavy tail: that of an exponential distribution."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """`(x - mean) / scale` for each column, in single precision: first multiplied by `power`, a power of two.

    `power` is 1 but for columns whose square would leave the range of float32. `on` is False where values pass as
    they are; the mean then only stands in for missing values.
    """

    mean: Array
    scale: Array
    power: Array
    on: bool

    def __call__(self, x: Array) -> Array:
        """Scales `(..., column)` in the type of `x`, NaN becoming the mean."""
        mean = self.mean.astype(x.dtype)
        if not self.on:
            return np.where(np.isnan(x), mean, x)
        power = self.power.astype(x.dtype)
        # A row astronomically far from all training rows becomes infinite, as it does in Keras.
        with np.errstate(over="ignore"):
            z = (x * power - mean * power) / (self.scale * self.power).astype(x.dtype)
        if np.isnan(z).any():
            z[np.isnan(z)] = 0.0
        return np.asarray(z)


def learn_scaling(x: Array, normalize: object) -> Scaling:
    """Means and standard deviations of the last axis, NaN left out, in double precision.

    Args:
        x: `(row, ..., column)`.
        normalize: True, False, or `"auto"`: unless every column has about mean 0 and standard deviation 1 already.
    """
    flat = x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])
    step = max(1, _CHUNK // max(1, flat.shape[1]))
    starts = range(0, len(flat), step)
    count = np.zeros(flat.shape[1])
    total = np.zeros(flat.shape[1])
    for start in starts:
        chunk = flat[start : start + step].astype(np.float64)
        count += len(chunk) - np.isnan(chunk).sum(axis=0)
        total += np.nansum(chunk, axis=0)
    mean = total / np.maximum(count, 1)
    squares = np.zeros(flat.shape[1])
    for start in starts:
        chunk = flat[start : start + step].astype(np.float64)
        squares += np.nansum((chunk - mean) ** 2, axis=0)
    std = np.sqrt(squares / np.maximum(count, 1))
    # A constant column has a tiny spread from rounding; dividing by it would throw other rows far off.
    constant = std <= 1e-12 * np.abs(mean)
    scale = np.where(constant, 1.0, std)
    on = bool(normalize)
    if normalize == "auto" and not constant.all():
        spread, centre = std[~constant], np.abs(mean[~constant])
        on = not bool(
            ((spread > 0.5) & (spread < 2.0) & (centre < 0.5)).all() and np.abs(mean[constant]).max(initial=0.0) < 2.0
        )
    # Keras squares the scale: keep it well inside float32 by exact powers of two.
    extreme = (scale < 1e-4) | (scale > 1e15)
    power = np.where(extreme, 2.0 ** -np.round(np.log2(scale)), 1.0)
    return Scaling(mean=mean, scale=scale, power=power, on=on)


def scaled(keras: Any, scaling: Scaling, x: Any, dtype: str, name: str, *, fill: bool = True) -> Any:
    """The Keras tensor `x` as `scaling` would have it; `fill` puts means where numbers are missing."""
    ops = keras.ops
    if not scaling.on:
        if not fill:
            return x
        absent = ops.isnan(x)
        means = keras.layers.Rescaling(scaling.mean.tolist(), dtype=dtype, name=f"{name}_missing")
        return ops.where(absent, 0.0, x) + means(ops.cast(absent, dtype))
    mean, scale = scaling.mean, scaling.scale
    if (scaling.power != 1).any():
        x = keras.layers.Rescaling(scaling.power.tolist(), dtype=dtype, name=f"{name}_range")(x)
        mean, scale = mean * scaling.power, scale * scaling.power
    layer = keras.layers.Normalization(mean=mean.tolist(), variance=(scale**2).tolist(), dtype=dtype, name=name)
    z = layer(x)
    return ops.where(ops.isnan(z), 0.0, z) if fill else z


def learns_log(y: Array, task: Task, target_scale: str = "auto") -> tuple[bool, str]:
    """Whether networks are to learn the logarithm of a target, and a sentence for the user, empty where not.

    Args:
        y: `(row, output)` of a regression.
        task: `"regression"`, or what has no scale.
        target_scale: `"standard"`: mean 0 and standard deviation 1; `"log"`: of the logarithm; `"auto"`: `"log"` for
            positive targets with a heavy tail (a skewness above 2) that taking the logarithm cures (within 1).

    Raises:
        OptionError: An unknown name, or `"log"` for a target that is not a positive number.

    Example:
        >>> learns_log(np.exp(np.linspace(0, 9, 50))[:, None], "regression")[0]
        True
    """
    if target_scale not in TARGET_SCALES:
        raise OptionError(
            "`target_scale` must be a known name", f"got {target_scale!r}", suggest(str(target_scale), TARGET_SCALES)
        )
    if task != "regression":
        if target_scale != "auto":
            raise OptionError("`target_scale` is for regression", f"the task is {task}", "Leave it out.")
        return False, ""
    if target_scale == "standard":
        return False, ""
    if not (y > 0).all():
        if target_scale == "log":
            raise OptionError(
                '`target_scale="log"` needs a target above 0', f"the smallest value is {y.min():g}", "Leave it out."
            )
        return False, ""
    if target_scale == "log":
        return True, "Networks learn the logarithm of the target, as asked for; predictions are in its own units."
    skewness, of_log = _skewness(y), _skewness(np.log(y))
    if not (skewness.min() > HEAVY_TAIL and np.abs(of_log).max() < HEAVY_TAIL / 2):
        return False, ""
    return True, (
        f"Networks learn the logarithm of the target, which has a heavy tail (skewness {skewness.max():.1f}, of the "
        f'logarithm {of_log[int(skewness.argmax())]:.1f}); predictions are in its own units (`target_scale="standard"` '
        "for the target as it is)."
    )


def _skewness(y: Array) -> Array:
    """`(output,)`: the third standardised moment; 0 for a constant."""
    centred = y - y.mean(axis=0)
    spread = centred.std(axis=0)
    constant = spread <= 1e-12 * np.abs(y).max(axis=0)
    return np.where(constant, 0.0, ((centred / np.where(constant, 1.0, spread)) ** 3).mean(axis=0))
