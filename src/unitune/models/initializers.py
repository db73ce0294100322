"""Initializers by name: the table of names, and the one that suits an activation.

| activation | initializer | why |
| --- | --- | --- |
| relu and its kin (relu6, leaky_relu, prelu, elu, celu, gelu, silu, mish, hard_silu, ...) | `he_uniform` | half of the
  signal is lost below zero, so the variance is doubled (He et al., 2015) |
| selu | `lecun_normal` | self-normalising only with variance 1 / fan-in (Klambauer et al., 2017) |
| everything else (tanh, sigmoid, softsign, linear, callables, ...) | `glorot_uniform` | Glorot and Bengio, 2010; the
  default of Keras |
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from typing import Any

from unitune.errors import SpaceError, suggest
from unitune.models.identity import NotPlain, read
from unitune.space.parse import call

INITIALIZERS = frozenset(
    {
        "constant",
        "glorot_normal",
        "glorot_uniform",
        "he_normal",
        "he_uniform",
        "identity",
        "lecun_normal",
        "lecun_uniform",
        "ones",
        "orthogonal",
        "random_normal",
        "random_uniform",
        "stft",
        "truncated_normal",
        "variance_scaling",
        "zeros",
    }
)
"""The initializers that Keras knows by name."""

_ALIASES = {
    "normal": "random_normal",
    "uniform": "random_uniform",
    "one": "ones",
    "zero": "zeros",
    "identity_initializer": "identity",
    "orthogonal_initializer": "orthogonal",
    "stft_initializer": "stft",
}

_HE = frozenset(
    [
        "relu",
        "relu6",
        "leaky_relu",
        "prelu",
        "re_lu",
        "p_relu",
        "elu",
        "celu",
        "gelu",
        "silu",
        "swish",
        "hard_silu",
        "hard_swish",
        "mish",
        "squareplus",
        "softplus",
        "sparse_plus",
        "threshold",
    ]
)


def suits(activation: str) -> str:
    """The initializer that `"auto"` means for an activation's name.

    Example:
        >>> suits("relu"), suits("selu"), suits("tanh")
        ('he_uniform', 'lecun_normal', 'glorot_uniform')
    """
    if activation == "selu":
        return "lecun_normal"
    return "he_uniform" if activation in _HE else "glorot_uniform"


def snake(name: str) -> str:
    """A class's name as Keras writes it in strings.

    Example:
        >>> snake("GlorotUniform")
        'glorot_uniform'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@functools.lru_cache(maxsize=1024)
def _named(name: str) -> tuple[str, Mapping[str, Any]]:
    base, config = call(name)
    base = snake(base)
    return _ALIASES.get(base, base), config


def canonical(initializer: Any) -> tuple[str, Mapping[str, Any]]:
    """The name and arguments of an initializer given as a name, a mapping or a Keras object.

    An object that is not Keras's own, or not what its arguments say, has the name `""`.

    Example:
        >>> canonical("TruncatedNormal(stddev=0.1)")
        ('truncated_normal', {'stddev': 0.1})
    """
    if isinstance(initializer, str):
        return _named(initializer)
    if isinstance(initializer, Mapping):
        return _named(initializer["class_name"])[0], initializer.get("config", {})
    try:
        return _named(type(initializer).__name__)[0], read(initializer, "initializers", "initializer")
    except NotPlain:
        return "", {}


def check(initializer: Any) -> Any:
    """Checks an initializer of a search space.

    Args:
        initializer: A name (`"auto"` too), `"name(argument=value)"`, or a `keras.initializers.Initializer`.

    Returns:
        A name in lower case where there are no arguments; otherwise the value as it is (see `plain`).

    Raises:
        SpaceError: The name is unknown, or the value is nothing that initialises.

    Example:
        >>> check("HeNormal")
        'he_normal'
    """
    if isinstance(initializer, str):
        if initializer == "auto":
            return initializer
        name, config = canonical(initializer)
        if name not in INITIALIZERS:
            raise SpaceError(
                "`initializers` must be names that Keras knows",
                f"got `{initializer}`",
                suggest(name, {*INITIALIZERS, "auto"}),
            )
        return initializer if config else name
    if isinstance(initializer, Mapping) and "class_name" in initializer:
        return initializer
    keras = sys.modules.get("keras")
    if isinstance(initializer, type) and keras is not None and issubclass(initializer, keras.initializers.Initializer):
        return initializer()
    if callable(initializer):
        return initializer
    raise SpaceError(
        "`initializers` must be names or Keras initializers", f"got {initializer!r}", "Use 'auto' or 'he_normal', say."
    )


def class_name(name: str) -> str:
    """The class in `keras.initializers` of a name.

    Example:
        >>> class_name("random_normal")
        'RandomNormal'
    """
    return "STFT" if name == "stft" else "".join(part.capitalize() for part in name.split("_"))


def plain(initializer: Any) -> Any:
    """What a Keras layer takes: a string with arguments becomes `{"class_name", "config"}`, the rest stays.

    Example:
        >>> plain("random_normal(stddev=0.1)")
        {'class_name': 'RandomNormal', 'config': {'stddev': 0.1}}
    """
    if isinstance(initializer, str):
        name, config = canonical(initializer)
        return {"class_name": class_name(name), "config": dict(config)} if config else name
    return initializer
