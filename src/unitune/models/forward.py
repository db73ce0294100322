"""Predictions from a blueprint and its weights, in double precision and without building a Keras model.

A search scores hundreds of networks a second; building a `keras.Model` takes tens of milliseconds. Double precision
makes a row's prediction independent of the rows beside it, as scikit-learn expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from unitune.models import backend
from unitune.models.blueprint import Blueprint, LayerSpec
from unitune.models.shapes import weight_specs
from unitune.records import Array

ROWS_AT_A_TIME = 16_384
_IDENTITIES = frozenset(
    {"ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"}  # in inference
)
_FUNCTIONS = frozenset({"Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"})


def is_simple(blueprint: Blueprint) -> bool:
    """Whether the network is a chain of layers that `forward` knows."""
    return (
        bool(blueprint.layers)
        and not blueprint.calls
        and all(
            layer.class_name in _IDENTITIES | _FUNCTIONS | {"Dense", "Flatten"}
            or (layer.class_name == "BatchNormalization" and layer.config.get("axis", -1) == -1)
            for layer in blueprint.layers
        )
    )


def forward(blueprint: Blueprint, weights: Sequence[Array], x: Array) -> Array:
    """What the network predicts in inference.

    Args:
        blueprint: Of which `is_simple` holds.
        weights: In the order of `keras.Model.get_weights()`.
        x: Prepared rows `(row, feature...)`.

    Returns:
        `(row, output)` float64.

    Example:
        >>> chain = Blueprint(layers=(LayerSpec(class_name="Dense", config={"units": 1}),))
        >>> forward(chain, [np.array([[2.0]]), np.array([1.0])], np.array([[3.0]])).tolist()
        [[7.0]]
    """
    specs = weight_specs(blueprint, tuple(x.shape[1:]))
    own: list[dict[str, Array]] = [{} for _ in blueprint.layers]
    for spec, weight in zip(specs, weights, strict=True):
        own[spec.layer][spec.name] = np.asarray(weight, dtype=np.float64)
    parts = []
    # Values may overflow in a network that has gone astray; what comes out says so.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, max(1, len(x)), ROWS_AT_A_TIME):
            h = np.asarray(x[start : start + ROWS_AT_A_TIME], dtype=np.float64)
            for layer, mine in zip(blueprint.layers, own, strict=True):
                h = _apply(layer, mine, h)
            parts.append(h)
    result = np.concatenate(parts)
    return result.reshape(len(result), -1)


def _apply(layer: LayerSpec, weights: dict[str, Array], h: Array) -> Array:
    config = layer.config
    if layer.class_name in _IDENTITIES:
        return h
    if layer.class_name == "Flatten":
        return h.reshape(len(h), -1)
    if layer.class_name == "Dense":
        h = h @ weights["kernel"]
        if "bias" in weights:
            h = h + weights["bias"]
        return _activation(config.get("activation"), h)
    if layer.class_name == "BatchNormalization":
        scale = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + config.get("epsilon", 1e-3))
        return np.asarray((h - weights["moving_mean"]) * scale + weights.get("beta", 0.0))
    if layer.class_name == "Activation":
        return _activation(config.get("activation"), h)
    if layer.class_name == "PReLU":
        return np.where(h > 0, h, weights["alpha"] * h)
    keras = backend.ensure()
    return _by_keras(getattr(keras.layers, layer.class_name)(**{**config, "dtype": "float64"}), h)


def _activation(activation: Any, h: Array) -> Array:
    """The activations of every other network by NumPy, the rest by Keras's own functions."""
    if activation is None or activation == "linear":
        return h
    if activation == "relu":
        return np.maximum(h, 0.0)
    if activation == "tanh":
        return np.tanh(h)
    if activation == "sigmoid":
        return np.asarray(special.expit(h))
    if activation == "softmax":
        return np.asarray(special.softmax(h, axis=-1))
    return _by_keras(backend.ensure().activations.get(activation), h)


def _by_keras(function: Any, h: Array) -> Array:
    keras = backend.ensure()
    return np.asarray(keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(h))), dtype=np.float64)
