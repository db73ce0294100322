"""Models whose class has a `call` of its own: called on symbolic tensors, which gives a graph of their layers.

What is read is held against the model itself before a program trains it, as any other network is.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

from unitune.models import backend
from unitune.models.calls import Unreadable, arguments_of_call, calls_in
from unitune.models.identity import is_kerass
from unitune.models.kinds import base_of, overrides
from unitune.models.shapes import as_shapes

# What a class may say without changing how `fit` trains it; `call` is what is read.
_HARMLESS = frozenset(
    {"call", "build", "get_config", "from_config", "get_build_config", "build_from_config"}
    | {"compute_output_shape", "compute_output_spec", "summary"}
)


def has_own_call(model: Any) -> bool:
    """Whether a model is neither Sequential nor Functional, but says in its `call` what it does."""
    keras = backend.ensure()
    return isinstance(model, keras.Model) and base_of(model).__name__ == "Model"


def make_weights(model: Any, input_shape: tuple[Any, ...]) -> None:
    """Has a model that is not built make its weights, for rows of this shape."""
    if has_own_call(model):
        # `build` of such a model says that it is built where its layers are not.
        if not all(layer.built for layer in model._flatten_layers()):
            model(_entries(input_shape))
    elif not model.built:
        model.build((None, *input_shape))


def graph_of_call(model: Any, input_shape: tuple[Any, ...], types: Sequence[str] = ()) -> Any:
    """A functional model of the very layers of a model, or layer, with a `call` of its own; not compiled.

    Raises:
        Unreadable: It does something else in training, or what no graph of layers is.
    """
    keras = backend.ensure()
    title = f"the `call` of `{type(model).__name__}`"
    said = [name for name in overrides(model) if name not in _HARMLESS]
    if said:
        raise Unreadable(f"the model has a `{said[0]}` of its own")
    outermost = not types
    try:
        if outermost:
            make_weights(model, input_shape)
        traced = []
        for training in (True, False):
            entries = _entries(input_shape, types)
            how = {"training": training} if model._call_has_training_arg else {}
            traced.append(keras.Model(entries, model.call(entries, **how), name=model.name))
    except Exception as error:  # of the user's own code, which need not be made for symbolic tensors
        raise Unreadable(f"{title} could not be read as a graph of layers ({type(error).__name__})") from error
    if _steps(traced[0]) != _steps(traced[1]):
        raise Unreadable(f"{title} does something else in training")
    graph = traced[1]
    if [id(one) for one in graph.weights] != [id(one) for one in model.weights]:
        raise Unreadable(f"{title} uses the weights of the model in another order, or not all of them")
    for training, steps in zip((True, False), traced, strict=True):
        for node in calls_in(steps):
            if not any(map(_trains, _within(node.operation))):
                continue
            if outermost and not model._call_has_training_arg:
                raise Unreadable(
                    f"{title} has no argument `training`, without which Keras does not tell its layers of it"
                )
            if _says_training(node) not in (training, None):
                raise Unreadable(f"{title} says itself whether `{node.operation.name}` trains")
    return graph


_WITHIN: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # so that it is the same each time


def graph_within(layer: Any) -> Any:
    """The graph of a layer of the user's own, part of a model, that is nothing but calls of other layers; else None."""
    keras = backend.ensure()
    if type(layer).__module__.split(".")[0] == "keras" or base_of(layer).__name__ not in ("Layer", "Model"):
        return None
    usual = layer.dtype_policy.name == keras.config.floatx() and getattr(layer, "activity_regularizer", None) is None
    if not usual or not list(layer._flatten_layers(include_self=False)) or not layer._inbound_nodes:
        return None
    if layer not in _WITHIN:
        try:
            taken = keras.tree.flatten(layer._inbound_nodes[0].arguments.args)
            types = [one.dtype for one in taken]
            graph = graph_of_call(layer, tuple(tuple(one.shape[1:]) for one in taken), types)
            for node in calls_in(graph):
                arguments_of_call(node)
        except (Unreadable, AttributeError):
            graph = None
        _WITHIN[layer] = graph
    return _WITHIN[layer]


def _entries(input_shape: tuple[Any, ...], types: Sequence[str] = ()) -> Any:
    keras = backend.ensure()
    shapes = as_shapes(input_shape)
    entries = [
        keras.Input(shape, dtype=kind)
        for shape, kind in zip(shapes, types or [str(keras.config.floatx())] * len(shapes), strict=True)
    ]
    return entries if len(entries) > 1 else entries[0]


def _within(operation: Any) -> list[Any]:
    """An operation's layers, itself among them."""
    return list(operation._flatten_layers()) if isinstance(operation, backend.ensure().Layer) else []


def _trains(layer: Any) -> bool:
    """Whether a layer, which is not made of others, may do something else in training."""
    if isinstance(layer, backend.ensure().Model) or not layer._call_has_training_arg:
        return False
    if "BatchNormalization" in type(layer).__name__:
        return bool(layer.trainable)
    rates = [getattr(layer, name, None) for name in ("dropout", "recurrent_dropout")]
    if rates != [None, None]:
        return any(rates)
    return (
        not is_kerass(layer, "layers")
        or hasattr(layer, "seed_generator")
        or type(layer).__name__ == "SpectralNormalization"
    )


def _says_training(node: Any) -> bool | None:
    """Whether a call is told to train, where it is known to be told: Keras notes a default of `call` alike."""
    taken = signature(node.operation.call).parameters.get("training")
    return None if taken is None or taken.default is not None else node.arguments.kwargs.get("training")


def _steps(graph: Any) -> list[Any]:
    """The calls of a functional model, as far as they can be compared."""
    keras = backend.ensure()
    found: list[Any] = []
    for node in calls_in(graph):
        one = node.operation
        own = id(one) if isinstance(one, keras.Layer) else type(one)
        shapes = [tuple(tensor.shape) for tensor in (*node.input_tensors, *node.outputs)]
        found.append((own, shapes))
    return sorted(found, key=repr)
