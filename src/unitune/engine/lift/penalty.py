"""Regularisers and constraints on weights: what differs by member is a number, what differs in form is a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unitune.engine.lift.base import Context, Key, Node, ProgramNode, Tensor, Unfusable, Weight, as_cast, lift, masked
from unitune.models.identity import NotPlain, is_kerass
from unitune.models.keras_objects import part_config
from unitune.models.shape_rules import Shape

# Keras's regularisers, with the defaults of their strengths.
_L1_L2 = {"l1": {"l1": 0.01}, "l2": {"l2": 0.01}, "l1l2": {"l1": 0.0, "l2": 0.0}}
_CONSTRAINTS = {
    "maxnorm": "MaxNorm",
    "nonneg": "NonNeg",
    "unitnorm": "UnitNorm",
    "minmaxnorm": "MinMaxNorm",
}


def describe(value: Any) -> tuple[str, dict[str, Any]]:
    """The class name and the configuration of a Keras object, its serialised form, or its name.

    Raises:
        Unfusable: For an object that is not Keras's own, whatever its name.
    """
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping):
        return str(value["class_name"]), dict(value.get("config", {}))
    module = "regularizers" if is_kerass(value, "regularizers") else "constraints"
    try:
        return type(value).__name__, part_config(value, module)
    except NotPlain:
        name = getattr(value, "__name__", type(value).__name__)
        raise Unfusable(f"`{name}` is a regulariser or constraint of your own") from None


def penalty_numbers(weight: str, regularizer: Any) -> dict[str, float]:
    """The strengths of an L1, L2 or L1L2 regulariser as `{"kernel_l1": ..., "kernel_l2": ...}`.

    Raises:
        Unfusable: For any other regulariser.
    """
    strengths = {"l1": 0.0, "l2": 0.0}
    if regularizer is not None:
        name, config = describe(regularizer)
        terms = _L1_L2.get(name.lower())
        if terms is None:
            raise Unfusable(f"the regulariser `{name}` has no fused form")
        for term, default in terms.items():
            strengths[term] = as_cast(float(config.get(term, default)))
    return {f"{weight}_{term}": strength for term, strength in strengths.items()}


def penalty(
    node: ProgramNode,
    weights: Sequence[Tensor],
    numbers: Mapping[tuple[int, str], Tensor],
    width_in: Tensor,
    width: Tensor,
    real: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    """The regularisation losses of a node's weights, each `(member,)`.

    Args:
        node, weights: A layer.
        numbers: Strengths, by node and name.
        width_in, width: True widths, broadcast against `(member, 1, 1)`.
        real: For each weight which of its places are not padding; None for a dense layer whose widths lead.
    """
    from keras import ops

    losses = []
    for place, (spec, weight) in enumerate(zip(node.weights, weights, strict=True)):
        name = spec.name
        axes = tuple(range(1, len(weight.shape)))
        total = None
        if f"{name}_l1" in node.used:
            # JAX takes the slope of |w| at zero to be 1, so padding has to be left out lest it start to grow.
            own = _leading(node, weight, width_in, width) if real is None else real[place]
            size = ops.where(own, ops.abs(weight), 0.0)
            total = numbers[node.index, f"{name}_l1"] * ops.sum(size, axis=axes)
        if f"{name}_l2" in node.used:
            l2 = numbers[node.index, f"{name}_l2"] * ops.sum(ops.square(weight), axis=axes)
            total = l2 if total is None else total + l2
        if total is not None:
            losses.append(total)
    return losses


def _leading(node: ProgramNode, weight: Tensor, width_in: Tensor, width: Tensor) -> Tensor:
    """Which places of a dense layer's kernel or bias are its member's own."""
    from keras import ops

    real = ops.arange(node.width, dtype=width.dtype)[None, None, :] < width
    if len(weight.shape) == 2:
        return real[:, 0, :]
    return ops.logical_and(real, ops.arange(node.width_in, dtype=width_in.dtype)[None, :, None] < width_in)


def constraint_key(constraint: Any) -> Key:
    """A constraint as a key: its class and its arguments; None where there is none.

    Raises:
        Unfusable: For a constraint that Keras does not have.
    """
    if constraint is None:
        return None
    name, config = describe(constraint)
    canonical = _CONSTRAINTS.get(name.replace("_", "").lower())
    if canonical is None:
        raise Unfusable(f"the constraint `{name}` has no fused form")
    return (canonical, tuple(sorted((key, _hashable(value)) for key, value in config.items())))


def constrain(key: Key, weight: Tensor) -> Tensor:
    """Applies a constraint to a stacked weight: its axes count from the member's first, so they move by one."""
    import keras

    if key is None:
        return weight
    name, items = key
    config = dict(items)
    if name in ("MaxNorm", "UnitNorm", "MinMaxNorm"):
        axis = config.get("axis", 0)
        axes = axis if isinstance(axis, tuple) else (axis,)
        config["axis"] = tuple(a + 1 if a >= 0 else a for a in axes)
    return getattr(keras.constraints, name)(**config)(weight)


def _hashable(value: Any) -> Key:
    return tuple(value) if isinstance(value, list) else value


def trained(config: Mapping[str, Any], name: str, axes: tuple[Any, ...], *, prefix: str = "") -> Weight:
    """A trained weight with its constraint, as a layer's arguments say; `prefix` is what Keras calls it there."""
    return Weight(axes=axes, name=name, constraint=constraint_key(config.get(f"{prefix or name}_constraint")))


def penalties(
    config: Mapping[str, Any], weights: Sequence[Weight], prefixes: Mapping[str, str] | None = None
) -> dict[str, float]:
    """The strengths of the regularisers of a layer's weights."""
    numbers: dict[str, float] = {}
    for one in weights:
        if one.name:
            argument = (prefixes or {}).get(one.name, one.name)
            numbers |= penalty_numbers(one.name, config.get(f"{argument}_regularizer"))
    return numbers


def refuse(layer: str, config: Mapping[str, Any], *names: str) -> None:
    """Refuses arguments that have no stacked form, where they are given.

    Raises:
        Unfusable: With the first of them.
    """
    for name in names:
        if config.get(name):
            raise Unfusable(f"`{layer}({name}=...)` has no fused form")


@lift("ActivityRegularization")
class ActivityRegularization:
    """What comes out of a layer adds to the loss: the layer of this name, and `activity_regularizer` of any other."""

    def read(self, config: Mapping[str, Any], shape: Shape) -> list[Node]:
        """One node, with its strengths."""
        own = {"class_name": "L1L2", "config": {name: config.get(name, 0.0) for name in ("l1", "l2")}}
        numbers = penalty_numbers("output", config.get("regularizer", own))
        return [Node(kind="ActivityRegularization", shape=shape, numbers=numbers)]

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """What comes in; `activity` says what it adds."""
        return x, weights


def activity(node: ProgramNode, y: Tensor, context: Context) -> list[Tensor]:
    """What the outputs of a node add to the loss, each `(member, batch)`: the mean over the rows counts."""
    from keras import ops

    terms = []
    for name, size in (("output_l1", ops.abs), ("output_l2", ops.square)):
        if node.kind == "ActivityRegularization" and name in node.used:
            # JAX takes the slope of |y| at zero to be 1, so padding has to be left out.
            total = ops.sum(masked(node, size(y), context), axis=tuple(range(2, len(y.shape))))
            terms.append(context.numbers[node.index, name][:, None] * total)
    return terms
