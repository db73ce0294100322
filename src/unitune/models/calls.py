"""Reads a layer of a user's model, and a call of it, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

from unitune.models import backend
from unitune.models.activations import layer_spec as activation_layer
from unitune.models.blueprint import LayerSpec, activation_name
from unitune.models.identity import NotPlain, check_layer, is_kerass, made_again
from unitune.models.keras_objects import LambdaAgain, is_layer, layer_config
from unitune.models.shapes import KNOWN_LAYERS, is_known


class Unreadable(Exception):  # noqa: N818  (a finding, not a failure: the model is cloned)
    """A part of a model that no blueprint can hold; the message is the reason that the user reads."""


def gives_mask(layer: LayerSpec) -> bool:
    """Whether a layer says which steps count."""
    return layer.class_name == "Masking" or bool(layer.config.get("mask_zero"))


def calls_in(graph: Any) -> list[Any]:
    """The nodes of a functional model that call something, in their order."""
    depths = graph._nodes_by_depth
    return [node for depth in sorted(depths, reverse=True) for node in depths[depth] if not node.is_input]


def arguments_of_call(
    node: Any,
) -> tuple[list[Any], tuple[tuple[int, Any], ...], tuple[tuple[str, Any], ...], tuple[str, ...]]:
    """What a call takes.

    Returns:
        The tensors; its other positional arguments, with their places; those by name; the names of the last tensors.
    """
    keras = backend.ensure()
    args, kwargs = node.arguments.args, dict(node.arguments.kwargs)
    if isinstance(node.operation, keras.Layer):
        # `training` is noted at its default; what `fit` says takes its place in any case.
        kwargs |= _masks_carried(node.operation, args, kwargs)
        kwargs = {name: value for name, value in kwargs.items() if value is not None and name != "training"}
    given: list[Any] = list(args[0]) if len(args) == 1 and isinstance(args[0], list | tuple) else list(args)
    if type(node.operation).__name__ == "MultiHeadAttention":
        for name in ("value", "key"):
            if name in kwargs:
                given.append(kwargs.pop(name))
    if type(node.operation).__name__ in ("LSTM", "GRU", "SimpleRNN") and len(given) == 2 and isinstance(given[1], list):
        kwargs["initial_state"] = given.pop()
    tensors = [one for one in given if isinstance(one, keras.KerasTensor)]
    constants = tuple((i, one) for i, one in enumerate(given) if not isinstance(one, keras.KerasTensor))
    named: list[str] = []
    for name, value in list(kwargs.items()):
        several = keras.tree.flatten(value)
        if several and all(isinstance(one, keras.KerasTensor) for one in several):
            tensors += several
            named += [name] * len(several)
            del kwargs[name]
    for one in (*(value for _, value in constants), *kwargs.values()):
        within = keras.tree.flatten(one) if isinstance(one, list | tuple) else [one]
        if not isinstance(one, _PLAIN) or any(isinstance(part, keras.KerasTensor) for part in within):
            raise Unreadable(f"`{node.operation.name}` is called with a {type(one).__name__}")
    return tensors, constants, tuple(sorted(kwargs.items())), tuple(named)


def _masks_carried(layer: Any, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The masks that Keras passes to a call beside tensors that carry one. It notes them for some calls only."""
    keras = backend.ensure()
    try:
        bound = signature(layer.call).bind(*args, **kwargs)
    except TypeError:  # an argument that only a layer within takes
        return {}
    bound.apply_defaults()
    taken = {name: keras.tree.flatten(value) for name, value in bound.arguments.items() if value is not None}
    tensors = {
        name: several
        for name, several in taken.items()
        if several and all(one is None or isinstance(one, keras.KerasTensor) for one in several)
    }
    found = {}
    for name, several in tensors.items():
        mask = "mask" if len(tensors) == 1 else f"{name}_mask"
        carried = [getattr(one, "_keras_mask", None) for one in several]
        if mask in bound.arguments and bound.arguments[mask] is None and any(one is not None for one in carried):
            found[mask] = carried[0] if len(carried) == 1 else carried
    return found


_PLAIN = (bool, int, float, str, tuple, list, type(None))


def read_layer(layer: Any) -> list[LayerSpec]:
    """A layer as one spec, or two where its activation is itself a layer.

    Raises:
        Unreadable: The layer is not what it could be made again as.
    """
    name = type(layer).__name__
    if name == "TimeDistributed" and is_kerass(layer, "layers") and type(layer.layer).__name__ == "Dense":
        # What a dense layer does to each step by itself, it does to all of them at once.
        as_it_is, at_once = _other(layer), read_layer(layer.layer)
        return [replace(at_once[0], name=layer.name)] if len(at_once) == 1 else [as_it_is]
    if name not in KNOWN_LAYERS or not is_kerass(layer, "layers"):
        return [_other(layer)]
    try:
        config = layer_config(layer)
    except TypeError as error:
        raise Unreadable(f"the layer `{name}` holds something that Keras cannot write down") from error
    spec = LayerSpec(class_name=name, config=config, name=layer.name)
    activation = config.get("activation")
    if not is_layer(activation) and not is_known(spec):
        return [_other(layer)]
    _check(layer, config, lambda: type(layer)(**config), known=True)
    if not is_layer(activation):
        return [spec]
    own = activation_layer(activation)
    # Keras does not count the weights of a layer that sits inside another as its activation.
    if own is None or not is_known(own) or own.class_name == "PReLU" or name not in ("Activation", "Dense"):
        return [_other(layer)]
    inner: Any = type(activation)
    _check(activation, own.config, lambda: inner(**own.config), known=True)
    if name == "Activation":
        return [replace(own, name=layer.name)]
    return [
        replace(spec, config={k: v for k, v in config.items() if k != "activation"}),
        replace(own, name=activation_name(layer.name)),
    ]


def _check(layer: Any, config: Mapping[str, Any], make: Callable[[], Any], *, known: bool) -> None:
    try:
        check_layer(layer, config, make, known=known)
    except NotPlain as told:
        raise Unreadable(str(told)) from None


def read_operation(operation: Any) -> LayerSpec:
    """An operation on tensors. It is made anew each time, since it remembers the tensors it was called on."""
    name = f"keras.ops.{type(operation).__name__}"
    try:
        config = {key: value for key, value in operation.get_config().items() if key != "name"}
    except (NotImplementedError, AttributeError) as error:
        raise Unreadable(f"`{name}` cannot be made again") from error
    return LayerSpec(class_name=name, config={"class": type(operation), "config": config, "weightless": True})


def _other(layer: Any) -> LayerSpec:
    """A layer that is made again by its own class."""
    kind = type(layer)
    if kind.__name__ == "Lambda" and is_kerass(layer, "layers"):
        try:
            again = LambdaAgain(layer)
        except NotPlain as told:
            raise Unreadable(str(told)) from None
        _check(layer, {"again": again.key}, lambda: again.from_config({}), known=False)
        made = {"class": again, "config": {}, "weightless": True}
        return LayerSpec(class_name="Lambda", config=made, name=layer.name)
    try:
        config = layer.get_config()
    except (NotImplementedError, TypeError) as error:
        raise Unreadable(f"the layer `{kind.__name__}` has no `get_config` that works") from error
    _check(layer, config, lambda: made_again(kind, config), known=False)
    found: dict[str, Any] = {"class": kind, "config": config}
    if not layer.weights:
        found["weightless"] = True
    return LayerSpec(class_name=kind.__name__, config=found, name=layer.name)
