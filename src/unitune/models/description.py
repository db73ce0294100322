"""A network and its training in words: what a run that goes on is compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from unitune.models.blueprint import Blueprint, LayerSpec, Training
from unitune.records import Array
from unitune.space.labels import label


def describe(blueprint: Blueprint, training: Training) -> str:
    """The layers with their arguments, how they are joined where they are no chain, and how they are trained.

    Functions and objects of the user's own are there by their names only: what they do may change unseen.

    Example:
        >>> from unitune.models.blueprint import OptimizerSpec
        >>> dense = LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"})
        >>> adam = OptimizerSpec(class_name="Adam", learning_rate=0.001)
        >>> describe(Blueprint(layers=(dense,)), Training(optimizer=adam, loss="mse"))
        'Dense(activation=sigmoid, units=1); Adam(learning_rate=0.001); mse'
    """
    parts = [_called(layer.class_name, _arguments(layer)) for layer in blueprint.layers]
    if not parts and blueprint.template is not None:
        parts = [_template(blueprint.template)]
    parts += [f"{call.layer}({', '.join(map(str, call.inputs))})" for call in blueprint.calls]
    optimizer = training.optimizer
    parts.append(_called(optimizer.class_name, {"learning_rate": optimizer.learning_rate, **optimizer.config}))
    schedule = training.schedule
    if schedule.name != "constant":
        parts.append(
            _called(schedule.name, dict(schedule.params)) if schedule.source is None else str(label(schedule.source))
        )
    for output in training.each_output:
        name, weight = output.name and f"{output.name}: ", "" if output.weight is None else f" * {output.weight:g}"
        parts.append(f"{name}{label(output.loss)}{weight}")
    return "; ".join([*parts, *(name for output in training.each_output for name in output.metric_names)])


def fingerprint(weights: Iterable[Array]) -> str:
    """Twelve hexadecimal digits of weights: equal weights have equal ones."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def _template(model: Any) -> str:
    try:
        return str(model.to_json())
    except Exception:  # what its layers hold need not be serialisable
        return "; ".join(f"{type(layer).__name__}({layer.count_params()} parameters)" for layer in model.layers)


def _arguments(layer: LayerSpec) -> dict[str, object]:
    config = dict(layer.config)
    # A layer of the user's own has its arguments one level deeper; what it is called tells nothing.
    inner = config.pop("config", {})
    return {key: value for key, value in {**config, **inner}.items() if key not in ("class", "name", "weightless")}


def _called(name: str, arguments: dict[str, object]) -> str:
    shown = ", ".join(f"{key}={label(value)}" for key, value in sorted(arguments.items()) if value is not None)
    return f"{name}({shown})" if shown else name
