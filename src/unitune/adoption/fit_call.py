"""Reads a call of `model.fit` into what the fused engine takes, or into the reason why it cannot."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitune.adoption.callbacks import read_callbacks
from unitune.adoption.fit_rows import Rows, read_parts
from unitune.adoption.light_build import LightVariables
from unitune.adoption.logged import Logged, engine_name, logged_of
from unitune.adoption.network import read_network
from unitune.adoption.outputs import loss_name
from unitune.adoption.replay import Replay
from unitune.data.arrays import as_inputs, n_rows, row_shape
from unitune.data.fitting import why_misfit
from unitune.engine.lift.base import Unfusable
from unitune.engine.losses import is_of_own_class
from unitune.engine.metrics import check_axes
from unitune.engine.reading import within
from unitune.errors import OptionError
from unitune.models import backend
from unitune.models.adopt import why_own_fit
from unitune.models.blueprint import Blueprint, EarlyStopping, MetricSpec, Training
from unitune.models.compiled import compile_arguments, compiled_outputs
from unitune.models.compiled_metrics import read_metric
from unitune.models.frozen import Parted, has_frozen, parted
from unitune.models.shapes import output_shapes
from unitune.records import Array

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
    best_by: tuple[str, bool],
    assigned: set[int],
    light: LightVariables | None = None,
    first_epoch: int = 0,
    passed_over: tuple[type, ...] = (),
) -> FitCall:
    """Reads a call of `fit`.

    Args:
        model: The model, compiled.
        args, kwargs: The arguments of `fit`.
        rows: Takes the rows.
        best_by: Whose best epoch's weights are wanted: a name as it is logged, and whether more of it is better.
        assigned: The ids of the variables that the user set.
        light: Its variables, where it was built without weights.
        first_epoch: With which the tuner's own call begins, whose model was trained up to there. Ours is trained from
            its start; any other `initial_epoch` would make it another training.
        passed_over: Callbacks of these classes are the caller's own, who does himself what they do.

    Raises:
        Unfusable: With the reason why the call must be left to Keras.
    """
    keras = backend.ensure()
    given = inspect.signature(keras.Model.fit).bind(model, *args, **kwargs)
    given.apply_defaults()
    call = given.arguments
    _check_call(model, call, first_epoch)
    rows.read(call)
    train, held_out = read_parts(model, call)
    input_shape = row_shape(train.x)
    reason = why_own_fit(model)
    weighs = any(part is not None and part.weight is not None for part in (train, held_out))
    if weighs and compile_arguments(model).get("weighted_metrics"):
        reason = "`weighted_metrics` with weights has no fused form"
    if reason:
        raise Unfusable(reason)
    parts = _parted(model, input_shape)
    whole_shape, read = input_shape, model
    if parts is not None:
        if light is not None:
            light.make_real()
        read, frozen = parts.rest, parts.key(train.x)
        if held_out is not None:
            held_out = replace(held_out, x=rows.features(parts, frozen, held_out.x))
        train = replace(train, x=rows.features(parts, frozen, train.x))
        input_shape = row_shape(train.x)
    try:
        blueprint, training, initial_weights = read_network(
            read, input_shape, assigned, light=light, n_outputs=len(as_inputs(train.y))
        )
    except OptionError as error:
        raise Unfusable(str(error)) from error
    if not blueprint.layers:
        raise Unfusable(getattr(blueprint, "solo_reason", "") or "the model is not a chain of layers that can be read")

    _check_targets(blueprint, training, input_shape, [part.y for part in (train, held_out) if part is not None])
    sparse = tuple(loss_name(output.loss).startswith("sparse_") for output in training.each_output)
    training = _with_metrics(model, training, sparse, flat=[one.ndim == 1 for one in as_inputs(train.y)])
    logged = logged_of(model)
    training = replace(
        training,
        batch_size=int(call["batch_size"] or 32),
        epochs=int(call["epochs"]),
        shuffle="batch" if call["shuffle"] == "batch" else bool(call["shuffle"]),
    )
    if (
        _minds_batches(blueprint, training)
        and call["validation_batch_size"] not in (None, training.batch_size)
        and held_out is not None
    ):
        raise Unfusable(
            "a `validation_batch_size` of its own has no fused form with several outputs, own metrics, masks of a loss "
            "or layers that draw in inference"
        )
    steps = -(-n_rows(train.x) // training.batch_size)
    kept = _kept(best_by, logged, validates=held_out is not None)
    before = training
    training, replays = read_callbacks(
        [one for one in keras.tree.flatten(call["callbacks"] or []) if not isinstance(one, passed_over)],
        training,
        steps,
        validates=held_out is not None,
        logged=logged,
        replays=True,
        kept=kept,
    )
    if kept is not None:
        stopping = training.early_stopping or EarlyStopping(patience=NEVER, monitor=kept[0], maximize=kept[1])
        training = replace(training, early_stopping=replace(stopping, keep=kept))

    return FitCall(
        blueprint=blueprint,
        training=training,
        initial_weights=initial_weights,
        split=rows.number(train, held_out, sparse),
        metrics=logged,
        replays=tuple(replays),
        validates=held_out is not None,
        first_epoch=int(call["initial_epoch"]),
        input_shape=whole_shape,
        logs_rate=training.plateau is not before.plateau or training.schedule is not before.schedule,
        parts=parts,
    )


def _check_call(model: Any, call: Mapping[str, Any], first_epoch: int) -> None:
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


def _minds_batches(blueprint: Blueprint, training: Training) -> bool:
    """Whether it makes a difference into which batches validation rows are cut.

    TensorFlow's mean of an output's loss is over batches, whatever their size; so is that of single numbers, and a
    mask's share of a loss is that in a batch. Recurrent layers with dropout draw for each batch, in inference too.
    """
    own = any(isinstance(metric, MetricSpec) and metric.given is not None for metric in training.metrics)
    rates = ("dropout", "recurrent_dropout")
    draws = any(within(one.config, rate) for one in blueprint.layers for rate in rates)
    return bool(training.outputs) or own or bool(blueprint.output_masks) or draws


def _kept(best_by: tuple[str, bool], logged: Mapping[str, Logged], *, validates: bool) -> tuple[str, bool] | None:
    """The metric whose best epoch's weights are wanted, by the name that programs know; None where they log none.

    Of several objectives there is no single best epoch: the last one's weights are kept.
    """
    monitor, more = best_by
    prefix = "val_" if monitor.startswith("val_") else ""
    name = monitor.removeprefix("val_")
    if (prefix and not validates) or name not in ("loss", *logged):
        return None
    return prefix + (name if name == "loss" else logged[name].engine_name), more


def _check_targets(
    blueprint: Blueprint, training: Training, input_shape: tuple[Any, ...], targets: Sequence[Any]
) -> None:
    """Leaves targets to `fit` that do not fit an output: what it makes of them (an error, a broadcast) is its own."""
    pairs = zip(as_inputs(targets[0]), training.each_output, strict=False)
    own = any(one.ndim == 1 and is_of_own_class(output.loss) for one, output in pairs)
    try:
        shapes = output_shapes(blueprint, input_shape)
    except KeyError:
        shapes = []
    for part in targets if shapes else ():
        for one, shape, output in zip(as_inputs(part), shapes, training.each_output, strict=False):
            ignored = getattr(output.loss, "ignore_class", None)
            reason = why_misfit(one, shape, loss_name(output.loss), ignored=ignored)
            if reason:
                raise Unfusable(reason)
    if own:
        raise Unfusable("Keras gives a loss of a class of your own targets of one axis as they are")


def _with_metrics(model: Any, training: Training, sparse: Sequence[bool], flat: Sequence[bool]) -> Training:
    """The training with each of the metrics once, which are checked; `flat` are targets of one axis.

    Raises:
        Unfusable: One of them is not computed by programs.
    """
    specs, names = [], set()
    for output, numbers, one_axis, spec in zip(
        compiled_outputs(model), sparse, flat, training.each_output, strict=True
    ):
        prefix = f"{output.name}_" if output.name else ""
        metrics: dict[str | MetricSpec, None] = {}
        for given in output.metrics:
            name, metric, _ = read_metric(given)
            if isinstance(metric, MetricSpec):
                if metric.reason and not inspect.isroutine(metric.given):
                    raise Unfusable(metric.reason)
                if ("sparse" in metric.class_name.lower()) != numbers:
                    raise Unfusable(f"the metric `{name}` with this loss has no fused form")
                if one_axis and not numbers:
                    check_axes(metric)
            if prefix + name in names and prefix:
                raise Unfusable(f"two metrics `{prefix}{name}` have no fused form")
            names.add(prefix + name)
            metrics[engine_name(metric) if isinstance(metric, str) else metric] = None
        specs.append(replace(spec, metrics=tuple(metrics)))
    if training.outputs:
        return replace(training, outputs=tuple(specs))
    return replace(training, metrics=specs[0].metrics)
