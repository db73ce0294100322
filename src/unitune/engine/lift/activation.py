"""Activations: functions without weights, each applied to the members that use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from unitune.engine.lift.base import Context, Key, Node, ProgramNode, Tensor, Unfusable, folded, lift, masked, unfolded
from unitune.engine.lift.rows import try_rows
from unitune.models.identity import NotPlain, check_layer, function_name, is_kerass
from unitune.models.keras_objects import is_layer, layer_config
from unitune.models.shape_rules import Shape
from unitune.models.value_key import NoKey, value_key

# Activation layers whose `call` is a function of the input alone.
_FUNCTION_LAYERS = ("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax")
# A bounded function's lowest and highest value: saturated means beyond 95 % of the way from the middle to either.
_BOUNDS = {
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "sparse_sigmoid": (0.0, 1.0),
}
_ROWWISE = frozenset({"softmax", "log_softmax", "sparsemax", "glu"})
# Keras's names with f(0) != 0; known here so that reading a plan runs nothing. A test holds both sets against Keras.
_NOT_ZERO = frozenset(
    {"sigmoid", "hard_sigmoid", "sparse_sigmoid", "softplus", "sparse_plus", "squareplus", "exponential"}
    | {"log_sigmoid", "log_softmax", "softmax", "sparsemax"}
)


class FunctionKey:
    """A function of the user's own as a key: equal where all that it reads is equal.

    Args:
        function: It.
        noun: What it is: "activation".

    Raises:
        Unfusable: It reads what cannot be compared by value.
    """

    def __init__(self, function: Callable[..., Tensor], noun: str = "activation") -> None:
        self.function = function
        self.name = str(getattr(function, "__name__", type(function).__name__))
        try:
            self.digest = value_key(function)
        except NoKey as told:
            raise Unfusable(f"the {noun} `{self.name}` reads {told}, which has no value to compare") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FunctionKey) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"{self.name}:{self.digest.hex()}"


def activation_key(activation: Any) -> Key:
    """A hashable name for an activation: a Keras name, a layer with its arguments, or the key of a function."""
    if activation is None:
        return "linear"
    if isinstance(activation, str):
        return _name_key(activation)
    if isinstance(activation, Mapping):
        return _serialised_key(activation)
    if is_layer(activation):
        name = type(activation).__name__
        if name not in _FUNCTION_LAYERS or not is_kerass(activation, "layers"):
            raise Unfusable(f"the activation layer `{name}` has no fused form")
        config = layer_config(activation)
        try:
            check_layer(activation, config, lambda: type(activation)(**config), known=True)
        except NotPlain as told:
            raise Unfusable(str(told)) from None
        return _layer_key(name, {**activation.get_config(), **config})
    if callable(activation):
        return function_name(activation, "activations") or FunctionKey(activation)
    raise Unfusable(f"the activation {activation!r} is not a name, a function or a layer")


def _serialised_key(value: Mapping[str, Any]) -> Key:
    """The key of what `keras.saving.serialize_keras_object` makes of an activation."""
    import keras

    name, config = str(value.get("class_name", "")), value.get("config")
    if name in _FUNCTION_LAYERS:
        return _layer_key(name, config or {})
    try:
        live = keras.activations.get(dict(value)) if isinstance(config, str) else None
    except (TypeError, ValueError) as error:
        raise Unfusable(f"the activation {config!r} is not one that Keras knows") from error
    if live is None:
        raise Unfusable(f"the activation layer `{name}` has no fused form")
    return activation_key(live)


@lru_cache(maxsize=256)
def _name_key(name: str) -> Key:
    """A name of Keras's, tried once: an unknown one, or one that needs arguments, is left to plain `fit` to refuse."""
    _eager(name, np.zeros((1, 2), "float32"))
    return name


def activation_node(key: Key, shape: Shape) -> Node:
    """The node of an activation on rows of this shape."""
    rowwise = not is_elementwise(key, len(shape))
    if rowwise and output_width(key, shape[-1]) != shape[-1]:
        # As for `glu`: the layer after it would be built for the width before it.
        raise Unfusable(f"the activation {_readable(key)} changes the number of features, which Keras's layers do not")
    return Node(
        kind="Activation",
        shape=shape,
        function=key,
        exact_width=rowwise,
    )


def _layer_key(class_name: str, config: Mapping[str, Any]) -> Key:
    if class_name == "Activation":
        return activation_key(config.get("activation"))
    skip = ("class_name", "name", "trainable", "dtype", "types", "batch_size", "output_shape")
    items = {name: value for name, value in config.items() if name not in skip}
    return (class_name, tuple(sorted((name, _freeze(value)) for name, value in items.items())))


def _freeze(value: Any) -> Key:
    return tuple(value) if isinstance(value, list) else value


@lru_cache(maxsize=256)
def function_of(key: Key) -> Callable[[Tensor], Tensor]:
    """The function that Keras applies for this key."""
    import keras

    if key == "selu" and keras.backend.backend() == "tensorflow":
        return _selu
    if isinstance(key, str):
        return keras.activations.get(key)  # type: ignore[no-any-return]
    if isinstance(key, tuple):
        layer = getattr(keras.layers, key[0])(**dict(key[1]))
        return layer.call  # type: ignore[no-any-return]
    return key.function  # type: ignore[no-any-return]


def _selu(x: Tensor) -> Tensor:
    """`keras.activations.selu`, with the slope at zero of TensorFlow's own kernel, which plain `fit` uses.

    XLA takes the other side's slope there, and an input of exactly zero is common: a row that dropout emptied.
    """
    from keras import ops

    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return ops.where(x >= 0, scale * x, scale * alpha * ops.expm1(ops.minimum(x, 0.0)))


@lru_cache(maxsize=256)
def is_elementwise(key: Key, rank: int = 1) -> bool:
    """Whether each output depends on its own input alone, so that the layer may be padded.

    Keras's names are known; a callable is tried on small inputs, whose rows have this rank.
    """
    if isinstance(key, str):
        return key not in _ROWWISE
    if isinstance(key, tuple):
        return bool(key[0] != "Softmax")
    x = np.linspace(-2.1, 1.9, 4 * 6 * 3 ** (rank - 1), dtype="float32").reshape(4, *(3,) * (rank - 1), 6)
    try:
        whole, single = _eager(key, x), _eager(key, x.reshape(-1, *(1,) * rank))
    except Unfusable:
        return False  # it may be one of whole rows, of another shape
    return bool(whole.shape == x.shape and np.allclose(single.reshape(x.shape), whole, equal_nan=True))


@lru_cache(maxsize=256)
def check_rows(key: Key, shape: Shape, batch_size: int) -> None:
    """Refuses a function that does not treat each row by itself: folded into one batch, members would see each other.

    Raises:
        Unfusable: With the reason.
    """
    known = isinstance(key, str) or (isinstance(key, tuple) and dict(key[1]).get("axis", -1) == -1)
    if known:
        return
    if is_elementwise(key, len(shape)):
        shape = (3,) * (len(shape) - 1) + (6,)  # one trial for all widths
    _try(key, shape, batch_size)


@lru_cache(maxsize=256)
def _try(key: Key, shape: Shape, batch_size: int) -> None:
    import keras

    class Applied(keras.Layer):  # type: ignore[misc]
        """Layers that are called within learn from this one whether they train."""

        def call(self, x: Tensor, training: bool | None = None) -> Tensor:
            return function_of(key)(x)

    layer = Applied()
    name, floatx = f"the activation {_readable(key)}", keras.config.floatx()
    try_rows(lambda inputs, training: layer(inputs[0], training=training), name, [shape], [floatx], batch_size)


@lru_cache(maxsize=256)
def keeps_zero(key: Key) -> bool:
    """Whether f(0) = 0, so that padded units stay at zero by themselves. Not to be asked first while tracing."""
    if isinstance(key, str):
        return key not in _NOT_ZERO
    return bool(np.all(_eager(key, np.zeros((1, 2), "float32")) == 0.0))


@lru_cache(maxsize=256)
def output_width(key: Key, width: int) -> int:
    """How many features come out of a function of whole rows."""
    return int(_eager(key, np.zeros((1, width), "float32")).shape[-1])


def bounds(key: Key) -> tuple[float, float]:
    """Centre and half range of a bounded activation; `(0, inf)` for the others."""
    low, high = _BOUNDS.get(key, (-np.inf, np.inf)) if isinstance(key, str) else (-np.inf, np.inf)
    return (0.0, np.inf) if np.isinf(high) else ((low + high) / 2, (high - low) / 2)


def _eager(key: Key, x: Any) -> Any:
    import keras

    try:
        return keras.ops.convert_to_numpy(function_of(key)(keras.ops.convert_to_tensor(x)))
    except Exception as error:
        raise Unfusable(f"the activation {_readable(key)} could not be tried on an array: {error}") from error


def _readable(key: Key) -> str:
    if isinstance(key, tuple):
        return f"`{key[0]}({', '.join(f'{name}={value!r}' for name, value in key[1])})`"
    return f"`{key if isinstance(key, str) else key.name}`"


@lift(*_FUNCTION_LAYERS)
class Activation:
    """Applies an activation to all members."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node; `class_name` in `config` tells which layer it was."""
        return [activation_node(_layer_key(config.get("class_name", "Activation"), config), shape)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """All members of a tile have the same activation; where programs serve several, the tile says which."""

        def padded(key: Key) -> Callable[[Tensor], Tensor]:
            if not node.padded or keeps_zero(key):
                return lambda x: apply_key(key, x)
            return lambda x: masked(node, apply_key(key, x), context)

        functions = [padded(key) for key in node.functions]
        y = functions[0](x) if len(functions) == 1 else context.switch(context.choice[node.index], functions, x)
        return y, weights


def apply_key(key: Key, x: Tensor) -> Tensor:
    """The function of a key on stacked tensors."""
    from keras import ops

    function = function_of(key)
    if isinstance(key, str) and (is_elementwise(key) or key in ("softmax", "log_softmax")):
        y = function(x)
    else:
        # A function of whole rows sees rows, one of the user's own tensors of the rank that it was written for.
        y = unfolded(function(folded(x)), x.shape[0])
    # On JAX some of Keras's operations give float32 for float64; its layers cast it back likewise.
    return ops.cast(y, x.dtype)
