"""What a program needs of TensorFlow: compilation, the gradient, and Keras's random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from unitune.engine.lift.base import Tensor


class TensorFlowBackend:
    """Programs as `tf.function(jit_compile=True)`."""

    name = "tensorflow"

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function compiled by XLA; arguments are nested tensors of fixed shapes."""
        import tensorflow as tf

        # A partial of its own: TensorFlow counts retracings by code object, and would warn of many programs.
        return tf.function(partial(function), jit_compile=True, autograph=False)  # type: ignore[no-any-return]

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

    def keep(self, uniform: Tensor, rate: Tensor) -> Tensor:
        """Which of TensorFlow's uniform numbers keep an input at this dropout rate."""
        return uniform >= rate

    def uniform(self, seeds: Tensor, step: Tensor, rows: int, widths: Tensor, width: int, dtype: str) -> Tensor:
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
            dtype: `"float32"` or `"float64"`.

        Returns:
            `(member, rows, width)` in [0, 1).
        """
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
        unit = tf.range(width, dtype=tf.int32)[None, None, :]
        place = row * widths[:, None, None] + unit
        block = tf.cast(place // numbers_per_block, u64)
        lane = place % numbers_per_block

        def spread(value: Tensor) -> Tensor:
            return tf.broadcast_to(value[:, None, None], tf.shape(block))

        lanes = _philox(
            (spread(mixed[0]), spread(mixed[1])),
            (block, tf.zeros_like(block), spread(mixed[2]), spread(mixed[3])),
        )
        if dtype == "float64":
            high = tf.where(lane == 0, lanes[0], lanes[2])
            low = tf.where(lane == 0, lanes[1], lanes[3])
            mantissa = tf.bitwise.bitwise_or(
                tf.bitwise.left_shift(tf.bitwise.bitwise_and(high, tf.constant(0xFFFFF, u64)), tf.constant(32, u64)),
                low,
            )
            bits = tf.bitwise.bitwise_or(mantissa, tf.constant(1023 << 52, u64))
            return tf.bitcast(bits, tf.float64) - 1.0
        chosen = tf.where(lane < 2, tf.where(lane == 0, lanes[0], lanes[1]), tf.where(lane == 2, lanes[2], lanes[3]))
        mantissa = tf.bitwise.bitwise_and(chosen, tf.constant(0x7FFFFF, u64))
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
