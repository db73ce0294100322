"""What a program needs of TensorFlow: compilation, the gradient, and Keras's random numbers."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from unitune.engine.lift.base import Tensor
from unitune.models.shape_rules import Shape

_NUMBERS = threading.local()
_TRACED: dict[int, Iterator[int]] = {}
# XLA's newer generator of loops takes a third longer to compile and runs no faster. A flag that a version does not know
# would end the process, so it is set only for those with which it was tried.
_SOONER_COMPILED = "--xla_cpu_use_fusion_emitters=false"
_TRIED_WITH = ("2.21.",)
_FIRST_COMPILATION = threading.Lock()  # taken once, and kept


class TensorFlowBackend:
    """Programs as `tf.function(jit_compile=True)`."""

    name = "tensorflow"

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function compiled by XLA; arguments are nested tensors of fixed shapes."""
        import tensorflow as tf

        # A partial of its own: TensorFlow counts retracings by code object, and would warn of many programs.
        return tf.function(partial(function), jit_compile=True, autograph=False)  # type: ignore[no-any-return]

    @contextmanager
    def naming(self, digest: bytes) -> Iterator[None]:
        """TensorFlow numbers functions and branches in the order in which a process makes them, and these names are
        part of what is compiled. Here they are numbered from the program's digest on."""
        import tensorflow as tf

        _number_by_thread()
        tf.compat.v1.get_default_graph()  # each thread's own has a number, which is drawn at first use
        start = int.from_bytes(digest[:5]) << 20  # tensors have such numbers, too, of 64 bits
        # No number is given twice in a process: a program that is traced again has the next ones.
        _NUMBERS.of_program = _TRACED.setdefault(start, itertools.count(start))
        try:
            with _sooner_compiled(tf.__version__):
                yield
        finally:
            _NUMBERS.of_program = None

    def gradient(
        self, loss: Callable[[list[Tensor]], tuple[Tensor, Any]], weights: list[Tensor]
    ) -> tuple[list[Tensor], Any]:
        """The gradient of `loss(weights)[0]`, and `loss(weights)[1]`."""
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            value, rest = loss(weights)
        return tape.gradient(value, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO), rest

    def tensor(self, array: Any) -> Tensor:
        """The array on the device."""
        import tensorflow as tf

        return tf.constant(array)

    def switch(self, choice: Tensor, functions: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> Tensor:
        """Applies the chosen function. Its gradient is a second branch, which computes the function again: a branch
        that handed its intermediate results over would fill those of all the others with zeros."""
        import tensorflow as tf

        def pull(function: Callable[[Tensor], Tensor], x: Tensor, upstream: Tensor) -> Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return tape.gradient(y, x, output_gradients=upstream)

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def chosen(x: Tensor) -> Any:
            def gradient(upstream: Tensor) -> Tensor:
                return tf.switch_case(choice, [partial(pull, function, x, upstream) for function in functions])

            return tf.switch_case(choice, [partial(function, x) for function in functions]), gradient

        return chosen(x)

    def only_if(self, wanted: Tensor, function: Callable[[], Tensor], shape: Shape, dtype: str) -> Tensor:
        """What the function gives, or zeros."""
        import tensorflow as tf

        # Of two branches that are elementwise XLA makes one kernel that computes both, so there are three.
        none = partial(tf.zeros, shape, dtype)
        return tf.switch_case(tf.cast(wanted, tf.int32), [none, function, none])

    def keep(self, uniform: Tensor, rate: Tensor) -> Tensor:
        """Which of TensorFlow's uniform numbers keep an input at this dropout rate."""
        return uniform >= rate

    def uniform(
        self,
        seeds: Tensor,
        step: Tensor,
        rows: int,
        widths: Tensor,
        width: int,
        dtype: str,
        units: Tensor | None = None,
    ) -> Tensor:
        """What `tf.random.stateless_uniform((rows, widths[m]), (seeds[m], step))` gives, for all members at once.

        TensorFlow's generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"):
        the number at place j is lane `j % 4` of block `j // 4`, so that a padded layout can ask for just the places
        that a narrow member has.

        Args:
            seeds: `(member,)` uint32, the seed of each member's dropout layer.
            step: Scalar, how often the layer was called before.
            rows: Rows of the batch.
            widths: `(member,)` int32, true widths.
            width: The padded width.
            units: `(member, width)` int32, the number of the true unit at each padded place, where the true ones
                are not simply the first.
            dtype: `"float32"` or `"float64"`.

        Returns:
            `(member, rows, width)` in [0, 1).
        """
        lanes, lane = self._lanes(seeds, step, rows, widths, width, dtype, units)
        return _uniform_of(lanes, lane, dtype)

    def normal(
        self,
        seeds: Tensor,
        step: Tensor,
        rows: int,
        widths: Tensor,
        width: int,
        dtype: str,
        units: Tensor | None = None,
    ) -> Tensor:
        """What `tf.random.stateless_normal` gives likewise: Box and Muller's pairs of uniform numbers."""
        import numpy as np
        import tensorflow as tf

        lanes, lane = self._lanes(seeds, step, rows, widths, width, dtype, units)
        first = lane if dtype == "float64" else lane // 2 * 2
        if dtype == "float64":
            low, high = _float64(lanes[0], lanes[1]), _float64(lanes[2], lanes[3])
        else:
            low = tf.where(first == 0, _float32(lanes[0]), _float32(lanes[2]))
            high = tf.where(first == 0, _float32(lanes[1]), _float32(lanes[3]))
        radius = tf.sqrt(-2.0 * tf.math.log(tf.maximum(low, 1e-7)))
        angle = high * tf.constant(2.0 * np.pi, high.dtype)
        return radius * tf.where(lane % 2 == 0, tf.sin(angle), tf.cos(angle))

    def scan(self, step: Any, states: tuple[Tensor, ...], inputs: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """`step(states, inputs[i]) -> states` for every i; the last states, and the first state of every step."""
        import tensorflow as tf

        n = int(inputs.shape[0])
        given = tf.TensorArray(inputs.dtype, n, element_shape=inputs.shape[1:]).unstack(inputs)
        every = tf.TensorArray(states[0].dtype, n, element_shape=states[0].shape)

        def body(i: Tensor, states: tuple[Tensor, ...], every: Any) -> Any:
            states = step(states, given.read(i))
            return i + 1, states, every.write(i, states[0])

        _, states, every = tf.while_loop(
            lambda i, *_: i < n, body, (tf.constant(0), states, every), maximum_iterations=n
        )
        return states, every.stack()

    def _lanes(
        self, seeds: Tensor, step: Tensor, rows: int, widths: Tensor, width: int, dtype: str, units: Tensor | None
    ) -> tuple[list[Tensor], Tensor]:
        """Philox's four words for the block of each place, and which number of its block the place is."""
        import tensorflow as tf

        u64 = tf.uint64
        seed = tf.cast(seeds, u64)
        zero = tf.zeros_like(seed)
        # TensorFlow turns a seed into a key and a counter by one round of the generator itself.
        mixed = _philox(
            (tf.constant(0x3EC8F720, u64), tf.constant(0x02461E29, u64)),
            (seed, zero, zero + tf.cast(step, u64), zero),
        )
        lanes_per_number = 2 if dtype == "float64" else 1
        numbers_per_block = 4 // lanes_per_number
        row = tf.range(rows, dtype=tf.int32)[None, :, None]
        unit = tf.range(width, dtype=tf.int32)[None, None, :] if units is None else tf.maximum(units, 0)[:, None, :]
        place = row * widths[:, None, None] + unit
        block = tf.cast(place // numbers_per_block, u64)
        lane = place % numbers_per_block

        def spread(value: Tensor) -> Tensor:
            return tf.broadcast_to(value[:, None, None], tf.shape(block))

        lanes = _philox(
            (spread(mixed[0]), spread(mixed[1])),
            (block, tf.zeros_like(block), spread(mixed[2]), spread(mixed[3])),
        )
        return lanes, lane


@contextmanager
def _sooner_compiled(version: str) -> Iterator[None]:
    """XLA reads its flags at the first compilation of a process. They are as before for what comes after, as another
    copy of XLA, or another process, may not know this one; where a user has set it, it is as the user wants it."""
    before = os.environ.get("XLA_FLAGS")
    tried = version.startswith(_TRIED_WITH) and _SOONER_COMPILED.partition("=")[0] not in (before or "")
    if not tried or not _FIRST_COMPILATION.acquire(blocking=False):
        yield
        return
    os.environ["XLA_FLAGS"] = f"{before or ''} {_SOONER_COMPILED}".strip()
    try:
        yield
    finally:
        os.environ.pop("XLA_FLAGS", None)
        if before is not None:
            os.environ["XLA_FLAGS"] = before


def _number_by_thread() -> None:
    """Lets TensorFlow take its unique numbers from `_NUMBERS` in a thread that traces a program, and only there."""
    from tensorflow.python.framework import ops

    usual = getattr(ops, "uid", None)
    if usual is None or hasattr(usual, "usual"):
        return

    def uid() -> int:
        numbers = getattr(_NUMBERS, "of_program", None)
        return int(next(numbers) if numbers is not None else usual())

    uid.usual = usual  # type: ignore[attr-defined]
    ops.uid = uid


def _uniform_of(lanes: Sequence[Tensor], lane: Tensor, dtype: str) -> Tensor:
    import tensorflow as tf

    if dtype == "float64":
        return _float64(tf.where(lane == 0, lanes[0], lanes[2]), tf.where(lane == 0, lanes[1], lanes[3]))
    return _float32(
        tf.where(lane < 2, tf.where(lane == 0, lanes[0], lanes[1]), tf.where(lane == 2, lanes[2], lanes[3]))
    )


def _float64(high: Tensor, low: Tensor) -> Tensor:
    """Two words as a number in [0, 1). TensorFlow takes the first one as the high one."""
    import tensorflow as tf

    u64 = tf.uint64
    mantissa = tf.bitwise.bitwise_or(
        tf.bitwise.left_shift(tf.bitwise.bitwise_and(high, tf.constant(0xFFFFF, u64)), tf.constant(32, u64)), low
    )
    return tf.bitcast(tf.bitwise.bitwise_or(mantissa, tf.constant(1023 << 52, u64)), tf.float64) - 1.0


def _float32(word: Tensor) -> Tensor:
    """A word as a number in [0, 1)."""
    import tensorflow as tf

    u64 = tf.uint64
    mantissa = tf.bitwise.bitwise_and(word, tf.constant(0x7FFFFF, u64))
    bits = tf.cast(tf.bitwise.bitwise_or(mantissa, tf.constant(127 << 23, u64)), tf.uint32)
    return tf.bitcast(bits, tf.float32) - 1.0


def _philox(key: Sequence[Tensor], counter: Sequence[Tensor]) -> list[Tensor]:
    """Philox4x32-10 on uint64 tensors that hold 32-bit words."""
    import tensorflow as tf

    u64 = tf.uint64
    word = tf.constant(0xFFFFFFFF, u64)
    shift = tf.constant(32, u64)
    multipliers = tf.constant(0xD2511F53, u64), tf.constant(0xCD9E8D57, u64)
    weyl = tf.constant(0x9E3779B9, u64), tf.constant(0xBB67AE85, u64)
    xor, both, right = tf.bitwise.bitwise_xor, tf.bitwise.bitwise_and, tf.bitwise.right_shift
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * multipliers[0], c2 * multipliers[1]
        c0, c1, c2, c3 = (
            xor(xor(right(p1, shift), c1), k0),
            both(p1, word),
            xor(xor(right(p0, shift), c3), k1),
            both(p0, word),
        )
        k0, k1 = both(k0 + weyl[0], word), both(k1 + weyl[1], word)
    return [c0, c1, c2, c3]
