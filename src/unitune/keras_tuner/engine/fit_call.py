"""Reads a call of `model.fit` into what the fused engine takes, or into the reason why it cannot."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitune.data.arrays import Split, as_inputs, n_rows, row_shape, take_rows
from unitune.data.fitting import why_misfit
from unitune.engine.lift.base import Unfusable
from unitune.engine.losses import is_of_own_class
from unitune.engine.metrics import check_axes, metric_name
from unitune.errors import OptionError
from unitune.keras_tuner.engine.callbacks import Logged, Replay, read_callbacks
from unitune.keras_tuner.engine.fit_rows import Rows
from unitune.keras_tuner.engine.objective import Objective
from unitune.models import backend
from unitune.models.adopt import input_keys, why_own_fit
from unitune.models.blueprint import Blueprint, EarlyStopping, MetricSpec, Training
from unitune.models.compiled import compile_arguments, compiled_outputs, gives_dictionary, output_names
from unitune.models.compiled_metrics import read_metric
from unitune.models.frozen import Parted, has_frozen, parted
from unitune.models.shapes import output_shapes
from unitune.records import Array
from unitune.tuner.light_build import LightVariables
from unitune.tuner.outputs import loss_name
from unitune.tuner.reading import read_network

logger = logging.getLogger(__name__)

NEVER = 10**6
"""A patience that no training outlasts: nothing stops, and the weights of the best epoch are kept."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FitCall:
    """A call of `fit` that the fused engine can take.

    Attributes:
        blueprint, training: The network and how it is trained.
        initial_weights: Where the user set them; None draws them from the seed.
        split: The number of its rows in `Rows.splits`.
        metrics: The metrics, by the names under which Keras logs them.
        replays: Callbacks that are told afterwards what happened.
        validates: Whether there are validation rows.
        first_epoch: Epochs before it are not part of the history.
        input_shape: Of one row; for several inputs a tuple of shapes.
        parts: A model whose frozen part is computed once: the blueprint is that of the rest.
    """

    blueprint: Blueprint
    training: Training
    initial_weights: tuple[Array, ...] | None
    split: int
    metrics: Mapping[str, Logged]
    replays: tuple[Replay, ...]
    validates: bool
    first_epoch: int
    input_shape: tuple[Any, ...]
    logs_rate: bool
    parts: Parted | None = None


def read_fit(
    model: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    rows: Rows,
    objective: Objective,
    assigned: set[int],
    light: LightVariables | None = None,
    first_epoch: int = 0,
) -> FitCall:
    """Reads a call of `fit`.

    Args:
        model: The model, compiled.
        args, kwargs: The arguments of `fit`.
        rows: Takes the rows.
        objective: Whose best epoch's weights are wanted.
        assigned: The ids of the variables that the user set.
        light: Its variables, where it was built without weights.
        first_epoch: With which the tuner's own call begins, whose model was trained up to there. Ours is trained from
            its start; any other `initial_epoch` would make it another training.

    Raises:
        Unfusable: With the reason why the call must be left to Keras.
    """
    keras = backend.ensure()
    given = inspect.signature(keras.Model.fit).bind(model, *args, **kwargs)
    given.apply_defaults()
    call = given.arguments
    for name in ("steps_per_epoch", "validation_steps"):
        if call.get(name) is not None:
            raise Unfusable(f"`{name}` has no fused form")
    if int(call["initial_epoch"]) != first_epoch:
        raise Unfusable("`initial_epoch` has no fused form")
    if call.get("validation_freq", 1) != 1:
        raise Unfusable("`validation_freq` has no fused form")
    if not isinstance(call["shuffle"], bool | np.bool_):
        raise Unfusable(f"`shuffle={call['shuffle']!r}` has no fused form")
    if getattr(model, "optimizer", None) is None or not getattr(model, "compiled", False):
        raise Unfusable("the model is not compiled")
    rows.read(call)
    x, y = _inputs(model, call["x"], "x"), _of_outputs(model, call["y"], "y")
    if y is None:
        raise Unfusable("there is no `y`")
    if isinstance(call["sample_weight"], dict | list | tuple) and isinstance(y, tuple):
        raise Unfusable("each output has sample weights of its own")
    if call["sample_weight"] is not None and isinstance(call["y"], dict) and not gives_dictionary(model):
        # `fit` looks for the weights of an output by its number, and fails.
        raise Unfusable("`sample_weight` beside a dictionary of targets needs a dictionary of outputs")
    weight = _array(call["sample_weight"], "sample_weight")
    if weight is not None and weight.size != len(weight):
        raise Unfusable("`sample_weight` of more than one axis has no fused form")
    x, y, weight, held_out = _held_out(model, x, y, weight, call)
    if call["class_weight"] is not None:
        if isinstance(y, tuple) or y.ndim > 2:
            raise Unfusable("`class_weight` is for models with one output of one axis")
        weight = _with_class_weights(call["class_weight"], y, weight)

    input_shape = row_shape(x)
    reason = why_own_fit(model)
    weighs = weight is not None or (held_out is not None and held_out[2] is not None)
    if weighs and compile_arguments(model).get("weighted_metrics"):
        reason = "`weighted_metrics` with weights has no fused form"
    if reason:
        raise Unfusable(reason)
    parts = _parted(model, input_shape)
    whole_shape, read = input_shape, model
    if parts is not None:
        if light is not None:
            light.make_real()
        read, frozen = parts.rest, parts.key(x)
        if held_out is not None:
            held_out = (rows.features(parts, frozen, held_out[0]), *held_out[1:])
        x = rows.features(parts, frozen, x)
        input_shape = row_shape(x)
    try:
        blueprint, training, initial_weights = read_network(
            read, input_shape, assigned, light=light, n_outputs=len(as_inputs(y))
        )
    except OptionError as error:
        raise Unfusable(str(error)) from error
    if not blueprint.layers:
        raise Unfusable(getattr(blueprint, "solo_reason", "") or "the model is not a chain of layers that can be read")

    _check_targets(blueprint, training, input_shape, y, held_out)
    pairs = zip(as_inputs(y), training.each_output, strict=False)
    if any(one.ndim == 1 and is_of_own_class(output.loss) for one, output in pairs):
        raise Unfusable("Keras gives a loss of a class of your own targets of one axis as they are")
    sparse = tuple(loss_name(output.loss).startswith("sparse_") for output in training.each_output)
    training, logged = _logged_metrics(model, training, sparse, flat=[one.ndim == 1 for one in as_inputs(y)])
    epochs = int(call["epochs"])
    training = replace(
        training,
        batch_size=int(call["batch_size"] or 32),
        epochs=epochs,
        shuffle=bool(call["shuffle"]),
    )
    by_batch = training.outputs or any(
        isinstance(metric, MetricSpec) and metric.given is not None for metric in training.metrics
    )
    if by_batch and call["validation_batch_size"] not in (None, training.batch_size) and held_out is not None:
        # TensorFlow's mean of an output's loss is over batches, whatever their size; so is that of single numbers.
        raise Unfusable("a `validation_batch_size` of its own has no fused form with several outputs or own metrics")
    steps = -(-n_rows(x) // training.batch_size)
    kept = _kept(objective, logged, validates=held_out is not None)
    training, replays, logs_rate = read_callbacks(
        call["callbacks"] or [], training, steps, validates=held_out is not None, logged=logged, kept=kept
    )
    if kept is not None:
        stopping = training.early_stopping or EarlyStopping(patience=NEVER, monitor=kept[0], maximize=kept[1])
        training = replace(training, early_stopping=replace(stopping, keep=kept))

    x_val, y_val, w_val = held_out if held_out is not None else (take_rows(x, slice(0)), take_rows(y, slice(0)), None)
    key = (sparse, str(keras.config.floatx()))

    def make() -> Split:
        return Split(
            fold=0,
            repeat=0,
            x_train=_features(x),
            y_train=_targets(y, sparse),
            x_val=_features(x_val),
            y_val=_targets(y_val, sparse),
            w_train=None if weight is None else np.asarray(weight, keras.config.floatx()),
            w_val=None if w_val is None else np.asarray(w_val, keras.config.floatx()),
        )

    number = rows.number(key, [*_all(x), *_all(y), weight, *_all(x_val), *_all(y_val), w_val], make)
    return FitCall(
        blueprint=blueprint,
        training=training,
        initial_weights=initial_weights,
        split=number,
        metrics=logged,
        replays=tuple(replays),
        validates=held_out is not None,
        first_epoch=int(call["initial_epoch"]),
        input_shape=whole_shape,
        logs_rate=logs_rate,
        parts=parts,
    )


def _parted(model: Any, input_shape: tuple[Any, ...]) -> Parted | None:
    """A model whose first part is frozen, in two parts; None for any other."""
    keras = backend.ensure()
    if not has_frozen(model):
        return None
    if not model.built and isinstance(model, keras.Sequential):
        model.build((None, *input_shape))
    try:
        return parted(model)
    except Exception as error:  # a graph that cannot be cut
        logger.info("a frozen part is not computed by itself", exc_info=error)
        return None


def _kept(objective: Objective, logged: Mapping[str, Logged], *, validates: bool) -> tuple[str, bool] | None:
    """The metric whose best epoch's weights are wanted, by the name that programs know; None where they log none.

    Of several objectives there is no single best epoch: the last one's weights are kept.
    """
    prefix = "val_" if objective.name.startswith("val_") else ""
    name = objective.name.removeprefix("val_")
    if (prefix and not validates) or name not in ("loss", *logged):
        return None
    own = name if name == "loss" else logged[name].engine_name
    return prefix + own, objective.direction == "max"


def _inputs(model: Any, value: Any, name: str) -> Any:
    """The rows as an array, or as a tuple of arrays in the order of the model's inputs."""
    if not isinstance(value, dict | list | tuple):
        return _of_rank(model, _array(value, name))
    keys = input_keys(model)
    if isinstance(value, dict):
        if not keys or not set(keys) <= set(value):
            raise Unfusable(f"the keys of `{name}` are not the names of the model's inputs")
        value = [value[key] for key in keys]
    arrays = tuple(_array(one, name) for one in value)
    if len(arrays) != max(1, len(keys)) or any(one is None or len(one) != len(arrays[0]) for one in arrays):
        raise Unfusable(f"`{name}` is not one array for each of the model's inputs, with as many rows each")
    return arrays if len(arrays) > 1 else arrays[0]


def _of_rank(model: Any, x: Any) -> Any:
    """Rows of the one input of a model with an axis of one more, or one less, as Keras has them."""
    inputs = list(getattr(model, "inputs", None) or ())
    if x is None or len(inputs) != 1:
        return x
    wanted = tuple(inputs[0].shape)
    if x.ndim == len(wanted) - 1 and wanted[-1] == 1:
        return x[..., None]
    return x[..., 0] if x.ndim == len(wanted) + 1 and x.shape[-1] == 1 else x


def _of_outputs(model: Any, value: Any, name: str) -> Any:
    """The targets as an array, or as a tuple of arrays in the order of the model's outputs."""
    outputs = list(getattr(model, "outputs", None) or ())
    if len(outputs) < 2 or not isinstance(value, dict | list | tuple):
        if isinstance(value, dict) and len(outputs) == 1 and list(value) == list(output_names(model)):
            (value,) = value.values()
        return _array(value, name)
    if isinstance(value, dict):
        names = output_names(model)
        if set(value) != set(names):
            raise Unfusable(f"the keys of `{name}` are not the names of the model's outputs")
        value = [value[key] for key in names]
    arrays = tuple(_array(one, name) for one in value)
    if len(arrays) != len(outputs) or any(one is None or len(one) != len(arrays[0]) for one in arrays):
        raise Unfusable(f"`{name}` is not one array for each of the model's outputs, with as many rows each")
    return arrays


def _array(value: Any, name: str) -> Any:
    if value is None:
        return None
    if isinstance(value, dict | list | tuple):
        raise Unfusable(f"`{name}` is a {type(value).__name__}, not one array")
    if hasattr(value, "to_numpy"):  # a frame
        value = value.to_numpy()
    if not isinstance(value, np.ndarray):
        if not hasattr(value, "__array__"):
            raise Unfusable(f"`{name}` is a {type(value).__name__}, whose rows come in an order of its own")
        value = np.asarray(value)
    if value.dtype.kind not in "fiub":
        raise Unfusable(f"`{name}` is not of numbers")
    return value


def _held_out(model: Any, x: Any, y: Any, weight: Any, call: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
    """The training rows, and the validation rows `(x, y, weight)` or None, as `fit` would part them."""
    data = call["validation_data"]
    if data is not None:
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise Unfusable("`validation_data` is not a pair of arrays")
        held_out = (
            _inputs(model, data[0], "validation_data"),
            _of_outputs(model, data[1], "validation_data"),
            _array(data[2], "the weights of `validation_data`") if len(data) == 3 else None,
        )
        return x, y, weight, held_out
    share = call["validation_split"]
    if not share:
        return x, y, weight, None
    # The last rows, before anything is shuffled.
    n_train = int(np.floor(n_rows(y) * (1.0 - share)))
    if not 0 < n_train < n_rows(y):
        raise Unfusable(f"`validation_split={share}` leaves no rows")

    def part(rows: slice) -> tuple[Any, Any, Any]:
        return take_rows(x, rows), take_rows(y, rows), None if weight is None else weight[rows]

    return *part(slice(n_train)), part(slice(n_train, None))


def _with_class_weights(class_weight: Mapping[Any, float], y: Any, weight: Any) -> Any:
    labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(int)
    factor = np.array([float(class_weight.get(int(label), 1.0)) for label in labels])
    return factor if weight is None else factor * weight


def _features(x: Any) -> Any:
    floatx = backend.ensure().config.floatx()
    if isinstance(x, tuple):
        return tuple(np.ascontiguousarray(one, dtype=floatx) for one in x)
    return np.ascontiguousarray(x, dtype=floatx)


def _check_targets(
    blueprint: Blueprint, training: Training, input_shape: tuple[Any, ...], y: Any, held_out: tuple[Any, ...] | None
) -> None:
    """Leaves targets to `fit` that do not fit an output: what it makes of them (an error, a broadcast) is its own."""
    try:
        shapes = output_shapes(blueprint, input_shape)
    except KeyError:
        return
    for part in (y, *(held_out or ())[1:2]):
        for one, shape, output in zip(as_inputs(part), shapes, training.each_output, strict=False):
            ignored = getattr(output.loss, "ignore_class", None)
            reason = why_misfit(one, shape, loss_name(output.loss), ignored=ignored)
            if reason:
                raise Unfusable(reason)


def _all(rows: Any) -> list[Any]:
    """Arrays of rows, with how many there are, so that one more input is not taken for a target."""
    return [len(as_inputs(rows)), *as_inputs(rows)]


def _targets(y: Any, sparse: tuple[bool, ...]) -> Any:
    """Targets as losses take them, each by whether its loss takes class numbers."""
    if isinstance(y, tuple):
        return tuple(_target(one, by_number) for one, by_number in zip(y, sparse, strict=True))
    return _target(y, sparse[0])


def _target(y: Any, sparse: bool) -> Any:
    if sparse:
        return np.ascontiguousarray(y.reshape(-1) if y.size == len(y) else y, dtype="int32")
    wide = y.reshape(len(y), 1) if y.ndim == 1 else y
    return np.ascontiguousarray(wide, dtype=backend.ensure().config.floatx())


def _logged_metrics(
    model: Any, training: Training, sparse: tuple[bool, ...], flat: Sequence[bool]
) -> tuple[Training, dict[str, Logged]]:
    """The training with its metrics, and these by the names under which Keras will log them; `flat` are targets of one
    axis.

    Raises:
        Unfusable: One of them is not computed by programs.
    """
    found: dict[str, Logged] = {}
    specs = []
    compiled = compiled_outputs(model)
    if len(compiled) > 1:
        for one in compiled:
            loss = f"{one.name}_loss"
            found[loss] = Logged(engine_name=loss, more_is_better=None)
    for output, numbers, one_axis, spec in zip(compiled, sparse, flat, training.each_output, strict=True):
        prefix = f"{output.name}_" if output.name else ""
        metrics: dict[str | MetricSpec, None] = {}
        for given in output.metrics:
            name, metric, up = read_metric(given)
            if isinstance(metric, MetricSpec):
                if metric.reason and not inspect.isroutine(metric.given):
                    raise Unfusable(metric.reason)
                if ("sparse" in metric.class_name.lower()) != numbers:
                    raise Unfusable(f"the metric `{name}` with this loss has no fused form")
                if one_axis and not numbers:
                    check_axes(metric)
            if prefix + name in found and prefix:
                raise Unfusable(f"two metrics `{prefix}{name}` have no fused form")
            try:
                own = metric_name(metric)
            except Unfusable:  # the engine may have another way to train it
                own = metric if isinstance(metric, str) else metric.name
            metrics[own if isinstance(metric, str) else metric] = None
            found[prefix + name] = Logged(engine_name=prefix + own, more_is_better=None if prefix else up)
        specs.append(replace(spec, metrics=tuple(metrics)))
    if training.outputs:
        return replace(training, outputs=tuple(specs)), found
    return replace(training, metrics=specs[0].metrics), found
