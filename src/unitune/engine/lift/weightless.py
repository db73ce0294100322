"""Layers without weights, by one rule: the members are folded into the batch, and Keras's own layer is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from unitune.engine.lift.base import Context, Key, Node, ProgramNode, Tensor, Unfusable, folded, lift, unfolded
from unitune.engine.lift.rows import Tried, try_rows
from unitune.models.blueprint import Call
from unitune.models.identity import made_again
from unitune.models.keras_objects import LambdaAgain, plain
from unitune.models.shape_rules import RULES, Shape
from unitune.models.value_key import NoKey, value_key

# These leave the last axis as it is, place by place, and zeros at zero: their inputs may be padded.
_CHANNELWISE = frozenset(
    {f"{kind}{n}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)}
    | {f"Adaptive{kind}Pooling{n}D" for kind in ("Average", "Max") for n in (1, 2, 3)}
    | {"RepeatVector"}
)
# These are known to treat each row by itself, whatever their arguments, and to give the floating type they compute in.
_ROW_BY_ROW = _CHANNELWISE | {"Reshape", "Permute", "Rescaling", "Masking"}
_NOT_ARGUMENTS = frozenset(
    {"class_name", "name", "trainable", "dtype", "output_shape", "call_arguments", "call_constants", "call_named"}
    | {"weightless", "types", "batch_size"}
)


@lift(
    "weightless",
    "Reshape",
    "Permute",
    "RepeatVector",
    "Rescaling",
    "UnitNormalization",
    "Dot",
    "Masking",
    *sorted(_CHANNELWISE),
)
class Weightless:
    """Any layer that has no weights, does not mix rows and draws nothing at random."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """One node; where the widths' places are not known to stay what they are, nothing is padded."""
        import keras

        name = config["class_name"]
        recipe = _recipe(config)
        if name in RULES and "class" not in config:
            try:
                shape = RULES[name](config, *shapes)[1]
            except KeyError as error:
                raise Unfusable(f"`{error.args[0]}` has no fused form") from None
        else:
            known: Shape | None = config.get("output_shape")
            if known is None:
                raise Unfusable(f"the layer `{name}` has an output of unknown shape")
            shape = known
        if not shape:
            raise Unfusable(f"the layer `{name}` gives single numbers")
        usual = str(keras.config.floatx())
        types: tuple[str, ...] = config.get("types") or (usual,) * len(shapes)
        dtype = usual
        if "class" in config or name not in _ROW_BY_ROW or set(types) != {usual}:
            tried = _tried(recipe, shapes, types, int(config.get("batch_size", 32)))
            if tried.shape != tuple(shape):
                raise Unfusable(f"the layer `{name}` gives rows of the shape {tried.shape}, not {tuple(shape)}")
            dtype = tried.dtype
        channelwise = name in _CHANNELWISE and set(types) == {usual}
        return [
            Node(
                kind="weightless",
                shape=tuple(shape),
                static=(recipe,),
                layout="in" if channelwise else "own",
                exact_width=not channelwise,
                dtype="" if dtype == usual else dtype,
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Any, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The layer sees `(member * batch, ...)`."""
        inputs = x if isinstance(x, list) else [x]
        recipe = node.static[0]
        y = _called(_made(recipe), recipe, [folded(one) for one in inputs], context.training)
        return unfolded(y, inputs[0].shape[0]), weights


class _Live:
    """A class with its arguments as a key: equal where they hold the same."""

    def __init__(self, subject: Any, config: Mapping[str, Any]) -> None:
        self.subject = subject
        self.config = config
        own = subject.key if isinstance(subject, LambdaAgain) else subject
        self.key = _key((own, {k: v for k, v in config.items() if k != "name"}))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Live) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _key(value: Any) -> bytes:
    try:
        return value_key(value)
    except NoKey as told:
        raise Unfusable(f"a layer without weights holds {told}, which has no value to compare") from None


def _recipe(config: Mapping[str, Any]) -> Key:
    """How the layer is made again: what must be equal in a program."""
    call = Call(
        layer=0,
        inputs=(),
        arguments=tuple(config.get("call_arguments", {}).items()),
        constants=config.get("call_constants", ()),
        named=config.get("call_named", ()),
    )
    if "class" in config:
        subject = _Live(config["class"], config["config"])
    else:
        own = {name: plain(value) for name, value in config.items() if name not in _NOT_ARGUMENTS}
        subject = _Live(config["class_name"], own)
    return (subject, _Call(call))


class _Call:
    """What a call says beside its tensors, as a key."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.key = _key((call.arguments, call.constants, call.named))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _made(recipe: Key) -> Any:
    """The layer, made again."""
    import keras

    live = recipe[0]
    if isinstance(live.subject, str):
        return getattr(keras.layers, live.subject)(**live.config)
    return made_again(live.subject, live.config)


def _called(layer: Any, recipe: Key, inputs: list[Tensor], training: bool) -> Tensor:
    import keras

    from unitune.models.build import TAKES_LIST

    said = recipe[1]
    inputs, arguments = said.call.given(inputs)
    if not isinstance(layer, keras.Layer):
        listed = f"keras.ops.{type(layer).__name__}" in TAKES_LIST
        return layer(inputs, **arguments) if listed else layer(*inputs, **arguments)
    arguments["training"] = training
    return layer(inputs, **arguments) if type(layer).__name__ in TAKES_LIST else layer(*inputs, **arguments)


@lru_cache(maxsize=256)
def _tried(recipe: Key, shapes: tuple[Shape, ...], types: tuple[str, ...], batch_size: int) -> Tried:
    """What comes out of a layer that is not known here; each row must be treated by itself."""
    layer = _made(recipe)
    name = recipe[0].subject if isinstance(recipe[0].subject, str) else type(layer).__name__

    def call(inputs: list[Tensor], training: bool) -> Tensor:
        return _called(layer, recipe, inputs, training)

    return try_rows(call, f"the layer `{name}`", shapes, types, batch_size)
