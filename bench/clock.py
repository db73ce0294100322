"""What a measurement is: seconds on the clock, processor seconds, and the arithmetic that they were for."""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


def processor_s() -> float:
    """Processor seconds of this process so far, over all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a call took. `gflop` is the arithmetic in matrix products that it needs, without padding; 0: not counted."""

    core_s: float
    wall_s: float
    gflop: float = 0.0


def timed(call: Callable[[], Any]) -> tuple[Any, Cost]:
    """What a call returns, and what it took; imports are to be made before."""
    core, wall = processor_s(), time.perf_counter()
    result = call()
    return result, Cost(core_s=processor_s() - core, wall_s=time.perf_counter() - wall)


def matrix_rate() -> float:
    """GFLOP per processor second of a large float32 matrix product: the best of five."""
    a = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    a @ a
    return max(2 * 2048**3 / 1e9 / timed(lambda: a @ a)[1].core_s for _ in range(5))


def training_gflop(products: list[float], *, epochs: int, train_rows: int, validation_rows: int) -> float:
    """GFLOP of training a network, and of validating it after each epoch.

    Args:
        products: Multiplications for one row in each layer. In training each is also done for the gradient of the
            weights and, but for the first layer, of the input.
        epochs: How many.
        train_rows: Rows of an epoch.
        validation_rows: Rows that are predicted after each.
    """
    forward = 2 * sum(products)
    return epochs * (train_rows * (3 * forward - 2 * products[0]) + validation_rows * forward) / 1e9


def dense_products(*widths: int) -> list[float]:
    """Of dense layers, from the features to the outputs.

    Example:
        >>> dense_products(30, 16, 1)
        [480, 16]
    """
    return [a * b for a, b in itertools.pairwise(widths)]


def model_products(model: Any) -> list[float]:
    """Of the layers of a built Keras model: dense, convolutional and recurrent."""
    found = []
    for layer in model.layers:
        if hasattr(layer, "recurrent_activation"):
            steps = layer.input.shape[1]
            found.append(float(steps * sum(np.prod(one.shape) for one in layer.weights[:2])))
        elif getattr(layer, "kernel", None) is not None:
            places = np.prod(layer.output.shape[1:-1], dtype=float)
            found.append(float(places * np.prod(layer.kernel.shape)))
    return found
