"""What a program does to tensors, beside the layers."""

from __future__ import annotations

from collections.abc import Callable

from unitune.engine.lift.base import Tensor
from unitune.engine.program_key import State


def as_wide(x: Tensor, width: int) -> Tensor:
    """The features of members that are all narrower than this, in this width."""
    from keras import ops

    missing = width - x.shape[-1]
    return ops.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, missing)]) if missing > 0 else x[..., :width]


def as_computed(x: Tensor, dtype: str) -> Tensor:
    """Floats in this type, and all else as it is."""
    from keras import backend, ops

    own = backend.standardize_dtype(x.dtype)
    return ops.cast(x, dtype) if backend.is_float_dtype(own) and own != dtype else x


def rows_at(array: Tensor, first: Tensor, count: int) -> Tensor:
    """`array[first : first + count]`."""
    from keras import ops

    # A plain 0 would be an int64 in JAX's 64-bit mode, and all starts must be of one type.
    zero = ops.zeros((), "int32")
    return ops.slice(array, [first] + [zero] * (len(array.shape) - 1), (count, *array.shape[1:]))


def while_loop(condition: Callable[[State], Tensor], body: Callable[[State], State], state: State) -> State:
    """`keras.ops.while_loop` over one nested state."""
    from keras import ops

    (end,) = ops.while_loop(lambda s: condition(s), lambda s: (body(s),), (state,))
    return end  # type: ignore[no-any-return]
