"""Layers without weights, by one rule: the members are folded into the batch, and Keras's own layer is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from unitune.engine.lift.base import Context, Key, Node, ProgramNode, Tensor, Unfusable, folded, lift, unfolded
from unitune.models.blueprint import Call
from unitune.models.keras_objects import plain
from unitune.models.shape_rules import RULES, Shape

# These leave the last axis as it is, place by place, and zeros at zero: their inputs may be padded.
_CHANNELWISE = frozenset(
    {f"{kind}{n}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)}
    | {f"Adaptive{kind}Pooling{n}D" for kind in ("Average", "Max") for n in (1, 2, 3)}
    | {"RepeatVector"}
)
# These mean more than a function of their inputs.
_REFUSED = {
    "ActivityRegularization": "it adds to the loss",
    "Masking": "masks are not carried on",
}
_NOT_ARGUMENTS = frozenset(
    {"class_name", "name", "trainable", "dtype", "output_shape", "call_arguments", "call_constants", "weightless"}
)


@lift(
    "weightless",
    "Reshape",
    "Permute",
    "RepeatVector",
    "Rescaling",
    "UnitNormalization",
    "Dot",
    *sorted(_CHANNELWISE),
    *_REFUSED,
)
class Weightless:
    """Any layer that has no weights, does not mix rows and draws nothing at random."""

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """One node; where the widths' places are not known to stay what they are, nothing is padded."""
        name = config["class_name"]
        if name in _REFUSED:
            raise Unfusable(f"`{name}` has no fused form: {_REFUSED[name]}")
        recipe = _recipe(config)
        if name in RULES:
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
        if name not in RULES:
            _check_rows(recipe, shapes, shape)
        channelwise = name in _CHANNELWISE
        return [
            Node(
                kind="weightless",
                shape=tuple(shape),
                static=(recipe,),
                layout="in" if channelwise else "own",
                exact_width=not channelwise,
            )
        ]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Any, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The layer sees `(member * batch, ...)`."""
        from keras import ops

        inputs = x if isinstance(x, list) else [x]
        members, dtype = inputs[0].shape[0], inputs[0].dtype
        return ops.cast(unfolded(_called(node.static[0], [folded(one) for one in inputs]), members), dtype), weights


class _Live:
    """A class with its arguments as a key: equal where the arguments read the same."""

    def __init__(self, subject: Any, config: Mapping[str, Any]) -> None:
        self.subject = subject
        self.config = config
        self.text = repr(sorted((k, repr(v)) for k, v in config.items() if k != "name"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Live) and (self.subject, self.text) == (other.subject, other.text)

    def __hash__(self) -> int:
        return hash((self.subject, self.text))


def _recipe(config: Mapping[str, Any]) -> Key:
    """How the layer is made again: what must be equal in a program."""
    call = Call(
        layer=0,
        inputs=(),
        arguments=tuple(config.get("call_arguments", {}).items()),
        constants=config.get("call_constants", ()),
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
        self.text = repr((call.arguments, call.constants))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _called(recipe: Key, inputs: list[Tensor]) -> Tensor:
    """Makes the layer and calls it."""
    import keras

    from unitune.models.build import TAKES_LIST

    live, said = recipe
    arguments, inputs = dict(said.call.arguments), said.call.positional(inputs)
    if isinstance(live.subject, str):
        layer = getattr(keras.layers, live.subject)(**live.config)
    else:
        layer = live.subject.from_config(dict(live.config))
    takes_list = isinstance(layer, keras.Layer) and type(layer).__name__ in TAKES_LIST
    return layer(inputs, **arguments) if takes_list else layer(*inputs, **arguments)


@lru_cache(maxsize=256)
def _check_rows(recipe: Key, shapes: tuple[Shape, ...], shape: Shape) -> None:
    """Tries a layer that is not known here: each row must be treated by itself, and the same way each time."""
    import keras

    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(4, *one)).astype(keras.config.floatx()) for one in shapes]

    def run(n: int) -> Any:
        return keras.ops.convert_to_numpy(_called(recipe, [keras.ops.convert_to_tensor(one[:n]) for one in inputs]))

    name = getattr(recipe[0].subject, "__name__", type(recipe[0].subject).__name__)
    try:
        whole, part = run(4), run(2)
    except Exception as error:
        raise Unfusable(f"the layer `{name}` could not be tried on arrays: {error}") from error
    if whole.shape != (4, *shape) or not np.allclose(whole[:2], part, equal_nan=True):
        raise Unfusable(f"the layer `{name}` mixes rows, or draws at random")
