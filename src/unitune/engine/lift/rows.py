"""Whether a function treats each row by itself: only then may the rows of all members be folded into one batch.

Nothing is taken on trust: a function is traced, and what it draws, keeps, reads and adds to the loss is looked at; then
it is run on rows in other company, in another order and number, in training and otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from unitune.engine.lift.base import Tensor, Unfusable, in_brief
from unitune.models.shape_rules import Shape
from unitune.records import Array

Function = Callable[[list[Tensor], bool], Any]
"""`function(inputs, training)`."""

_LARGEST = 2**22  # numbers in a batch that is tried
_RANDOM = ("random", "rng", "threefry", "multinomial", "bernoulli", "truncatednormal", "statelessshuffle")
# Stateful only in name: what they run is looked at by itself, or does nothing to values.
_HARMLESS = frozenset({"StatefulPartitionedCall", "If", "While", "Case", "Assert", "Print", "PrintV2", "Placeholder"})


class Tried(NamedTuple):
    """What comes out of a function: the shape of a row, and the type."""

    shape: Shape
    dtype: str


def try_rows(function: Function, name: str, shapes: Sequence[Shape], types: Sequence[str], batch_size: int) -> Tried:
    """Tries a function of whole batches.

    Args:
        function: Deterministic, without effects, the same in training, and of each row by itself, or it is refused.
        name: How a reason calls it.
        shapes: Of a row, for each input.
        types: Of the inputs.
        batch_size: Rows of a step of training.

    Raises:
        Unfusable: With what it does instead.
    """
    import keras

    for training in (True, False):
        # Once freely, since layers within may still have to be built.
        _run(function, name, _rows(np.random.default_rng(0), shapes, types, 2), training)
        if found := _effects(function, name, shapes, types, training):
            raise Unfusable(f"{name} {found}")
    rng = np.random.default_rng(1)
    for scale, shift in ((1.0, 0.0), (0.2, 0.5)):  # of any sign; and such as a logarithm takes
        rows = _rows(rng, shapes, types, 5, scale, shift)
        first = _run(function, name, rows, False)
        known = keras.ops.convert_to_numpy(first)
        if known.ndim < 1 or len(known) != 5:
            raise Unfusable(f"{name} mixes rows, or leaves some out")
        if not _same(known, keras.ops.convert_to_numpy(_run(function, name, rows, False))):
            raise Unfusable(f"{name} gives something else each time, or draws at random")
        if not _same(known, keras.ops.convert_to_numpy(_run(function, name, rows, True))):
            raise Unfusable(f"{name} does something else in training")
        for company, own, usual in _companies(rng, rows, shapes, types, batch_size):
            try:
                seen = keras.ops.convert_to_numpy(_run(function, name, company, False))
            except Unfusable:
                if usual:
                    raise
                continue  # it cannot be run on NaN, or on places that a table does not have: that proves nothing
            if seen.shape != (len(company[0]), *known.shape[1:]) or not _same(known, seen[own]):
                raise Unfusable(f"{name} mixes rows, or goes by how many there are")
    return Tried(tuple(known.shape[1:]), str(keras.backend.standardize_dtype(first.dtype)))


def _rows(
    rng: np.random.Generator,
    shapes: Sequence[Shape],
    types: Sequence[str],
    n: int,
    scale: float = 1.0,
    shift: float = 0.0,
) -> list[Array]:
    """Random rows for each input; whole numbers are small, since they may be places in a table."""
    found = []
    for shape, kind in zip(shapes, types, strict=True):
        if kind == "bool":
            found.append(rng.integers(0, 2, size=(n, *shape)).astype(bool))
        elif kind.startswith(("int", "uint")):
            found.append(rng.integers(0, 3, size=(n, *shape)).astype(kind))
        elif kind.startswith("float"):
            found.append((rng.uniform(-1, 1, size=(n, *shape)) * scale + shift).astype(kind))
        else:
            raise Unfusable(f"inputs of the type `{kind}` have no fused form")
    return found


def _companies(
    rng: np.random.Generator, rows: list[Array], shapes: Sequence[Shape], types: Sequence[str], batch_size: int
) -> Iterator[tuple[list[Array], Any, bool]]:
    """Batches with these rows among them, the places of these, and whether the others are such as rows usually are."""
    n = len(rows[0])
    order = np.array([3, 1, 4, 0, 2])
    yield [one[order] for one in rows], np.argsort(order), True
    for last in range(1, n):
        yield [np.concatenate([one[last:], one[:last]]) for one in rows], np.roll(np.arange(n), last), True
    strangers = _rows(rng, shapes, types, 3, 30.0, -2.0)
    opposite = [-one if one.dtype.kind == "f" else one[::-1] for one in strangers]
    nothing = [np.full_like(one, np.nan if one.dtype.kind == "f" else 101) for one in strangers]
    for others in (strangers, opposite, nothing):
        company = [np.concatenate([a, b, a]) for a, b in zip(others, rows, strict=True)]
        yield company, slice(3, 3 + n), others is not nothing
    size = max(sum(int(np.prod(shape)) for shape in shapes), 1)
    for many in (batch_size, 2 * batch_size + 3):
        if n < many <= _LARGEST // size:
            more = _rows(rng, shapes, types, many - n)
            yield [np.concatenate([a, b]) for a, b in zip(more, rows, strict=True)], slice(many - n, many), True


def _same(one: Array, other: Array) -> bool:
    if one.dtype.kind not in "fV":
        return bool(np.array_equal(one, other))
    wide, also = one.astype("float64"), other.astype("float64")
    rounding = 1e-12 if one.dtype == "float64" else 1e-5 if one.dtype == "float32" else 1e-2
    finite = np.abs(wide[np.isfinite(wide)])
    return bool(np.allclose(wide, also, rtol=rounding, atol=rounding * max(finite, default=0.0), equal_nan=True))


def _run(function: Function, name: str, rows: Sequence[Array], training: bool) -> Tensor:
    import keras

    try:
        found = function([keras.ops.convert_to_tensor(one) for one in rows], training)
    except Exception as error:
        raise Unfusable(f"{name} could not be tried on arrays: {in_brief(error)}") from error
    if not keras.ops.is_tensor(found):
        raise Unfusable(f"{name} gives a {type(found).__name__}, not one tensor")
    return found


# What a function does beside computing ------------------------------------------------------------------------------


def _effects(function: Function, name: str, shapes: Sequence[Shape], types: Sequence[str], training: bool) -> str:
    """The first effect that is found, or nothing."""
    import keras

    touched: list[Any] = []

    class Scope(keras.StatelessScope):  # type: ignore[misc]
        """Notes which variables are read or changed, and what is added to the loss."""

        def get_current_value(self, variable: Any) -> Any:
            touched.append(variable)
            return super().get_current_value(variable)

        def add_update(self, update: Any) -> None:
            touched.append(update[0])
            super().add_update(update)

    masks: list[Any] = []

    def traced(*inputs: Tensor) -> Any:
        found = function(list(inputs), training)
        masks.append(keras.src.backend.get_keras_mask(found))
        return found

    with Scope(collect_losses=True) as scope:
        try:
            traces = _traces(traced, shapes, types)
        except Exception as error:
            return f"could not be traced: {in_brief(error)}"
    if any("seed" in str(getattr(one, "name", "")) for one in touched) or any(
        word in kind.lower() for kind, _ in traces for word in _RANDOM
    ):
        return "draws at random"
    if scope.losses:
        return "adds to the loss"
    if touched or any(stateful for _, stateful in traces):
        return "reads or changes variables, or calls Python"
    return "gives a mask" if any(mask is not None for mask in masks) else ""


def _traces(function: Callable[..., Any], shapes: Sequence[Shape], types: Sequence[str]) -> list[tuple[str, bool]]:
    """The kinds of operations that a function is made of, and whether each has an effect."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        given = [jax.ShapeDtypeStruct((5, *shape), kind) for shape, kind in zip(shapes, types, strict=True)]
        return [(one, "callback" in one) for one in _primitives(jax.make_jaxpr(function)(*given).jaxpr)]
    import tensorflow as tf

    given = [tf.TensorSpec((None, *shape), kind) for shape, kind in zip(shapes, types, strict=True)]
    graph = tf.function(function, autograph=False).get_concrete_function(*given).graph.as_graph_def()
    kinds = {node.op for node in graph.node} | {node.op for one in graph.library.function for node in one.node_def}
    functions = {one.signature.name for one in graph.library.function}
    return [(kind, kind not in _HARMLESS and _stateful(kind)) for kind in kinds if kind not in functions]


def _stateful(kind: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    known = op_def_registry.get(kind)
    return known is None or bool(known.is_stateful)


def _primitives(jaxpr: Any) -> Iterator[str]:
    """The names of the operations of a jaxpr, and of those within them."""
    for equation in jaxpr.eqns:
        yield str(equation.primitive)
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else (value,):
                if hasattr(inner, "eqns"):
                    yield from _primitives(inner)
                elif hasattr(inner, "jaxpr"):
                    yield from _primitives(inner.jaxpr)
