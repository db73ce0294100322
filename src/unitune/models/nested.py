"""Models within a model, as the layers that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unitune.models import backend
from unitune.models.identity import NotPlain, check_instance


def graph_of(layer: Any) -> Any:
    """The graph of a plain Sequential or Functional model that is built; None for any other layer."""
    keras = backend.ensure()
    kind = type(layer)
    if kind is keras.Sequential:
        source = layer._functional
    elif kind.__module__.startswith("keras.") and kind.__name__ == "Functional":
        source = layer
    else:
        return None
    try:
        check_instance(layer, "the model")
        if source is not None:
            check_instance(source, "the model")
    except NotPlain:
        return None
    return source


def layers_within(model: Any, through: Callable[[Any], Any] | None = graph_of) -> list[Any]:
    """The layers of a model, those of models within it in the place of these, in the order of `model.get_weights()`.

    Args:
        model: Built.
        through: Gives the graph of a layer that is read as its own layers; None reads none so.
    """
    keras = backend.ensure()
    found: dict[int, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        within = through is not None and through(layer) is not None
        found |= {id(one): one for one in (layers_within(layer, through) if within else [layer])}
    return list(found.values())
