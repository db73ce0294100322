"""Reads the models that a user's function built, at a fraction of what building them would cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from unitune.adoption.light_build import LightVariables
from unitune.models import adopt, backend, calls
from unitune.models.blueprint import Blueprint, LayerSpec, Training
from unitune.models.shapes import is_known
from unitune.records import Array


def read_network(
    model: Any,
    input_shape: tuple[Any, ...],
    assigned: set[int],
    *,
    light: LightVariables | None = None,
    n_outputs: int | None = 1,
) -> tuple[Blueprint, Training, tuple[Array, ...] | None]:
    """Reads a compiled model, building it only where that is needed.

    Args:
        model: What the user's function returned.
        input_shape: Of one row.
        assigned: The ids of the Keras variables that the user set while building it.
        light: Its variables, where it was built without weights; they are made real where they matter.
        n_outputs: How many outputs it must have; None for any number.

    Returns:
        The blueprint, the training, and the weights where the user set some; None where they are to be drawn anew.

    Raises:
        OptionError: It is not compiled, or takes other rows.
    """
    known = read_unbuilt(model) if n_outputs in (None, 1) else None
    if known is not None:
        return *known, None
    was_built = bool(model.built)
    blueprint, training, _ = adopt.adopt(model, input_shape, weights=False, n_outputs=n_outputs)
    frozen = any(not layer.trainable for layer in model.layers) or blueprint.keeps_weights
    mine = frozen or (was_built and any(id(variable) in assigned for variable in model.weights))
    if light is not None and (mine or not blueprint.layers):
        light.make_real()
    if blueprint.layers:
        blueprint = replace(blueprint, template=None)  # which would keep the model alive
    return blueprint, training, tuple(np.array(weight) for weight in model.get_weights()) if mine else None


def read_unbuilt(model: Any) -> tuple[Blueprint, Training] | None:
    """Reads a compiled Sequential that has no weights yet, without building it; None where that cannot be done.

    Building costs far more than reading. The blueprint keeps nothing of the model alive.
    """
    keras = backend.ensure()
    if type(model) is not keras.Sequential or model.built or any(layer.built for layer in model.layers):
        return None
    if not model.layers or getattr(model, "optimizer", None) is None or model.loss is None:
        return None
    if not all(layer.trainable for layer in model.layers):
        return None
    specs: list[LayerSpec] = []
    if adopt.why_own_fit(model):
        return None
    try:
        for layer in model.layers:
            specs += calls.read_layer(layer)
    except calls.Unreadable:  # which is told where the model is read in full
        return None
    # A layer of another class cannot tell what weights it will have; who takes a mask is known once a model is built.
    if not all(is_known(spec) for spec in specs) or any(map(calls.gives_mask, specs)):
        return None
    return Blueprint(layers=tuple(specs)), adopt.training_of(model)
