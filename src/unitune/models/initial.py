"""Initial weights of a member, drawn with NumPy: the distributions of Keras's initializers, without its overhead.

Every weight has a stream of its own, `Philox(SeedSequence((seed, 0, number of the weight)))`, so that members of one
seed start alike as far as their shapes agree.
"""

from __future__ import annotations

import math
import random
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator, Philox, SeedSequence

from unitune.errors import SpaceError
from unitune.models import backend
from unitune.models.identity import is_seed
from unitune.models.initializers import canonical, plain
from unitune.models.shape_rules import Joined, Shape, WithAxes
from unitune.records import Array

_SEEDING = threading.Lock()

# Keras divides by the standard deviation of a normal that is cut off at two standard deviations.
_TRUNCATED_STD = 0.87962566103423978


def draw(initializer: Any, shape: Shape, seed: int, *, stream: int = 0, dtype: str = "float32") -> Array:
    """Draws one weight.

    Args:
        initializer: A name, a mapping `{"class_name", "config"}`, or a `keras.initializers.Initializer`.
        shape: Of the weight.
        seed: Of the member.
        stream: The number of the weight within its network.
        dtype: Floating type.

    Example:
        >>> draw("ones", (2,), seed=0).tolist()
        [1.0, 1.0]
    """
    return _draw(initializer, tuple(shape), seed, stream, np.dtype(dtype))


def _draw(initializer: Any, shape: Shape, seed: int, number: int, dtype: np.dtype[Any]) -> Array:
    if initializer == "zeros":
        return np.zeros(shape, dtype)
    if initializer == "ones":
        return np.ones(shape, dtype)
    if isinstance(initializer, Joined):
        # Keras, too, draws the parts with one and the same initializer.
        return np.concatenate([_draw(part, (n, *shape[1:]), seed, number, dtype) for part, n in initializer.parts])
    axes = initializer if isinstance(initializer, WithAxes) else None
    if axes is not None:
        initializer = axes.initializer
    name, config = canonical(initializer)
    if is_seed(config.get("seed")):  # the user's own: the very numbers that Keras draws
        return _by_keras(initializer, shape, seed, number, dtype, axes)
    if axes is not None:
        config = {**config, "input_axes": axes.input_axes, "output_axes": axes.output_axes}
    if name == "zeros":
        return np.zeros(shape, dtype)
    if name == "ones":
        return np.ones(shape, dtype)
    if name == "constant":
        return np.full(shape, config.get("value", 0.0), dtype)
    if name == "identity":
        if len(shape) != 2:
            raise SpaceError("the identity initializer needs a matrix", f"got a weight of shape {shape}")
        return np.asarray(config.get("gain", 1.0) * np.eye(*shape), dtype)
    rule = _RULES.get(name)
    if rule is None:
        return _by_keras(initializer, shape, seed, number, dtype)
    rng = Generator(Philox(SeedSequence((seed, 0, number))))
    return rule(rng, shape, dtype, config)


def _uniform(rng: Generator, shape: Shape, dtype: Any, low: float, high: float) -> Array:
    values = rng.random(shape, dtype=_drawable(dtype))
    values *= high - low
    values += low
    return values if values.dtype == dtype else values.astype(dtype)


def _normal(rng: Generator, shape: Shape, dtype: Any, mean: float, stddev: float) -> Array:
    values = rng.standard_normal(shape, dtype=_drawable(dtype))
    values *= stddev
    values += mean
    return values if values.dtype == dtype else values.astype(dtype)


def _truncated_normal(rng: Generator, shape: Shape, dtype: Any, mean: float, stddev: float) -> Array:
    """A normal whose values beyond two standard deviations (4.6 % of them) are drawn again."""
    size = math.prod(shape)
    values = rng.standard_normal(size, dtype=_drawable(dtype))
    outside = np.flatnonzero(np.abs(values) > 2.0)
    while outside.size:
        again = rng.standard_normal(outside.size, dtype=_drawable(dtype))
        values[outside] = again
        outside = outside[np.abs(again) > 2.0]
    values *= stddev
    values += mean
    return values.reshape(shape) if values.dtype == dtype else values.reshape(shape).astype(dtype)


def _drawable(dtype: np.dtype[Any]) -> Any:
    return np.float64 if dtype == np.float64 else np.float32


def fans(shape: Shape) -> tuple[int, int]:
    """Fan-in and fan-out of a weight, as Keras counts them.

    Example:
        >>> fans((30, 64))
        (30, 64)
    """
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _scaled(rng: Generator, shape: Shape, dtype: Any, config: Mapping[str, Any]) -> Array:
    if config.get("input_axes") is not None and config.get("output_axes") is not None:
        fan_in = math.prod(shape[axis] for axis in config["input_axes"])
        fan_out = math.prod(shape[axis] for axis in config["output_axes"])
    else:
        fan_in, fan_out = fans(shape)
    mode = config.get("mode", "fan_in")
    fan = fan_in if mode == "fan_in" else fan_out if mode == "fan_out" else (fan_in + fan_out) / 2.0
    scale = config.get("scale", 1.0) / max(1.0, fan)
    distribution = config.get("distribution", "truncated_normal")
    if distribution == "uniform":
        limit = math.sqrt(3.0 * scale)
        return _uniform(rng, shape, dtype, -limit, limit)
    if distribution == "untruncated_normal":
        return _normal(rng, shape, dtype, 0.0, math.sqrt(scale))
    return _truncated_normal(rng, shape, dtype, 0.0, math.sqrt(scale) / _TRUNCATED_STD)


def _orthogonal(rng: Generator, shape: Shape, dtype: Any, config: Mapping[str, Any]) -> Array:
    """Saxe et al., 2014: the Q of a QR decomposition of a normal matrix, its signs made uniform."""
    if len(shape) < 2:
        raise SpaceError("the orthogonal initializer needs a matrix", f"got a weight of shape {shape}")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return np.ascontiguousarray((q.T if rows < columns else q).reshape(shape) * config.get("gain", 1.0), dtype)


def _family(scale: float, mode: str, distribution: str) -> Callable[..., Array]:
    fixed = {"scale": scale, "mode": mode, "distribution": distribution}

    def rule(rng: Generator, shape: Shape, dtype: Any, config: Mapping[str, Any]) -> Array:
        return _scaled(rng, shape, dtype, {**config, **fixed} if config else fixed)

    return rule


_RULES: dict[str, Callable[[Generator, Shape, Any, Mapping[str, Any]], Array]] = {
    "glorot_uniform": _family(1.0, "fan_avg", "uniform"),
    "glorot_normal": _family(1.0, "fan_avg", "truncated_normal"),
    "he_uniform": _family(2.0, "fan_in", "uniform"),
    "he_normal": _family(2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _family(1.0, "fan_in", "uniform"),
    "lecun_normal": _family(1.0, "fan_in", "truncated_normal"),
    "variance_scaling": _scaled,
    "random_uniform": lambda rng, shape, dtype, config: _uniform(
        rng, shape, dtype, config.get("minval", -0.05), config.get("maxval", 0.05)
    ),
    "random_normal": lambda rng, shape, dtype, config: _normal(
        rng, shape, dtype, config.get("mean", 0.0), config.get("stddev", 0.05)
    ),
    "truncated_normal": lambda rng, shape, dtype, config: _truncated_normal(
        rng, shape, dtype, config.get("mean", 0.0), config.get("stddev", 0.05)
    ),
    "orthogonal": _orthogonal,
}


def floatx() -> str:
    """The floating type that Keras is set to; float32 where it is not imported."""
    keras = sys.modules.get("keras")
    return str(keras.config.floatx()) if keras is not None and hasattr(keras, "config") else "float32"


def _by_keras(
    initializer: Any,
    shape: Shape,
    seed: int,
    number: int,
    dtype: np.dtype[Any],
    axes: WithAxes | None = None,
) -> Array:
    """Called as Keras would: with the user's own seed, else with one of the member where it takes one."""
    keras = backend.ensure()
    live = keras.initializers.get(plain(initializer))
    config = live.get_config() if isinstance(live, keras.initializers.Initializer) else {}
    if axes is not None:
        config |= {"input_axes": axes.input_axes, "output_axes": axes.output_axes}
    if "seed" in config and not is_seed(config["seed"]):
        config["seed"] = int(SeedSequence((seed, 0, number)).generate_state(1)[0]) & 0x7FFFFFFF
    if "seed" in config:
        live = type(live).from_config(config)
    return np.asarray(keras.ops.convert_to_numpy(live(shape, dtype=dtype.name)))


def seeded(build: Callable[[], Any], seed: int) -> Any:
    """Calls `build` while Python's generator is seeded: Keras takes the seeds of unseeded initializers from it.

    There is one generator for all threads, and tiles are filled by several.
    """
    with _SEEDING:
        state = random.getstate()
        random.seed(seed)
        try:
            return build()
        finally:
            random.setstate(state)
