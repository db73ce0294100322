"""Activations: a Keras name, a layer with parameters, or a function; what each means as layers of a network."""

from __future__ import annotations

import functools
import sys
from typing import Any

from unitune.errors import SpaceError, suggest
from unitune.models.blueprint import LayerSpec
from unitune.models.identity import function_name, is_kerass
from unitune.models.initializers import snake
from unitune.models.keras_objects import is_layer, layer_config
from unitune.space.parse import call

ACTIVATIONS = frozenset(
    [
        "celu",
        "elu",
        "exponential",
        "gelu",
        "glu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softmax",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "sparsemax",
        "squareplus",
        "swish",
        "tanh",
        "tanh_shrink",
        "threshold",
    ]
)
"""The names in `keras.activations`. Kept here so that a misspelt name is found without importing Keras."""

ACTIVATION_LAYERS: dict[str, tuple[str, frozenset[str]]] = {
    "elu": ("ELU", frozenset({"alpha"})),
    "leaky_relu": ("LeakyReLU", frozenset({"negative_slope"})),
    "prelu": ("PReLU", frozenset({"alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes"})),
    "relu": ("ReLU", frozenset({"max_value", "negative_slope", "threshold"})),
    "softmax": ("Softmax", frozenset({"axis"})),
}
"""Activations that are layers: from the name to the class in `keras.layers` and its arguments."""

# `glu` halves its input and `threshold` wants arguments: they are names, but no activation of a Dense layer.
_NEEDS_MORE = {
    "glu": "it halves the number of features, so the next layer would not fit",
    "threshold": "it needs a threshold and a default value",
}

_CLASS_NAMES = {layer: name for name, (layer, _) in ACTIVATION_LAYERS.items()}


def check(value: Any) -> Any:
    """Checks an activation of a search space.

    Args:
        value: A name in `keras.activations` or `"prelu"`; a name with arguments, `"leaky_relu(negative_slope=0.1)"`; a
            layer such as `keras.layers.LeakyReLU(0.1)`, or its class; a function from a tensor to a tensor.

    Returns:
        The value in its canonical form: names in lower case, Keras's own functions as names.

    Raises:
        SpaceError: The name or an argument is unknown, or the value is none of these.

    Example:
        >>> check("ReLU6"), check("leaky_relu( negative_slope=.1 )")
        ('relu6', 'leaky_relu(negative_slope=0.1)')
    """
    if isinstance(value, str):
        return _check_text(value)
    if is_layer(value):
        return value
    if isinstance(value, type):
        keras = sys.modules.get("keras")
        if keras is not None and issubclass(value, keras.Layer):
            return value()
    elif callable(value):
        return _keras_name(value) or value
    raise SpaceError(
        "`activations` must be names, layers or functions",
        f"got {value!r}",
        "For example 'relu', 'leaky_relu(negative_slope=0.1)', or `keras.layers.PReLU()`.",
    )


def _check_text(text: str) -> str:
    name, arguments = call(text)
    # "LeakyReLU" is the layer (slope 0.3 unless told), "leaky_relu" the function (slope 0.2): Keras differs there.
    is_class = name in _CLASS_NAMES and name != name.lower()
    base = _CLASS_NAMES[name] if is_class else snake(name) if name.lower() not in _KNOWN else name.lower()
    if base not in _KNOWN:
        raise SpaceError("`activations` must be names that Keras knows", f"got `{name}`", suggest(name, _KNOWN))
    if base in _NEEDS_MORE:
        raise SpaceError(
            "an activation must work on any width without further arguments",
            f"got `{base}`: {_NEEDS_MORE[base]}",
            "Wrap it in a function of your own.",
        )
    if not arguments:
        return _CLASS_FORM.get(name, base) if is_class else base
    if base not in ACTIVATION_LAYERS:
        raise SpaceError(
            "only some activations take arguments: " + ", ".join(sorted(ACTIVATION_LAYERS)),
            f"got `{text}`",
            "Pass a function instead, such as `lambda x: keras.activations.celu(x, alpha=0.5)`.",
        )
    allowed = ACTIVATION_LAYERS[base][1]
    for argument in arguments:
        if argument not in allowed:
            raise SpaceError(f"`{base}` has no such argument", f"got `{argument}`", suggest(argument, allowed))
    return f"{base}({', '.join(f'{key}={item!r}' for key, item in arguments.items())})"


_KNOWN = ACTIVATIONS | set(ACTIVATION_LAYERS)

# A bare class name keeps the layer's own default where it differs from that of the function of the same name.
_CLASS_FORM = {"LeakyReLU": "leaky_relu(negative_slope=0.3)"}


def _keras_name(value: Any) -> str | None:
    """The name of one of Keras's own activation functions, else None."""
    name = function_name(value, "activations") if "keras" in sys.modules else None
    return name if name in ACTIVATIONS else None


@functools.lru_cache(maxsize=256)
def _text_spec(text: str) -> LayerSpec | None:
    name, arguments = call(text)
    if arguments or name == "prelu":
        return LayerSpec(class_name=ACTIVATION_LAYERS[name][0], config=arguments)
    return None


def layer_spec(value: Any) -> LayerSpec | None:
    """The layer of its own that a checked activation needs, or None where it goes into the Dense layer.

    Example:
        >>> layer_spec("leaky_relu(negative_slope=0.1)")
        LayerSpec(class_name='LeakyReLU', config={'negative_slope': 0.1})
        >>> layer_spec("relu") is None
        True
    """
    if isinstance(value, str):
        return _text_spec(value)
    if not is_layer(value):
        return None
    if is_kerass(value, "layers"):
        return LayerSpec(class_name=type(value).__name__, config=layer_config(value))
    # A layer of the user's own class: only its own class can make another one.
    return LayerSpec(class_name=type(value).__name__, config={"layer": value})


def base_name(value: Any) -> str:
    """The name behind an activation, without arguments; empty for functions and unknown layers.

    Example:
        >>> base_name("leaky_relu(negative_slope=0.1)"), base_name(abs)
        ('leaky_relu', '')
    """
    if isinstance(value, str):
        return call(value)[0]
    return _CLASS_NAMES.get(type(value).__name__, "") if is_layer(value) else ""
