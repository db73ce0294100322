"""Activations, initializers, regularizers, constraints and schedules: name -> arguments that are not the default."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
from keras import ops

from catalogue.cases import FACES, Case, late, named, network, own_class
from catalogue.listing import public

Dense = keras.layers.Dense

ACTIVATIONS: dict[str, dict[str, Any]] = {
    "celu": {"alpha": 0.5},
    "elu": {"alpha": 0.5},
    "exponential": {},
    "gelu": {"approximate": True},
    "glu": {"axis": 1},
    "hard_shrink": {"threshold": 0.2},
    "hard_sigmoid": {},
    "hard_silu": {},
    "hard_tanh": {},
    "leaky_relu": {"negative_slope": 0.4},
    "linear": {},
    "log_sigmoid": {},
    "log_softmax": {"axis": 1},
    "mish": {},
    "relu": {"negative_slope": 0.2, "max_value": 0.5},
    "relu6": {},
    "selu": {},
    "sigmoid": {},
    "silu": {},
    "soft_shrink": {"threshold": 0.2},
    "softmax": {"axis": 1},
    "softplus": {},
    "softsign": {},
    "sparse_plus": {},
    "sparse_sigmoid": {},
    "sparsemax": {"axis": 1},
    "squareplus": {"b": 2},
    "tanh": {},
    "tanh_shrink": {},
    "threshold": {"threshold": 0.1, "default_value": -0.2},
}
INITIALIZERS: dict[str, dict[str, Any]] = {
    "Constant": {"value": 0.2},
    "GlorotNormal": {"seed": 3},
    "GlorotUniform": {"seed": 3},
    "HeNormal": {"seed": 3},
    "HeUniform": {"seed": 3},
    "Identity": {"gain": 0.5},
    "LecunNormal": {"seed": 3},
    "LecunUniform": {"seed": 3},
    "Ones": {},
    "Orthogonal": {"gain": 0.5, "seed": 3},
    "RandomNormal": {"mean": 0.1, "stddev": 0.3, "seed": 3},
    "RandomUniform": {"minval": -0.1, "maxval": 0.4, "seed": 3},
    "STFT": {"side": "imag", "window": "hamming"},
    "TruncatedNormal": {"mean": 0.1, "stddev": 0.3, "seed": 3},
    "VarianceScaling": {"scale": 2.0, "mode": "fan_out", "distribution": "uniform", "seed": 3},
    "Zeros": {},
}
TOGETHER = 6
LEFT = ("glu",)  # changes the number of features
WITHOUT_SEED = ("Constant", "Identity", "Ones", "STFT", "Zeros")
REGULARIZERS: dict[str, dict[str, Any]] = {
    "L1": {"l1": 0.1},
    "L1L2": {"l1": 0.05, "l2": 0.1},
    "L2": {"l2": 0.2},
    "OrthogonalRegularizer": {"factor": 0.3, "mode": "columns"},
}
CONSTRAINTS: dict[str, dict[str, Any]] = {
    "MaxNorm": {"max_value": 0.3, "axis": 1},
    "MinMaxNorm": {"min_value": 0.2, "max_value": 0.4, "rate": 0.7},
    "NonNeg": {},
    "UnitNorm": {"axis": 1},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    name: {"initial_learning_rate": 0.1, **config}
    for name, config in {
        "CosineDecay": {"decay_steps": 5, "alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 2},
        "CosineDecayRestarts": {"first_decay_steps": 2, "t_mul": 1.5, "m_mul": 0.8, "alpha": 0.1},
        "ExponentialDecay": {"decay_steps": 2, "decay_rate": 0.5, "staircase": True},
        "InverseTimeDecay": {"decay_steps": 2, "decay_rate": 0.5, "staircase": True},
        "PolynomialDecay": {"decay_steps": 3, "end_learning_rate": 0.01, "power": 2.0, "cycle": True},
    }.items()
} | {"PiecewiseConstantDecay": {"boundaries": [1, 3], "values": [0.1, 0.05, 0.2]}}
WITHOUT = {
    "Initializer": "the base class",
    "Regularizer": "the base class",
    "Constraint": "the base class",
    "LearningRateSchedule": "the base class",
}
TABLES = {
    "activations": (ACTIVATIONS, WITHOUT),
    "initializers": (INITIALIZERS, WITHOUT),
    "regularizers": (REGULARIZERS, WITHOUT),
    "constraints": (CONSTRAINTS, WITHOUT),
    "schedules": (SCHEDULES, WITHOUT),
}


def cases() -> Iterator[Case]:
    yield from _activations()
    yield from _initializers()
    yield from _of_kernels()
    yield from _schedules()


def _each(kind: str) -> Iterator[tuple[str, Any]]:
    return ((name, one) for name, one in public(kind).items() if name in TABLES[kind][0])


def _activations() -> Iterator[Case]:
    """Several share a network: they are all fused."""
    named_ones, given, own_ones = {}, {}, {}
    for name, one in _each("activations"):
        configured = partial(one, **ACTIVATIONS[name]) if ACTIVATIONS[name] else one

        def own(x: Any, configured: Any = configured) -> Any:
            return 0.5 * configured(x) + 0.1

        if name != "threshold":  # whose arguments have no defaults
            named_ones[name] = name
        given[name] = configured
        own_ones[name] = named(name, own)
    for variant, ways in (("named", named_ones), ("given", given), ("function", own_ones)):
        names = [name for name in ways if name not in LEFT]
        groups = [names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER)]
        for group in (*groups, *([name] for name in ways if name in LEFT)):
            build = late(network, "real", *(late(Dense, 4, activation=ways[name]) for name in group))
            fused = group[0] not in LEFT
            yield Case(
                kind="activations",
                name=group[0],
                variant=variant,
                data="real",
                build=build,
                must_fuse=fused,
            )


def _ways(kind: str, name: str, one: Any, *, changed: Callable[[Any], Any], own: Callable[..., Any]) -> dict[str, Any]:
    """What makes Keras's own, a subclass whose calls give what `changed` makes of Keras's, and the user's function."""
    config = TABLES[kind][0][name]
    return {
        "given": late(one, **config),
        "subclass": late(own_class(one, __call__=changed), **config),
        "function": late(named, name, own),
    }


def _initializers() -> Iterator[Case]:
    for name, one in _each("initializers"):

        def ramp(shape: Any, dtype: Any = None) -> Any:
            return _ramp(shape, dtype)

        for variant, make in _ways(
            "initializers", name, one, changed=lambda value: _ramp(value.shape, value.dtype), own=ramp
        ).items():
            # What is drawn is drawn anew in each fold and repeat, with the seed of the member.
            faces = ("compare",) if variant == "given" and name not in WITHOUT_SEED else FACES
            if name == "STFT":
                build, data = late(_windowed, make), "wave"
            else:
                build, data = late(_dense, settled=False, kernel_initializer=make), "real"
            yield Case(kind="initializers", name=name, variant=variant, data=data, build=build, faces=faces)


def _ramp(shape: Any, dtype: Any) -> Any:
    return ops.reshape(ops.linspace(-0.5, 0.6, math.prod(shape), dtype=dtype or "float32"), shape)


def _windowed(initializer: Any) -> Any:
    """A convolution, whose kernel has the three axes that windows of a Fourier transform need."""

    def convolution() -> Any:
        return keras.layers.Conv1D(5, 8, strides=8, kernel_initializer=initializer())

    reshape = late(keras.layers.Reshape, (32, 1))
    return network("wave", reshape, convolution, keras.layers.Flatten, settled=False)


def _of_kernels() -> Iterator[Case]:
    """Regularizers and constraints."""
    for kind, argument in (("regularizers", "kernel_regularizer"), ("constraints", "kernel_constraint")):
        for name, one in _each(kind):
            keras_own = one(**TABLES[kind][0][name])

            def half(weight: Any, keras_own: Any = keras_own) -> Any:
                return 0.5 * keras_own(weight)

            ways = _ways(kind, name, one, changed=lambda value: 0.5 * value + 0.1, own=half)
            for variant, make in ways.items():
                build = late(_dense, **{argument: make})
                yield Case(kind=kind, name=name, variant=variant, data="real", build=build)
            if kind == "regularizers":
                build = late(_dense, activity_regularizer=ways["given"])
                yield Case(kind=kind, name=name, variant="activity", data="real", build=build)


def _schedules() -> Iterator[Case]:
    for name, one in _each("schedules"):
        for variant, make in _ways(
            "schedules", name, one, changed=lambda value: 0.5 * value + 0.01, own=lambda: 0.03
        ).items():
            build = late(network, "real", optimizer=late(_with_rate, make))
            yield Case(kind="schedules", name=name, variant=variant, data="real", build=build)


def _with_rate(rate: Callable[[], Any]) -> Any:
    return keras.optimizers.SGD(rate())


def _dense(*, settled: bool = True, **arguments: Callable[[], Any]) -> Any:
    """A network with a hidden layer; its arguments are made when it is built."""

    def hidden() -> Any:
        return Dense(4, activation="tanh", **{name: make() for name, make in arguments.items()})

    return network("real", hidden, settled=settled)
