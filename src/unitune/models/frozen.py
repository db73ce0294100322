"""A frozen part in front of what is trained: the same for every epoch, and so computed once for all rows.

A call is frozen where all that it takes is, and its layer has nothing to train, keeps no statistics and draws nothing
at random: in training it then does what it does in inference. A `Normalization` that was adapted is such a layer. What
is left is a model from the outputs of these calls to those of the whole, made of the very same layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from unitune.models import backend
from unitune.models.calls import calls_in
from unitune.models.compiled import compile_arguments
from unitune.records import Array

ROWS_PER_PREDICTION = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Parted:
    """A model in two parts.

    Attributes:
        whole: The model.
        frozen: From its inputs to what is left; not compiled.
        rest: From there to its outputs; compiled as the whole is.
    """

    whole: Any
    frozen: Any
    rest: Any

    def features(self, x: Any) -> Any:
        """What the frozen part makes of rows: an array, or a tuple of arrays."""
        keras = backend.ensure()
        given = list(x) if isinstance(x, tuple) else x
        n = len(given[0] if isinstance(given, list) else given)
        if n == 0:
            found = [np.zeros((0, *one.shape[1:]), str(one.dtype)) for one in self.frozen.outputs]
        else:
            made = self.frozen.predict(given, batch_size=ROWS_PER_PREDICTION, verbose=0)
            found = [np.asarray(one) for one in keras.tree.flatten(made)]
        return tuple(found) if len(found) > 1 else found[0]

    def key(self, x: Any) -> bytes:
        """Equal for frozen parts that make the same of these rows: by their weights, and by what they make of a few."""
        keras = backend.ensure()
        few = [one[:4] for one in x] if isinstance(x, tuple) else x[:4]
        found = [keras.ops.convert_to_numpy(one) for one in keras.tree.flatten(self.frozen(few, training=False))]
        digest = blake2b(digest_size=16)
        for array in (*self.frozen.get_weights(), *found):
            digest.update(f"{array.shape}{array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
        return digest.digest()

    def whole_weights(self, weights: Sequence[Array]) -> tuple[Array, ...]:
        """From weights of the rest to those of the whole, each in the order of `get_weights`."""
        own = {id(variable): value for variable, value in zip(self.rest.weights, weights, strict=True)}
        return tuple(own.get(id(variable), np.array(variable)) for variable in self.whole.weights)


def parted(model: Any) -> Parted | None:
    """A built, compiled model in two parts; None where nothing with weights is frozen in front of what is trained."""
    keras = backend.ensure()
    source = getattr(model, "_functional", None) or model
    if not isinstance(source, keras.Model) or not hasattr(source, "_nodes_by_depth"):
        return None
    if not model.trainable_weights or not has_frozen(model):
        return None
    fixed = {id(tensor) for tensor in source.inputs}
    border: dict[int, Any] = {}
    for node in calls_in(source):
        if all(id(tensor) in fixed for tensor in node.input_tensors) and _is_constant(node):
            fixed |= {id(tensor) for tensor in node.outputs}
        else:
            border |= {id(tensor): tensor for tensor in node.input_tensors if id(tensor) in fixed}
    border |= {id(tensor): tensor for tensor in source.outputs if id(tensor) in fixed}
    edge = list(border.values())
    if any(getattr(one, "_keras_mask", None) is not None for one in edge):
        return None  # which would be lost
    frozen = keras.Model(_one_or_all(source.inputs), _one_or_all(edge))
    if not frozen.weights:
        return None
    rest = keras.Model(_one_or_all(edge), source._outputs_struct, name=model.name)
    rest.compile(**{**compile_arguments(model), "optimizer": model.optimizer})
    return Parted(whole=model, frozen=frozen, rest=rest)


def has_frozen(model: Any) -> bool:
    """Whether some layer of a model, built or not, may be part of what is computed once."""
    return any(not layer.trainable or _is_adapted(layer) for layer in model.layers)


def _one_or_all(tensors: Sequence[Any]) -> Any:
    return list(tensors) if len(tensors) > 1 else tensors[0]


def _is_frozen(layer: Any) -> bool:
    return bool(layer.weights) and not layer.trainable_weights and (not layer.trainable or _is_adapted(layer))


def _is_adapted(layer: Any) -> bool:
    return type(layer) is backend.ensure().layers.Normalization


def _is_constant(node: Any) -> bool:
    """Whether a call does the same in every epoch."""
    keras = backend.ensure()
    layer = node.operation
    if not isinstance(layer, keras.Layer):
        return "random" not in type(layer).__module__
    inner = list(layer._flatten_layers())
    if layer.weights and not _is_frozen(layer):
        return False
    for one in inner:
        # Nobody knows what a layer of the user's own does in training.
        own = not type(one).__module__.startswith("keras.") or type(one).__name__ == "Lambda"
        if own or getattr(one, "activity_regularizer", None) is not None or getattr(one, "stateful", False):
            return False
    # `training=False` in the call is no way out: `fit` has the last word on it.
    return not any(one._seed_generators for one in inner)
