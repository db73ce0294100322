"""From a blueprint to a Keras model, built and compiled; and its number of parameters without Keras."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.errors import OptionError
from unitune.models import backend, optimizers, schedules
from unitune.models.blueprint import Blueprint, LayerSpec, Training
from unitune.models.initial import initial_weights
from unitune.models.initializers import snake
from unitune.models.shapes import Shape, weight_specs

if TYPE_CHECKING:
    import keras

SEEDED_LAYERS = frozenset(
    {
        "AlphaDropout",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    }
)
"""Classes in `keras.layers` that draw at random while training."""


def dropout_seed(seed: int, index: int) -> int:
    """The seed of a layer that draws at random, from its member's seed and its number in the blueprint.

    Returns:
        From 0 to `2**31 - 3`: what Keras takes on every backend without folding it.

    Example:
        >>> dropout_seed(0, 1) != dropout_seed(0, 2)
        True
    """
    return int(np.random.SeedSequence((seed, 2, index)).generate_state(1)[0]) % (2**31 - 2)


def build_model(
    blueprint: Blueprint,
    input_shape: Shape,
    training: Training | None = None,
    *,
    seed: int = 0,
    steps_per_epoch: int | None = None,
) -> keras.Model:
    """Builds the model of one member, with its initial weights.

    Args:
        blueprint: Its layers, or a template, which is cloned.
        input_shape: Of one row: `(feature,)`.
        training: Compiles the model where it is given.
        seed: Of the member: decides the initial weights and what dropout drops.
        steps_per_epoch: Batches in an epoch; needed where the learning rate follows a schedule.

    Raises:
        OptionError: `steps_per_epoch` is missing, or a layer cannot be made.
    """
    model = bare_model(blueprint, input_shape, seed)
    model.set_weights(initial_weights(blueprint, input_shape, seed))
    if training is not None:
        compile_model(model, training, steps_per_epoch=steps_per_epoch)
    return model


def bare_model(blueprint: Blueprint, input_shape: Shape, seed: int = 0) -> keras.Model:
    """The model of a blueprint with whatever weights Keras gives it; dropout is seeded from the member's seed."""
    keras = backend.ensure()
    if not blueprint.layers:
        if blueprint.template is None:
            raise OptionError("a blueprint needs layers or a template", "got neither")
        clone = keras.models.clone_model(blueprint.template)
        _seed_layers(clone, seed)
        return clone
    names = _names(blueprint)
    chain = [keras.Input(tuple(input_shape))]
    for index, (layer, name) in enumerate(zip(blueprint.layers, names, strict=True)):
        chain.append(_layer(layer, name, dropout_seed(seed, index)))
    name = blueprint.template.name if blueprint.template is not None else "unitune"
    return keras.Sequential(chain, name=name)


def _layer(layer: LayerSpec, name: str, seed: int) -> Any:
    keras = backend.ensure()
    live = layer.config.get("layer")
    if live is not None:
        return type(live).from_config({**live.get_config(), "name": name})
    kind = getattr(keras.layers, layer.class_name, None)
    if kind is None:
        raise OptionError("a layer must be a class in `keras.layers`", f"got `{layer.class_name}`")
    arguments = {"name": name, **layer.config}
    if layer.class_name in SEEDED_LAYERS:
        arguments["seed"] = seed
    return kind(**arguments)


def _names(blueprint: Blueprint) -> list[str]:
    """The template's own names where they match; otherwise `dense_1`, `dense_2`, ..., the last one `output`."""
    if blueprint.template is not None:
        keras = backend.ensure()
        own = [layer for layer in blueprint.template.layers if not isinstance(layer, keras.layers.InputLayer)]
        if [type(layer).__name__ for layer in own] == [layer.class_name for layer in blueprint.layers]:
            return [layer.name for layer in own]
    counts: dict[str, int] = {}
    names = []
    for layer in blueprint.layers:
        base = snake(layer.class_name)
        counts[base] = counts.get(base, 0) + 1
        names.append(f"{base}_{counts[base]}")
    if blueprint.layers[-1].class_name == "Dense":
        names[-1] = "output"
    return names


def _seed_layers(model: Any, seed: int) -> None:
    """Sets the seed of every layer of a clone that draws at random, nested ones included."""
    for index, layer in enumerate(model._flatten_layers(include_self=False)):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([dropout_seed(seed, index), 0], generator.state.dtype))


def compile_model(model: keras.Model, training: Training, *, steps_per_epoch: int | None = None) -> None:
    """Compiles a model as `training` says.

    Raises:
        OptionError: The learning rate follows a schedule and `steps_per_epoch` is missing.
    """
    rate = None
    if training.schedule.name != "constant":
        if steps_per_epoch is None:
            raise OptionError(
                f"the schedule `{training.schedule.name}` needs the number of steps of the run",
                "got steps_per_epoch=None",
            )
        total = max(1, training.epochs * steps_per_epoch)
        rate = schedules.keras_schedule(training.schedule, training.optimizer.learning_rate, total)
    model.compile(
        optimizer=optimizers.build(training.optimizer, rate), loss=training.loss, metrics=list(training.metrics)
    )


def n_parameters(blueprint: Blueprint, input_shape: Shape) -> int:
    """How many numbers the weights of a network hold, those that are not trained included.

    Equals `keras.Model.count_params()`. Keras is imported only for layers that are unknown here.

    Example:
        >>> chain = Blueprint(layers=(LayerSpec(class_name="Dense", config={"units": 64}),))
        >>> n_parameters(chain, (30,))
        1984
    """
    if blueprint.layers:
        try:
            return sum(math.prod(spec.shape) for spec in weight_specs(blueprint, input_shape))
        except KeyError:
            return int(bare_model(blueprint, input_shape).count_params())
    return int(blueprint.template.count_params()) if blueprint.template is not None else 0
