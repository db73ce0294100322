"""What a lift is: a Keras layer rewritten so that it acts on a leading member axis.

A lift has two halves. `read` turns one layer of one blueprint into nodes, in plain Python and without Keras, so that
thousands of members can be sorted into programs quickly. `apply` runs once, while a program is traced: it gets stacked
tensors `(member, batch, ..., feature)` and the stacked weights of its node.

A tensor's last axis is its *width*: units, filters, channels. Widths may differ between the members of a program, and
are then padded with zeros; all other axes are equal. A lift keeps padded places at zero.

Example:
    A layer that multiplies each feature by a learned factor is lifted so:

    ```python
    @unitune.register_lift("Scale")
    class Scale:
        def read(self, config, shape):
            return [Node(kind="Scale", shape=shape, weights=(Weight(axes=("in",)),))]

        def apply(self, node, weights, x, context):
            return x * along_width(weights[0], x), weights
    ```
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any, Literal, Protocol

from unitune.engine.lift.widths import Layout
from unitune.models.shape_rules import Shape

Tensor = Any
Key = Any  # something that hashes: what is equal for two members that share code


class Unfusable(Exception):  # noqa: N818  (a finding, not a failure: the member runs solo)
    """This layer, optimizer or loss has no stacked form; the message is the reason that the user reads."""


def in_brief(error: Exception) -> str:
    """An exception as part of a reason: the first sentence of its first line. Compilers may write pages.

    Example:
        >>> in_brief(ValueError("cannot compile graph while_while_body_194455_const_0[] (see ...)"))
        'ValueError: cannot compile graph ...'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    sentence = re.sub(r"\S{24,}", "...", re.split(r"[.] | [(]|{{", lines[0])[0])
    return shorten(f"{type(error).__name__}: {sentence}", 140, placeholder=" ...")


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One weight of a layer.

    Attributes:
        axes: What each axis is: `"in"` is the width of the first input (`"in1"` of the second, ...), `"out"` that of
            the output, `("out", 4)` that of the output four times in a row; a number is itself.
        trainable: Whether the optimizer changes it.
        name: As in `kernel_regularizer` and `kernel_constraint`.
        constraint: A key of `engine.lift.penalty`, applied after each update.

    Example:
        >>> kernel = Weight(axes=("in", "out"), name="kernel")  # as that of `Dense`
        >>> kernel.shape([5], 8)
        (5, 8)
    """

    axes: tuple[Any, ...]
    trainable: bool = True
    name: str = ""
    constraint: Key = None

    def shape(self, widths_in: Sequence[int], width: int) -> Shape:
        """The shape for these widths of the inputs and the output, true or padded.

        Args:
            widths_in: The widths of the inputs.
            width: That of the output.
        """
        sizes = {"out": width, "in": widths_in[0] if widths_in else 0}
        sizes |= {f"in{i}": size for i, size in enumerate(widths_in)}
        return tuple(
            sizes[axis] if isinstance(axis, str) else axis[1] * sizes[axis[0]] if isinstance(axis, tuple) else axis
            for axis in self.axes
        )


@dataclass(frozen=True, kw_only=True)
class Node:
    """One call of a layer of one member, as far as a program needs to know it.

    Attributes:
        kind: The name under which its lift is registered; in a program, that of a lift of the user's own is longer.
        shape: Of a row of its output, true.
        inputs: The nodes whose outputs it takes; `-1 - k` is the model's input k. Filled in by the reader. A lift may
            say where a node takes them from: numbers of the nodes that it returns, `-1 - k` for the layer's input k.
        static: What must be equal for members to share a program.
        weights: In the order of `keras.Model.get_weights()`.
        numbers: What may differ from member to member inside a program: rates and strengths.
        function: The activation's key, for the kind `"Activation"`.
        layout: How its width comes about: `"own"` is a new one, which may be padded; `"in"` that of its inputs;
            `"first"` that of its first input; `"repeat"` that of its input over and over, as `Flatten` makes it;
            `"join"` those of its inputs in a row.
        exact_width: Whether neither its inputs nor its output may be padded.
        random: Whether it draws at random, with the seed of its layer.
        work: Multiplications for a row, over the product of the widths that come in and go out.
        layer: The number of its layer in the blueprint. Filled in by the reader.
        owner: The node whose weights it shares; -1 where they are its own. Filled in by the reader; a lift may say
            which of the nodes that it returns.
        dtype: Of its output, where that is not Keras's usual floating type.
        part: Which of the layers within draws, where that is not the layer itself.
        absent: Whether the member has no such layer: it is in a program of deeper ones, and passes its input on.

    Example:
        >>> Node(kind="Scale", shape=(5,), weights=(Weight(axes=("in",)),)).width
        5
    """

    kind: str
    shape: Shape
    inputs: tuple[int, ...] = ()
    static: tuple[Key, ...] = ()
    weights: tuple[Weight, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    function: Key = None
    layout: Literal["own", "in", "first", "repeat", "join"] = "in"
    exact_width: bool = False
    random: bool = False
    work: float = 0.0
    layer: int = 0
    owner: int = -1
    dtype: str = ""
    part: int = 0
    absent: bool = False

    @property
    def width(self) -> int:
        """Features that come out: the last axis."""
        return self.shape[-1]


@dataclass(frozen=True, kw_only=True)
class ProgramNode:
    """One node of a program, with padded widths.

    Attributes:
        index: Its place among the nodes.
        inputs, static, weights, random, owner: As in `Node`.
        in_shapes, shape: Of a row of its inputs and of its output, padded.
        layout: How its width is put together, from the nodes that have widths of their own.
        padded: Whether some member is narrower than `width`.
        used: Names of the numbers that are not zero for every member.
        functions: Of an activation: the keys of those that the program can apply. A tile uses one of them.
        kind: Under which its lift is found.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    in_shapes: tuple[Shape, ...]
    shape: Shape
    layout: Layout
    static: tuple[Key, ...]
    weights: tuple[Weight, ...]
    padded: bool
    used: frozenset[str]
    functions: tuple[Key, ...] = ()
    random: bool = False
    owner: int = -1

    @property
    def width(self) -> int:
        """Features that come out, padded."""
        return self.shape[-1]

    @property
    def width_in(self) -> int:
        """Features of the first input, padded."""
        return self.in_shapes[0][-1]

    @property
    def positions(self) -> int:
        """How many places a row has beside its width: 1 for flat features, rows x columns for an image."""
        return math.prod(self.shape[:-1])

    def weight_shape(self, weight: Weight) -> Shape:
        """The padded shape of one of its weights.

        Args:
            weight: One of its weights.
        """
        return weight.shape([shape[-1] if shape else 0 for shape in self.in_shapes], self.width)


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
        calls: How often `fit` has called each layer before, in training and for validation rows.
        keep: From a dropout node and a shape `(..., width)` to `(member, batch, ..., width)` bool: what Keras itself
            would keep in this step.
        draw: `draw("uniform" | "normal", node, shape)`: the numbers that Keras itself would draw in this step. Both
            take `along_width=False` where the last axis of the shape is not the node's width, and as `count` how often
            the layer drew before, where that is not once for each step. `keep` takes the name of the node's rate.
        choice: From an activation's index to an int scalar: which of its `functions` the tile uses.
        switch: `switch(choice, functions, x)`: applies one of the functions, with its gradient.
        scan: `scan(step, states, inputs)`: `step(states, inputs[i]) -> states` for every i; the last states, and the
            first state of every step.
    """

    training: bool
    row_mask: Tensor
    n_rows: Tensor
    unit_mask: Mapping[int, Tensor]
    true_width: Mapping[int, Tensor]
    numbers: Mapping[tuple[int, str], Tensor]
    calls: Tensor
    keep: Callable[..., Tensor]
    draw: Callable[..., Tensor]
    choice: Mapping[int, Tensor]
    switch: Callable[[Tensor, Sequence[Callable[[Tensor], Tensor]], Tensor], Tensor]
    scan: Callable[..., tuple[tuple[Tensor, ...], Tensor]]


class Lift(Protocol):
    """How one kind of layer is read, and applied to stacked tensors.

    Example:
        >>> class Scale:  # a layer that multiplies each feature by a learned factor
        ...     def read(self, config, shape):
        ...         return [Node(kind="Scale", shape=shape, weights=(Weight(axes=("in",)),))]
        ...     def apply(self, node, weights, x, context):
        ...         return x * along_width(weights[0], x), weights
        >>> Scale().read({}, (5,))[0].weights[0].shape([5], 5)
        (5,)
    """

    def read(self, config: Mapping[str, Any], *shapes: Shape) -> list[Node]:
        """The nodes of a layer with these constructor arguments, on rows of these shapes (one for each input).

        The first node takes the layer's inputs, each further one the output of the node before it, unless it has
        `inputs` of its own.

        Args:
            config: What the layer's `get_config` returns.
            *shapes: Of a row of each input, without the batch.

        Raises:
            Unfusable: If the layer uses something that has no stacked form.
        """
        ...

    def apply(
        self, node: ProgramNode, weights: Sequence[Tensor], x: Any, context: Context
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The output `(member, batch, ..., width)`, and the weights with what the forward pass itself changes.

        `x` is a stacked tensor, or a list of them where the node has several inputs.

        Args:
            node: The node, with padded widths.
            weights: Each `(member, ...)`, in the order of the node's.
            x: The input `(member, batch, ..., width)`, or a list of such.
            context: What else it may look at.
        """
        ...


REGISTRY: dict[str, Lift] = {}
"""By the kinds of nodes: the class names of Keras's layers, and what `unitune.engine.lift.own` adds."""


def lift(*class_names: str) -> Callable[[type], type]:
    """Registers a lift for Keras layers of these class names."""

    def register(cls: type) -> type:
        for name in class_names:
            REGISTRY[name] = cls()
        return cls

    return register


def lift_of(kind: str) -> Lift:
    """The lift registered for a kind of nodes.

    Raises:
        Unfusable: If there is none.
    """
    try:
        return REGISTRY[kind]
    except KeyError:
        raise Unfusable(f"the layer `{kind}` has no fused form") from None


def as_cast(value: float) -> float:
    """A Python number as `keras.ops.cast(value, floatx)` gives it, where Keras casts it so.

    On TensorFlow the way goes through float32, which shows in float64.
    """
    import keras

    if value == 0.0 or keras.config.floatx() == "float32":
        return value
    return float(keras.ops.convert_to_numpy(keras.ops.cast(value, keras.config.floatx())))


# Tensors ----------------------------------------------------------------------------------------------------------


def along_width(tensor: Tensor, like: Tensor) -> Tensor:
    """A `(member, width)` tensor with axes of size 1 between, so that it meets the last axis of `like`.

    Args:
        tensor: `(member, width)`.
        like: `(member, batch, ..., width)`, whose number of axes is wanted.

    Example:
        >>> import keras
        >>> tuple(along_width(keras.ops.ones((3, 8)), keras.ops.ones((3, 32, 8))).shape)
        (3, 1, 8)
    """
    from keras import ops

    return ops.reshape(tensor, (tensor.shape[0],) + (1,) * (len(like.shape) - 2) + (tensor.shape[-1],))


def masked(node: ProgramNode, y: Tensor, context: Context) -> Tensor:
    """Zero at the places of a node's output that are padding.

    Args:
        node: The node whose output it is.
        y: `(member, batch, ..., width)`.
        context: As `Lift.apply` got it.

    Example:
        >>> def apply(self, node, weights, x, context):  # of a lift whose output for zeros is one
        ...     return masked(node, x + 1.0, context), weights
    """
    from keras import ops

    if not node.padded:
        return y
    mask = context.unit_mask[node.index]
    return ops.where(ops.reshape(mask, (mask.shape[0],) + (1,) * (len(y.shape) - 2) + (mask.shape[-1],)), y, 0.0)


def folded(x: Tensor) -> Tensor:
    """`(member, batch, ...)` as `(member * batch, ...)`.

    Args:
        x: `(member, batch, ...)`.

    Example:
        >>> import keras
        >>> tuple(folded(keras.ops.ones((3, 32, 8))).shape)
        (96, 8)
    """
    from keras import ops

    def change(x: Tensor) -> Tensor:
        return ops.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))

    return with_logits_of(x, change)


def unfolded(y: Tensor, members: int) -> Tensor:
    """`(member * batch, ...)` as `(member, batch, ...)`.

    Args:
        y: `(member * batch, ...)`.
        members: How many members.

    Example:
        >>> import keras
        >>> tuple(unfolded(keras.ops.ones((96, 8)), 3).shape)
        (3, 32, 8)
    """
    from keras import ops

    def change(y: Tensor) -> Tensor:
        return ops.reshape(y, (members, y.shape[0] // members, *y.shape[1:]))

    return with_logits_of(y, change)


def with_logits_of(y: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`change(y)`, with what TensorFlow knows of the logits that `y` came from.

    Losses are computed from these: Keras notes them on what its sigmoid and softmax give, and sees what operation of
    TensorFlow's own gave a tensor. A tensor of another shape would have lost both.
    """
    changed = change(y)
    logits, kind = getattr(y, "_keras_logits", None), getattr(getattr(y, "op", None), "type", "")
    if logits is not None:
        changed._keras_logits = change(logits)
    elif kind in ("Sigmoid", "Softmax"):
        changed._logits_of = (kind, change(y.op.inputs[0]))
    elif hasattr(y, "_logits_of"):
        changed._logits_of = (y._logits_of[0], change(y._logits_of[1]))
    return changed
