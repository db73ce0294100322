"""Models within a model, as the layers that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unitune.models import backend
from unitune.models.identity import NotPlain, check_instance
from unitune.models.kinds import is_plain
from unitune.models.subclassed import graph_within


def graph_of(layer: Any) -> Any:
    """The graph of a plain Sequential or Functional model that is built, or of a class that calls layers of its own.

    None for any other layer.
    """
    keras = backend.ensure()
    if not isinstance(layer, keras.Model) or not is_plain(layer):
        return graph_within(layer)
    source = layer._functional if isinstance(layer, keras.Sequential) else layer
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
        graph = None if through is None else through(layer)
        found |= {id(one): one for one in ([layer] if graph is None else layers_within(graph, through))}
    return list(found.values())
