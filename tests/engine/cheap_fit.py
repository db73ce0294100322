"""Plain `fit` without most of its compiling, which a few small epochs do not repay: the arithmetic is the same.

`make test-all` (`UNITUNE_FIT=whole`) compares with `fit` as it is, except the whole of Keras's catalogue.
"""

from __future__ import annotations

import functools
import os
from typing import Any


def cheaply(backend: str, *, always: bool = False) -> None:
    """From here on `fit` runs eagerly on TensorFlow; JAX, which would compile each operation, does not optimize.

    For workers, which have one backend.
    """
    if os.environ.get("UNITUNE_FIT") == "whole" and not always:
        return
    import keras

    original = keras.Model.fit

    @functools.wraps(original)
    def eagerly(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.run_eagerly = True
        try:
            return original(self, *args, **kwargs)
        finally:
            self.run_eagerly = False

    @functools.wraps(original)
    def plainly(self: Any, *args: Any, **kwargs: Any) -> Any:
        import jax

        jax.config.update("jax_disable_most_optimizations", True)
        try:
            return original(self, *args, **kwargs)
        finally:
            jax.config.update("jax_disable_most_optimizations", False)

    keras.Model.fit = plainly if backend == "jax" else eagerly
