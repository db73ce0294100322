"""The public names of Keras's modules, as they are installed."""

from __future__ import annotations

import inspect
from typing import Any

import keras

MODULES: dict[str, Any] = {
    "losses": keras.losses,
    "metrics": keras.metrics,
    "activations": keras.activations,
    "initializers": keras.initializers,
    "regularizers": keras.regularizers,
    "constraints": keras.constraints,
    "schedules": keras.optimizers.schedules,
    "optimizers": keras.optimizers,
    "layers": keras.layers,
    "callbacks": keras.callbacks,
}
SERVICES = ("get", "serialize", "deserialize")


def public(kind: str) -> dict[str, Any]:
    """From a name to the class or function. What has several names (`l2` and `L2`) comes once, under its own."""
    module = MODULES[kind]
    found: dict[int, tuple[str, Any]] = {}
    for name in sorted(dir(module)):
        one = getattr(module, name)
        if name.startswith("_") or name in SERVICES or inspect.ismodule(one) or not callable(one):
            continue
        if id(one) not in found or name == one.__name__:
            found[id(one)] = (name, one)
    return dict(found.values())
