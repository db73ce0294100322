"""The dense family: which hyperparameters it has, and what network and training a configuration means.

A hidden layer is `Dense(units, activation)` then `Dropout`; with batch normalization it is `Dense(units)`,
`BatchNormalization`, `Activation`, `Dropout`. An activation that is a layer (LeakyReLU, PReLU) is a layer of its own.
`l1` and `l2` act on the kernels of all layers, the output included, never on biases. The initializer is that of the
hidden kernels; the output keeps Keras's `glorot_uniform`, which suits sigmoid, softmax and linear outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unitune.errors import SpaceError, suggest
from unitune.models import activations as activation_rules
from unitune.models import initializers as initializer_rules
from unitune.models import optimizers as optimizer_rules
from unitune.models import schedules as schedule_rules
from unitune.models.blueprint import Blueprint, EarlyStopping, LayerSpec, Training
from unitune.models.heads import Head
from unitune.space import Choice, Condition, Domain, Float, Hyperparameter, Int, Space
from unitune.space.parse import domain

MAX_LAYERS = 8
"""The greatest number of hidden layers."""

DEFAULT_UNITS = (16, 32, 64, 128, 256)
DEFAULT_ACTIVATIONS = ("relu", "tanh", "gelu")


class PerLayer:
    """What may vary in each hidden layer, one domain for each: the first argument is that of the first layer.

    Example:
        >>> dense_space(units=PerLayer([64, 128], [16, 32]), activations="relu").names[:3]
        ('layers', 'units_1', 'units_2')
    """

    def __init__(self, *domains: Any) -> None:
        if not 1 <= len(domains) <= MAX_LAYERS:
            raise SpaceError(
                f"`PerLayer` takes 1 to {MAX_LAYERS} arguments, one for each hidden layer", f"got {len(domains)}"
            )
        self.domains = domains

    def __repr__(self) -> str:
        return f"PerLayer({', '.join(map(repr, self.domains))})"


def dense_space(
    *,
    units: Any = DEFAULT_UNITS,
    activations: Any = DEFAULT_ACTIVATIONS,
    layers: Any = None,
    per_layer: Iterable[str] | str = (),
    optimizers: Any = "adam",
    learning_rates: Any = None,
    schedules: Any = "constant",
    dropouts: Any = 0.0,
    weight_decays: Any = None,
    l1: Any = 0.0,
    l2: Any = 0.0,
    batch_normalization: Any = False,
    initializers: Any = "auto",
    batch_sizes: Any = 32,
    epochs: Any = 10,
) -> Space:
    """The space of dense networks. Every argument is a scalar (fixed), a list (choices), a domain, or a string.

    Args:
        units: Width of the hidden layers, 1 or more. A list of lists, or `PerLayer`, gives each layer its own.
        activations: Of the hidden layers; see `unitune.models.activations.check`. `PerLayer` gives each its own.
        layers: Number of hidden layers, 1 to 8; by default 1, or as many as `PerLayer` has.
        per_layer: Which of `"units"` and `"activation"` vary on their own in each layer (`units_1`, `units_2`, ...).
            Those beyond a configuration's depth are not part of it.
        optimizers: See `unitune.models.optimizers.check`.
        learning_rates: Above 0; None for the optimizer's own.
        schedules: See `unitune.models.schedules.check`.
        dropouts: Share of a hidden layer's outputs that is dropped, from 0 to below 1.
        weight_decays: Decoupled (AdamW), 0 or more; None for the optimizer's own.
        l1, l2: Factors of the penalties on the kernels, 0 or more.
        batch_normalization: True, False or both.
        initializers: Names or Keras initializers; `"auto"` suits the activation (`unitune.models.initializers`).
        batch_sizes: Rows in a step, 1 or more.
        epochs: Passes over the training rows, 1 or more.

    Returns:
        A space with names in the singular, fixed ones included.

    Raises:
        SpaceError: An argument breaks one of these rules.

    Example:
        >>> space = dense_space(units=[16, 32], activations=["relu", "tanh"], dropouts=[0.0, 0.5])
        >>> space.size, space.varying
        (8, ('units', 'activation', 'dropout'))
    """
    units, activations = _nested(units), _nested(activations)
    separate = _separate(per_layer)
    depth = _depth(layers, units, activations)
    rows = [Hyperparameter("layers", depth)]
    rows += _layered("units", units, depth, "units" in separate, lambda value: domain("units", value, "int", low=1))
    rows += _layered(
        "activation",
        activations,
        depth,
        "activation" in separate,
        lambda value: domain("activations", value, check=activation_rules.check),
    )
    rows += [
        Hyperparameter("optimizer", domain("optimizers", optimizers, check=optimizer_rules.check)),
        Hyperparameter("learning_rate", domain("learning_rates", learning_rates, "float", above=0, none=True)),
        Hyperparameter("schedule", domain("schedules", schedules, check=schedule_rules.check)),
        Hyperparameter("dropout", domain("dropouts", dropouts, "float", low=0, below=1)),
        Hyperparameter("weight_decay", domain("weight_decays", weight_decays, "float", low=0, none=True)),
        Hyperparameter("l1", domain("l1", l1, "float", low=0)),
        Hyperparameter("l2", domain("l2", l2, "float", low=0)),
        Hyperparameter("batch_normalization", domain("batch_normalization", batch_normalization, "bool")),
        Hyperparameter("initializer", domain("initializers", initializers, check=initializer_rules.check)),
        Hyperparameter("batch_size", domain("batch_sizes", batch_sizes, "int", low=1)),
        Hyperparameter("epochs", domain("epochs", epochs, "int", low=1)),
    ]
    return Space(rows)


def _nested(value: Any) -> Any:
    """A list of lists is a domain for each layer."""
    if (
        isinstance(value, list | tuple)
        and value
        and all(isinstance(item, list | Int | Float | Choice) for item in value)
    ):
        return PerLayer(*value)
    return value


def _separate(per_layer: Iterable[str] | str) -> set[str]:
    names = [per_layer] if isinstance(per_layer, str) else list(per_layer)
    known = {"units": "units", "activation": "activation", "activations": "activation"}
    for name in names:
        if name not in known:
            raise SpaceError("`per_layer` names `units`, `activation` or both", f"got `{name}`", suggest(name, known))
    return {known[name] for name in names}


def _depth(layers: Any, *layered: Any) -> Domain:
    lengths = {len(value.domains) for value in layered if isinstance(value, PerLayer)}
    if len(lengths) > 1:
        raise SpaceError(
            "units and activations per layer must have as many layers as each other",
            f"got {' and '.join(map(str, sorted(lengths)))}",
        )
    deepest = max(lengths, default=1)
    depth = domain("layers", deepest if layers is None else layers, "int", low=1)
    highest = max(depth.values())
    if highest > MAX_LAYERS:
        raise SpaceError(f"`layers` must be at most {MAX_LAYERS}", f"got {highest}")
    if lengths and highest != deepest:
        raise SpaceError(
            "`layers` must go as far as the domains per layer",
            f"got up to {highest} layers and {deepest} domains",
            "Give one domain for each layer of the deepest network.",
        )
    return depth


def _layered(name: str, value: Any, depth: Domain, separate: bool, parse: Any) -> list[Hyperparameter]:
    depths = depth.values()
    if not isinstance(value, PerLayer):
        shared = parse(value)
        if not separate:
            return [Hyperparameter(name, shared)]
        domains = [shared for _ in range(int(max(depths)))]
    else:
        domains = [parse(item) for item in value.domains]
    rows = []
    for number, own in enumerate(domains, start=1):
        deep_enough = tuple(sorted(value for value in depths if value >= number))
        always = len(deep_enough) == len(depths)
        condition = () if always else (Condition("layers", deep_enough),)
        rows.append(Hyperparameter(f"{name}_{number}", own, condition))
    return rows


def hidden_layers(configuration: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """The units and the activation of each hidden layer of a configuration.

    Example:
        >>> hidden_layers({"layers": 2, "units_1": 32, "units_2": 8, "activation": "relu"})
        [(32, 'relu'), (8, 'relu')]
    """
    pairs = []
    for number in range(1, configuration.get("layers", 1) + 1):
        units = configuration["units"] if "units" in configuration else configuration[f"units_{number}"]
        own = "activation" if "activation" in configuration else f"activation_{number}"
        pairs.append((units, configuration[own]))
    return pairs


def initializer_of(configuration: Mapping[str, Any], layer: int = 1) -> Any:
    """The initializer of a hidden layer's kernel, with `"auto"` resolved.

    Example:
        >>> initializer_of({"layers": 1, "units": 8, "activation": "relu", "initializer": "auto"})
        'he_uniform'
    """
    chosen = configuration.get("initializer", "auto")
    if isinstance(chosen, str) and chosen == "auto":
        _, activation = hidden_layers(configuration)[layer - 1]
        return initializer_rules.suits(activation_rules.base_name(activation))
    return initializer_rules.plain(chosen)


def blueprint(configuration: Mapping[str, Any], head: Head) -> Blueprint:
    """The network that a configuration means.

    Args:
        configuration: Of a `dense_space`; what is left out has no effect (no dropout, no penalty, ...).
        head: The output, from `unitune.models.heads.head`.

    Example:
        >>> from unitune.models.heads import head
        >>> chain = blueprint({"layers": 1, "units": 8, "activation": "relu", "dropout": 0.2}, head("binary"))
        >>> [layer.class_name for layer in chain.layers]
        ['Dense', 'Dropout', 'Dense']
    """
    penalty: dict[str, Any] = {}
    l1, l2 = configuration.get("l1") or 0.0, configuration.get("l2") or 0.0
    if l1 or l2:
        penalty["kernel_regularizer"] = {"class_name": "L1L2", "config": {"l1": l1, "l2": l2}}
    normalised = configuration.get("batch_normalization", False)
    rate = configuration.get("dropout") or 0.0
    chain: list[LayerSpec] = []
    for number, (units, activation) in enumerate(hidden_layers(configuration), start=1):
        own = activation_rules.layer_spec(activation)
        inside = "linear" if own is not None or normalised else activation
        initializer = initializer_of(configuration, number)
        config = {"units": units, "activation": inside, "kernel_initializer": initializer, **penalty}
        chain.append(LayerSpec(class_name="Dense", config=config))
        if normalised:
            chain.append(LayerSpec(class_name="BatchNormalization"))
            if own is None:
                chain.append(LayerSpec(class_name="Activation", config={"activation": activation}))
        if own is not None:
            chain.append(own)
        if rate:
            chain.append(LayerSpec(class_name="Dropout", config={"rate": rate}))
    output = {"units": head.units, "activation": head.activation, "kernel_initializer": "glorot_uniform", **penalty}
    chain.append(LayerSpec(class_name="Dense", config=output))
    return Blueprint(layers=tuple(chain))


def training(
    configuration: Mapping[str, Any], head: Head, *, patience: int | None = None, min_delta: float = 0.0
) -> Training:
    """How a configuration is trained.

    Args:
        configuration: Of a `dense_space`.
        head: Gives the loss and the metrics of each epoch.
        patience: Epochs without a lower `val_loss` after which training stops and the best weights are restored; None
            trains all epochs.
        min_delta: By how much it has to be lower.

    Example:
        >>> from unitune.models.heads import head
        >>> training({"optimizer": "sgd", "epochs": 3}, head("binary")).optimizer.learning_rate
        0.01
    """
    schedule, plateau = schedule_rules.parse(configuration.get("schedule", "constant"))
    return Training(
        optimizer=optimizer_rules.spec(
            configuration.get("optimizer", "adam"),
            learning_rate=configuration.get("learning_rate"),
            weight_decay=configuration.get("weight_decay"),
        ),
        loss=head.loss,
        metrics=head.metrics,
        batch_size=configuration.get("batch_size", 32),
        epochs=configuration.get("epochs", 10),
        schedule=schedule,
        plateau=plateau,
        early_stopping=None if patience is None else EarlyStopping(patience=patience, min_delta=min_delta),
    )
