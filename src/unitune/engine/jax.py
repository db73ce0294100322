"""What a program needs of JAX: compilation, the gradient, and Keras's random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from unitune.engine.lift.base import Tensor
from unitune.models.shape_rules import Shape


class JaxBackend:
    """Programs as `jax.jit`."""

    name = "jax"

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function compiled by XLA; arguments are nested arrays of fixed shapes."""
        import jax

        return jax.jit(function)  # type: ignore[no-any-return]

    def naming(self, digest: bytes) -> AbstractContextManager[None]:
        """JAX's names do not hang on what was traced before."""
        return nullcontext()

    def gradient(
        self, loss: Callable[[list[Tensor]], tuple[Tensor, Any]], weights: list[Tensor]
    ) -> tuple[list[Tensor], Any]:
        """The gradient of `loss(weights)[0]`, and `loss(weights)[1]`."""
        import jax

        (_, rest), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
        return gradients, rest

    def tensor(self, array: Any) -> Tensor:
        """The array on the device."""
        import jax.numpy as jnp

        return jnp.asarray(array)

    def switch(self, choice: Tensor, functions: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> Tensor:
        """Applies the chosen function. Its gradient is a second branch, which computes the function again: a branch
        that handed its intermediate results over would fill those of all the others with zeros."""
        import jax
        import numpy as np

        @jax.custom_vjp  # type: ignore[untyped-decorator]
        def chosen(choice: Tensor, x: Tensor) -> Tensor:
            return jax.lax.switch(choice, list(functions), x)

        def forward(choice: Tensor, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            return chosen(choice, x), (choice, x)

        def pull(function: Callable[[Tensor], Tensor], x: Tensor, upstream: Tensor) -> Tensor:
            return jax.vjp(function, x)[1](upstream)[0]

        def backward(saved: tuple[Tensor, Tensor], upstream: Tensor) -> tuple[Any, Tensor]:
            choice, x = saved
            gradient = jax.lax.switch(choice, [partial(pull, function) for function in functions], x, upstream)
            return np.zeros((), jax.dtypes.float0), gradient

        chosen.defvjp(forward, backward)
        return chosen(choice, x)

    def only_if(self, wanted: Tensor, function: Callable[[], Tensor], shape: Shape, dtype: str) -> Tensor:
        """What the function gives, or zeros; numbers are of JAX's default type, whatever the program's."""
        import jax
        import jax.numpy as jnp

        # Of two branches that are elementwise XLA makes one kernel that computes both, so there are three.
        none = partial(jnp.zeros, shape, jax.eval_shape(function).dtype)
        return jax.lax.switch(wanted.astype(jnp.int32), [none, function, none])

    def keep(self, uniform: Tensor, rate: Tensor) -> Tensor:
        """Which of JAX's uniform numbers keep an input at this dropout rate."""
        return uniform < 1.0 - rate

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
        """What `jax.random.uniform(key, (rows, widths[m]))` gives with the raw key `(seeds[m], step)`.

        JAX's generator is Threefry-2x32 (Salmon et al. 2011). With `jax_threefry_partitionable`, its default, the
        number at place j comes from the counter j alone, so that a padded layout can ask for just the places that a
        narrow member has. Shapes as in `TensorFlowBackend.uniform`.
        """
        import jax
        import jax.numpy as jnp

        u32 = jnp.uint32
        row = jnp.arange(rows, dtype=u32)[None, :, None]
        own = jnp.arange(width, dtype=u32)[None, :] if units is None else jnp.maximum(units, 0).astype(u32)
        unit = own[:, None, :]
        place = row * widths.astype(u32)[:, None, None] + unit
        key = (seeds.astype(u32)[:, None, None], jnp.broadcast_to(step.astype(u32), seeds.shape)[:, None, None])
        first, second = _threefry(key, (jnp.zeros_like(place), place))
        # `bernoulli` draws numbers of JAX's default floating type, whatever the layer's.
        if jax.config.jax_enable_x64:
            bits = (first.astype(jnp.uint64) << 32) | second.astype(jnp.uint64)
            mantissa = (bits >> 12) | jnp.uint64(1023 << 52)
            return jax.lax.bitcast_convert_type(mantissa, jnp.float64) - 1.0
        mantissa = ((first ^ second) >> 9) | u32(127 << 23)
        return jax.lax.bitcast_convert_type(mantissa, jnp.float32) - 1.0

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
        """What `jax.random.normal` gives likewise: the inverse error function of uniform numbers in (-1, 1)."""
        import jax
        import jax.numpy as jnp
        import numpy as np

        uniform = self.uniform(seeds, step, rows, widths, width, dtype, units).astype(dtype)
        low = np.nextafter(np.array(-1.0, dtype), np.array(0.0, dtype), dtype=dtype)
        value = jnp.maximum(low, uniform * (np.array(1.0, dtype) - low) + low)
        return np.array(np.sqrt(2), dtype) * jax.lax.erf_inv(value)

    def scan(self, step: Any, states: tuple[Tensor, ...], inputs: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """`step(states, inputs[i]) -> states` for every i; the last states, and the first state of every step."""
        import jax

        def body(carry: Any, one: Tensor) -> Any:
            new = step(carry, one)
            return new, new[0]

        return jax.lax.scan(body, states, inputs)  # type: ignore[no-any-return]


def _threefry(key: tuple[Tensor, Tensor], counter: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Threefry-2x32 with 20 rounds."""
    import jax.numpy as jnp

    u32 = jnp.uint32
    keys = (key[0], key[1], key[0] ^ key[1] ^ u32(0x1BD11BDA))
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for group in range(5):
        for rotation in rotations[group % 2]:
            x = x + y
            y = (y << u32(rotation)) | (y >> u32(32 - rotation))
            y = x ^ y
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + u32(group + 1)
    return x, y
