"""Plain `fit` without most of its compiling, which a few small epochs do not repay: the arithmetic is the same.

`make test-all` (`UNITUNE_FIT=whole`) compares with `fit` as it is, except the whole of Keras's catalogue.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import threading
from typing import Any

PLAIN: Any = None
"""`fit` as it is, once it has been replaced."""
_NOW = threading.local()


def cheaply(backend: str, *, always: bool = False, most_steps: float = math.inf) -> None:
    """From here on `fit` runs eagerly on TensorFlow; JAX, which would compile each operation, does not optimize.

    For processes of one backend.

    Args:
        backend: Of the process.
        always: Also where `make test-all` asks for `fit` as it is.
        most_steps: What takes more steps is compiled on TensorFlow.
    """
    if os.environ.get("UNITUNE_FIT") == "whole" and not always:
        return
    import keras

    if backend == "tensorflow":
        _rows_from_arrays()
    global PLAIN
    PLAIN = original = keras.Model.fit

    def eager(original: Any) -> Any:
        @functools.wraps(original)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if self.run_eagerly or _differs(self) or _steps(original, self, *args, **kwargs) > most_steps:
                return original(self, *args, **kwargs)
            self.run_eagerly = _NOW.eager = True
            try:
                return original(self, *args, **kwargs)
            finally:
                self.run_eagerly = _NOW.eager = False

        return call

    @functools.wraps(original)
    def plainly(self: Any, *args: Any, **kwargs: Any) -> Any:
        import jax

        jax.config.update("jax_disable_most_optimizations", True)
        try:
            return original(self, *args, **kwargs)
        finally:
            jax.config.update("jax_disable_most_optimizations", False)

    if backend == "jax":
        keras.Model.fit = plainly
    else:
        keras.Model.fit, keras.Model.evaluate = eager(original), eager(keras.Model.evaluate)


def _differs(model: Any) -> bool:
    """Whether a graph differs from single steps: it rounds half precision otherwise, and of several outputs it counts
    the rows of a last batch in its own way."""
    half = any(layer.compute_dtype in ("float16", "bfloat16") for layer in model._flatten_layers())
    return half or len(getattr(model, "outputs", None) or ()) > 1


def _steps(fit: Any, *args: Any, **kwargs: Any) -> float:
    """How many batches a call of `fit` or `evaluate` takes; without end where nobody knows."""
    import keras

    given = inspect.signature(fit).bind(*args, **kwargs)
    given.apply_defaults()
    x, epochs = given.arguments["x"], given.arguments.get("epochs", 1)
    if isinstance(x, keras.utils.PyDataset):
        return float(epochs * len(x))
    rows = keras.tree.flatten(x)[0]
    return epochs * len(rows) / (given.arguments["batch_size"] or 32) if hasattr(rows, "shape") else math.inf


def _rows_from_arrays() -> None:
    """Steps that run eagerly take batches as other backends do: a `tf.data` pipeline takes longer to set up than an
    epoch of a few rows, and is set up for each."""
    import tensorflow as tf
    from keras.src.backend.tensorflow import trainer
    from keras.src.trainers.epoch_iterator import EpochIterator

    usual = trainer.TFEpochIterator

    class Batches(usual):  # type: ignore[misc, valid-type]
        def __init__(self, distribute_strategy: Any, **given: Any) -> None:
            EpochIterator.__init__(self, **given)

        def _get_iterator(self) -> Any:
            batches = self.data_adapter.get_numpy_iterator()
            return (tf.nest.map_structure(tf.convert_to_tensor, batch) for batch in batches)

    def made(**given: Any) -> Any:
        ours = getattr(_NOW, "eager", False) and not given.get("shuffle")
        return (Batches if ours else usual)(**given)

    trainer.TFEpochIterator = made
