"""What a lift is: a Keras layer rewritten so that it acts on a leading member axis.

A lift has two halves. `read` turns one layer of one blueprint into nodes, in plain Python and without Keras, so that
thousands of members can be sorted into programs quickly. `apply` runs once, while a program is traced: it gets stacked
tensors `(member, batch, feature)` and the stacked weights of its node.

Example:
    A layer that multiplies each feature by a learned factor would be lifted so:

    ```python
    @lift("Scale")
    class Scale:
        def read(self, config, width):
            return [Node(kind="Scale", width_in=width, width=width, weights=(Weight(axes=("in",)),))]

        def apply(self, node, weights, x, context):
            return x * weights[0][:, None, :], weights
    ```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from unitune.records import Array

Tensor = Any
Key = Any  # something that hashes: what is equal for two members that share code


class Unfusable(Exception):  # noqa: N818  (a finding, not a failure: the member runs solo)
    """This layer, optimizer or loss has no stacked form; the message is the reason that the user reads."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One weight of a layer. `axes` names each axis: `"in"` and `"out"` are the layer's widths, a number is itself."""

    axes: tuple[str | int, ...]
    trainable: bool = True

    def shape(self, width_in: int, width: int) -> tuple[int, ...]:
        """The shape for these widths, true or padded."""
        sizes = {"in": width_in, "out": width}
        return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in self.axes)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One layer of one member, as far as a program needs to know it.

    Attributes:
        kind: The name under which its lift is registered.
        width_in, width: Features that come in and go out.
        static: What must be equal for members to share a program.
        weights: In the order of `keras.Model.get_weights()`.
        numbers: What may differ from member to member inside a program: rates and strengths.
        function: The activation's key, for the kind `"Activation"`.
        exact_width: Whether this node must not be padded.
        layer: The number of its layer in the blueprint.
    """

    kind: str
    width_in: int
    width: int
    layer: int = 0
    static: tuple[Key, ...] = ()
    weights: tuple[Weight, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    function: Key = None
    exact_width: bool = False


@dataclass(frozen=True, kw_only=True)
class ProgramNode:
    """One layer of a program, with padded widths.

    Attributes:
        index: Its place among the nodes.
        padded: Whether some member is narrower than `width`.
        used: Names of the numbers that are not zero for every member.
        functions: Of an activation: the keys of those that the program can apply. A tile uses one of them.
    """

    index: int
    kind: str
    width_in: int
    width: int
    static: tuple[Key, ...]
    weights: tuple[Weight, ...]
    padded: bool
    used: frozenset[str]
    functions: tuple[Key, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a lift may look at while it is traced.

    Attributes:
        training: Whether the layer acts as in training.
        row_mask: `(batch,)` bool, the rows that are real.
        n_rows: How many they are, as a float scalar.
        unit_mask: From a node's index to `(member, 1, width)` bool, the units that are real, for padded nodes.
        true_width: From a node's index to `(member, 1, 1)`, the number of real units as a float.
        numbers: From a node's index and a name to `(member,)`.
        keep: From a dropout node to `(member, batch, width)` bool: what Keras itself would keep in this step.
        choice: From an activation's index to an int scalar: which of its `functions` the tile uses.
        switch: `switch(choice, functions, x)`: applies one of the functions, with its gradient.
    """

    training: bool
    row_mask: Tensor
    n_rows: Tensor
    unit_mask: Mapping[int, Tensor]
    true_width: Mapping[int, Tensor]
    numbers: Mapping[tuple[int, str], Tensor]
    keep: Callable[[ProgramNode], Tensor]
    choice: Mapping[int, Tensor]
    switch: Callable[[Tensor, Sequence[Callable[[Tensor], Tensor]], Tensor], Tensor]


class Lift(Protocol):
    """How one kind of layer is read, and applied to stacked tensors."""

    def read(self, config: Mapping[str, Any], width: int) -> list[Node]:
        """The nodes of a layer with these constructor arguments on `width` features.

        Raises:
            Unfusable: If the layer uses something that has no stacked form.
        """
        ...

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Tensor, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The output `(member, batch, width)`, and the weights with what the forward pass itself changes."""
        ...


_REGISTRY: dict[str, Lift] = {}


def lift(*class_names: str) -> Callable[[type], type]:
    """Registers a lift for Keras layers of these class names."""

    def register(cls: type) -> type:
        for name in class_names:
            _REGISTRY[name] = cls()
        return cls

    return register


def lift_of(class_name: str) -> Lift:
    """The lift registered for a layer class.

    Raises:
        Unfusable: If there is none.
    """
    try:
        return _REGISTRY[class_name]
    except KeyError:
        raise Unfusable(f"the layer `{class_name}` has no fused form") from None


def as_cast(value: float) -> float:
    """A Python number as `keras.ops.cast(value, floatx)` gives it, where Keras casts it so.

    On TensorFlow the way goes through float32, which shows in float64.
    """
    import keras

    if value == 0.0 or keras.config.floatx() == "float32":
        return value
    return float(keras.ops.convert_to_numpy(keras.ops.cast(value, keras.config.floatx())))


def pad(array: Array, shape: tuple[int, ...], out: Array) -> None:
    """Writes a narrow member's weight into the leading corner of its padded place, which holds zeros."""
    if array.shape == shape:
        out[...] = array
    else:
        out[tuple(slice(size) for size in array.shape)] = array
