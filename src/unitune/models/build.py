"""From a blueprint to a Keras model, built and compiled; and its number of parameters without Keras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.errors import OptionError
from unitune.models import backend, optimizers, schedules
from unitune.models.blueprint import (
    PICK,
    Blueprint,
    InputSpec,
    LayerSpec,
    MetricSpec,
    Training,
    activation_name,
)
from unitune.models.identity import is_seed, made_again
from unitune.models.initial import draw, floatx, seeded
from unitune.models.initializers import snake
from unitune.models.nested import layers_within
from unitune.models.shape_rules import MERGING
from unitune.models.shapes import as_shapes, weight_specs
from unitune.records import Array

if TYPE_CHECKING:
    import keras

SEEDED_LAYERS = frozenset(
    {
        "AlphaDropout",
        "Dropout",
        "GRU",
        "GaussianDropout",
        "GaussianNoise",
        "LSTM",
        "MultiHeadAttention",
        "SimpleRNN",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    }
)
"""Classes in `keras.layers` that draw at random while training."""

_JOINING = {f"keras.ops.{name}" for name in ("Concatenate", "Stack", "Hstack", "Vstack")}
TAKES_LIST = frozenset({*MERGING, "Concatenate", "Dot", "Attention", "AdditiveAttention", *_JOINING})
"""Classes in `keras.layers` that take their inputs as one list."""


def dropout_seed(seed: int, index: int) -> int:
    """The seed of a layer that draws at random, from its member's seed and its number in the blueprint.

    Returns:
        From 0 to `2**31 - 3`: what Keras takes on every backend without folding it.

    Example:
        >>> dropout_seed(0, 1) != dropout_seed(0, 2)
        True
    """
    return int(np.random.SeedSequence((seed, 2, index)).generate_state(1)[0]) % (2**31 - 2)


def layer_seed(layer: LayerSpec, seed: int, index: int) -> int:
    """The seed of a layer that draws at random: the user's own, else that of its member (`dropout_seed`).

    Args:
        layer: Its number in the blueprint is `index`.
        seed: Of the member.
        index: From 0.

    Example:
        >>> layer_seed(LayerSpec(class_name="Dropout", config={"rate": 0.5, "seed": 3}), 0, 1)
        3
    """
    return _own_seed(layer.config.get("seed"), seed, index)


def _own_seed(own: Any, seed: int, index: int) -> int:
    return own if is_seed(own) else dropout_seed(seed, index)


def build_model(
    blueprint: Blueprint,
    input_shape: tuple[Any, ...],
    training: Training | None = None,
    *,
    seed: int = 0,
    steps_per_epoch: int | None = None,
) -> keras.Model:
    """Builds the model of one member, with its initial weights.

    Args:
        blueprint: Its layers, or a template, which is cloned.
        input_shape: Of one row: `(feature,)`; for several inputs a tuple of shapes.
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


def bare_model(blueprint: Blueprint, input_shape: tuple[Any, ...], seed: int = 0) -> keras.Model:
    """The model of a blueprint with whatever weights Keras gives it; dropout is seeded from the member's seed."""
    keras = backend.ensure()
    if not blueprint.layers:
        if blueprint.template is None:
            raise OptionError("a blueprint needs layers or a template", "got neither")
        clone = keras.models.clone_model(blueprint.template)
        _seed_layers(list(clone._flatten_layers(include_self=False)), seed)
        return clone
    names = _names(blueprint)
    if blueprint.calls or blueprint.inputs:
        return _graph(blueprint, input_shape, names, seed)
    chain = [keras.Input(tuple(input_shape))]
    for index, (layer, name) in enumerate(zip(blueprint.layers, names, strict=True)):
        chain.append(_layer(layer, name, dropout_seed(seed, index)))
    return keras.Sequential(chain, name=blueprint.name or "unitune")


def _graph(blueprint: Blueprint, input_shape: tuple[Any, ...], names: list[str], seed: int) -> keras.Model:
    """A functional model. The weights of its layers come in the order of `blueprint.layers`, as in the user's model:
    Keras sorts layers by depth, and ties by the order in which they were called."""
    keras = backend.ensure()
    specs = blueprint.inputs or (InputSpec(),)
    entries = [
        keras.Input(shape, name=spec.name or None, dtype=spec.dtype or None)
        for shape, spec in zip(as_shapes(input_shape), specs, strict=True)
    ]
    layers = [
        _layer(layer, name, dropout_seed(seed, index))
        for index, (layer, name) in enumerate(zip(blueprint.layers, names, strict=True))
    ]
    values = list(entries)
    for call in blueprint.graph:
        layer = layers[call.layer]
        given, by_name = call.given(values[i] for i in call.inputs)
        if blueprint.layers[call.layer].class_name in TAKES_LIST:
            given = [given]
        values.append(layer(*given, **by_name))
    wanted = [values[i] for i in blueprint.outputs or (blueprint.output,)]
    inputs = entries[0] if len(entries) == 1 else entries
    outputs: Any = wanted[0] if len(wanted) == 1 else wanted
    if blueprint.output_keys:
        outputs = dict(zip(blueprint.output_keys, wanted, strict=True))
    return keras.Model(inputs, outputs, name=blueprint.name or "unitune")


def _layer(layer: LayerSpec, name: str, seed: int) -> Any:
    keras = backend.ensure()
    if "class" in layer.config:
        made = made_again(layer.config["class"], {**layer.config["config"], "name": name})
        if isinstance(made, keras.Layer):
            _seed_layers(list(made._flatten_layers()), seed)
        return made
    if layer.class_name == PICK:
        return lambda several: keras.tree.flatten(several)[layer.config["place"]]
    live = layer.config.get("layer")
    if live is not None:
        return type(live).from_config({**live.get_config(), "name": name})
    kind = getattr(keras.layers, layer.class_name, None)
    if kind is None:
        raise OptionError("a layer must be a class in `keras.layers`", f"got `{layer.class_name}`")
    arguments = {"name": name, **layer.config}
    if layer.class_name in SEEDED_LAYERS:
        arguments.setdefault("seed", seed)
    return kind(**arguments)


def _names(blueprint: Blueprint) -> list[str]:
    """The layers' own names where they have any; otherwise `dense_1`, `dense_2`, ..., the last one `output`."""
    own = [layer.name for layer in blueprint.layers]
    if all(own) and len(set(own)) == len(own):
        return own
    counts: dict[str, int] = {}
    names = []
    for layer in blueprint.layers:
        base = snake(layer.class_name)
        counts[base] = counts.get(base, 0) + 1
        names.append(f"{base}_{counts[base]}")
    if blueprint.layers[-1].class_name == "Dense":
        names[-1] = "output"
    return names


def _seed_layers(layers: Sequence[Any], seed: int) -> None:
    """Sets the seed of every layer that draws at random."""
    for variable, state in _states(layers, seed):
        variable.assign(state.astype(variable.dtype))


def _states(layers: Sequence[Any], seed: int) -> list[tuple[Any, Any]]:
    """The variables of the layers' generators, each with its first value."""
    found = []
    for index, layer in enumerate(layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            own = _own_seed(getattr(layer, "seed", None), seed, index)
            found.append((generator.state, np.array([own, 0])))
    return found


def seed_states(model: keras.Model, blueprint: Blueprint, seed: int) -> list[tuple[Any, Any]]:
    """The variables of a model's random generators, each with the value that `bare_model` with this seed gives it.

    Args:
        model: Of this blueprint: built from it, or the user's own model that it was read from.
        blueprint: Its layers.
        seed: Of the member.
    """
    if not blueprint.layers:
        return _states(list(model._flatten_layers(include_self=False)), seed)
    found: list[tuple[Any, Any]] = []
    for index, (spec, layer) in enumerate(zip(blueprint.layers, _layers_of(model, blueprint), strict=True)):
        if layer is None:
            continue
        own, inner = layer_seed(spec, seed, index), list(layer._flatten_layers())
        if "class" in spec.config:
            found += _states(inner, own)
        elif spec.class_name in SEEDED_LAYERS:
            generators = [one.seed_generator for one in inner if getattr(one, "seed_generator", None) is not None]
            found += [(one.state, np.array([own, 0])) for one in generators]
    return found


def _layers_of(model: keras.Model, blueprint: Blueprint) -> list[Any]:
    """For each layer of a blueprint that of a model of it; None for operations, which are no layers of the model."""
    names = _names(blueprint)
    unread = any(layer.class_name in ("Functional", "Sequential") for layer in blueprint.layers)
    within = layers_within(model, None) if unread else layers_within(model)
    by_name = {layer.name: layer for layer in within}
    if all(name in by_name for name in names):
        return [by_name[name] for name in names]
    # A function names the layers of each model otherwise; they come in the same order. One whose activation is itself
    # a layer is two in the blueprint.
    own = iter(within)
    found: list[Any] = []
    for place, name in enumerate(names):
        is_activation = place > 0 and name == activation_name(names[place - 1])
        found.append(None if is_activation else next(own, None))
    return found


def initial_weights(
    blueprint: Blueprint, input_shape: tuple[Any, ...], seed: int, *, dtype: str | None = None
) -> list[Array]:
    """Draws the weights with which a member starts.

    A seed inside an initializer object is overruled by `seed`: members of different folds must not start alike.

    Args:
        blueprint: The network.
        input_shape: Of one row: `(feature,)`; for several inputs a tuple of shapes.
        seed: Of the member, 0 or more.
        dtype: Floating type; by default the one that Keras is set to (`"float32"`).

    Returns:
        Arrays in the order of `keras.Model.get_weights()`.

    Example:
        >>> chain = Blueprint(layers=(LayerSpec(class_name="Dense", config={"units": 2}),))
        >>> kernel, bias = initial_weights(chain, (3,), seed=0)
        >>> kernel.shape, bias.tolist()
        ((3, 2), [0.0, 0.0])
    """
    if not blueprint.layers:
        return _template_weights(blueprint, seed)
    kind = dtype or floatx()
    try:
        specs = weight_specs(blueprint, input_shape)
    except KeyError:
        return _unknown_layer_weights(blueprint, input_shape, seed)
    return [draw(spec.initializer, spec.shape, seed, stream=number, dtype=kind) for number, spec in enumerate(specs)]


def _template_weights(blueprint: Blueprint, seed: int) -> list[Array]:
    keras = backend.ensure()
    model = seeded(lambda: keras.models.clone_model(blueprint.template), seed)
    return [np.asarray(weight) for weight in model.get_weights()]


def _unknown_layer_weights(blueprint: Blueprint, input_shape: tuple[Any, ...], seed: int) -> list[Array]:
    model = seeded(lambda: bare_model(blueprint, input_shape, seed), seed)
    return [np.asarray(weight) for weight in model.get_weights()]


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
    outputs = training.each_output
    losses = [output.loss for output in outputs]
    metrics = [[one if isinstance(one, str) else _metric(one) for one in output.metrics] for output in outputs]
    several = len(outputs) > 1
    model.compile(
        optimizer=optimizers.build(training.optimizer, rate),
        loss=losses if several else losses[0],
        loss_weights=_loss_weights(training),
        metrics=metrics if several else metrics[0],
        **dict(training.compile_options),
    )


def _loss_weights(training: Training) -> Any:
    """The weights of losses as `compile` takes them; None where none were given."""
    weights = [output.weight for output in training.each_output]
    if all(weight is None for weight in weights):
        return None
    numbers = [1.0 if weight is None else weight for weight in weights]
    return numbers if len(numbers) > 1 else numbers[0]


def _metric(spec: MetricSpec) -> Any:
    if not spec.class_name:
        return spec.given
    keras = backend.ensure()
    return getattr(keras.metrics, spec.class_name)(name=spec.name, **dict(spec.config))


def n_parameters(blueprint: Blueprint, input_shape: tuple[Any, ...]) -> int:
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
