"""Reads a Keras model that the user built and compiled: its layers, how it is trained, the weights it starts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.errors import OptionError
from unitune.models import backend, optimizers, schedules
from unitune.models.blueprint import PICK, Blueprint, Call, InputSpec, LayerSpec, OutputSpec, Schedule, Training
from unitune.models.calls import Unreadable, arguments_of_call, calls_in, read_layer, read_operation
from unitune.models.compiled import compile_arguments, compiled_outputs, gives_dictionary, output_names
from unitune.models.compiled_metrics import read_metric
from unitune.models.identity import NotPlain, check_instance
from unitune.models.kinds import is_plain
from unitune.models.nested import graph_of, layers_within
from unitune.models.shapes import as_shapes, is_known
from unitune.models.subclassed import graph_of_call, has_own_call, make_weights
from unitune.records import Array

if TYPE_CHECKING:
    import keras


def adopt(
    model: keras.Model,
    input_shape: tuple[Any, ...] | None = None,
    *,
    weights: bool = True,
    n_outputs: int | None = 1,
) -> tuple[Blueprint, Training, tuple[Array, ...]]:
    """Reads a compiled model.

    A Sequential or Functional model becomes a blueprint of its layers and their calls, which holds on to no part of
    the model; only one that cannot be written so becomes a template, to be cloned. An unbuilt Sequential is built.

    Args:
        model: Compiled.
        input_shape: Of one row, `(feature,)`, or a tuple of shapes, one for each input: builds a model that has no
            `Input`, and is checked against one that has.
        weights: Whether the weights are wanted; reading them takes longer than all the rest.
        n_outputs: How many outputs it must have; None for any number.

    Returns:
        The blueprint, the training (batch size and epochs at their defaults), and the weights in the order of
        `model.get_weights()`, or none.

    Raises:
        OptionError: The model is no Keras model, is not compiled, cannot be built, takes rows of another shape, or has
            another number of outputs.
    """
    check_compiled(model)
    try:
        read = _graph_of(model, input_shape)
    except Unreadable as told:
        _make_weights(model, input_shape)
        blueprint = Blueprint(template=model, name=model.name, solo_reason=str(told), keeps_weights=True)
        return blueprint, training_of(model), _weights_of(model) if weights else ()
    _build(read, input_shape)
    if n_outputs is not None and len(read.outputs) != n_outputs:
        wanted = "one output" if n_outputs == 1 else f"an output for each of {n_outputs} targets"
        raise OptionError(
            f"a model must have {wanted}",
            f"`{model.name}` has {len(read.outputs)}",
            "Give a target for each output, or leave outputs out.",
        )
    blueprint = read_model(read)
    if read is not model and (reason := why_own_fit(model)):
        blueprint = replace(blueprint, solo_reason=reason)
    return blueprint, training_of(model), _weights_of(model) if weights else ()


def _make_weights(model: Any, input_shape: Any) -> None:
    try:
        make_weights(model, input_shape)
    except Exception as error:  # of the user's own code
        first = (str(error).strip().splitlines() or [""])[0]
        raise OptionError(
            "a model must take the rows",
            f"`{model.name}` fails on rows of shape {input_shape} ({type(error).__name__}: {first})",
            "Call it once on some rows before you give it.",
        ) from error


def _weights_of(model: Any) -> tuple[Array, ...]:
    return tuple(np.array(weight) for weight in model.get_weights())


def check_compiled(model: Any, *, returned: bool = False) -> None:
    """Refuses what is no compiled Keras model; `returned` says that a function of the user's gave it.

    Raises:
        OptionError: It is none, or has no optimizer or no loss.
    """
    keras = backend.ensure()
    if not isinstance(model, keras.Model):
        raise OptionError(
            "the function must return a compiled `keras.Model`" if returned else "a model must be a `keras.Model`",
            f"got {model!r}, a {type(model).__name__}",
            "Write `return model` at its end." if returned else "",
        )
    if not getattr(model, "compiled", False) or model.optimizer is None or model.loss is None:
        raise OptionError(
            "a model must be compiled with an optimizer and a loss",
            f"`{model.name}` is not",
            "Call `model.compile(optimizer=..., loss=..., metrics=[...])` first.",
        )


def input_keys(model: keras.Model) -> tuple[str, ...]:
    """The keys by which the rows of a built model's inputs are given in a dictionary, in the order of its inputs.

    A model made of a dictionary of inputs has them in the order of its keys, any other has them by the inputs' names.
    """
    struct = getattr(model, "_inputs_struct", None)
    if isinstance(struct, dict):
        return tuple(sorted(struct))
    return tuple(str(one.name) for one in getattr(model, "inputs", None) or ())


def predicts_logits(training: Training) -> bool:
    """Whether the loss takes logits (`from_logits=True`), so that predictions must pass through a sigmoid or softmax.

    Example:
        >>> from unitune.models.blueprint import OptimizerSpec
        >>> predicts_logits(Training(optimizer=OptimizerSpec(class_name="Adam", learning_rate=0.001), loss="mse"))
        False
    """
    return logits_of(training.loss)


def logits_of(loss: Any) -> bool:
    """As `predicts_logits`, of a loss."""
    return hasattr(loss, "get_config") and bool(loss.get_config().get("from_logits", False))


def _graph_of(model: Any, input_shape: tuple[Any, ...] | None) -> Any:
    """The model; of one with a `call` of its own the graph of layers that it is.

    Raises:
        Unreadable: It is none.
    """
    return model if input_shape is None or not has_own_call(model) else graph_of_call(model, input_shape)


def _build(model: Any, input_shape: tuple[int, ...] | None) -> None:
    keras = backend.ensure()
    if not isinstance(model, keras.Sequential) and not getattr(model, "inputs", None):
        raise OptionError(
            "a model must say what its layers are",
            f"`{model.name}` is a subclass with a `call` of its own, which cannot be copied for each fold",
            "Write it as a `keras.Sequential` or a functional `keras.Model(inputs, outputs)`.",
        )
    if not model.built:
        if input_shape is None:
            raise OptionError(
                "a model must know the shape of its input",
                f"`{model.name}` is not built",
                "Start it with `keras.Input((n_features,))`.",
            )
        model.build((None, *input_shape))
    expected = tuple(tuple(one.shape[1:]) for one in model.inputs)
    given = as_shapes(input_shape) if input_shape is not None else expected
    fits = len(expected) == len(given) and all(
        len(own) == len(shape) and all(size is None or size == n for size, n in zip(own, shape, strict=True))
        for own, shape in zip(expected, given, strict=True)
    )
    if not fits:
        raise OptionError(
            f"`{model.name}` takes rows of shape {expected[0] if len(expected) == 1 else expected}",
            f"the data have {input_shape}",
            "Change its `Input`, or leave it out.",
        )


def read_model(model: Any) -> Blueprint:
    """The blueprint of a built model: its layers and calls, or a template where these cannot be written down."""
    reason = why_own_fit(model)
    if not is_plain(model):
        why = _OF_A_CLASS.format(type(model).__name__)
        return Blueprint(template=model, name=model.name, solo_reason=reason or why)
    try:
        try:
            found = _Graph(model).blueprint()
        except _OutOfOrder:
            found = _Graph(model, through=False).blueprint()
        return replace(found, solo_reason=reason)
    except Unreadable as told:
        return Blueprint(template=model, name=model.name, solo_reason=reason or str(told), keeps_weights=True)


_OF_A_CLASS = "the model is of the class `{}`, not a plain Sequential or Functional model"


class _OutOfOrder(Exception):  # noqa: N818  (a finding)
    """A model made of all layers would have their weights in another order."""


def why_own_fit(model: Any) -> str:
    """Why a model must be trained by its own `fit`, whatever its layers; empty where it need not."""
    keras = backend.ensure()
    for name in ("train_step", "test_step", "compute_loss", "compute_metrics", "make_train_function", "fit"):
        if getattr(type(model), name, None) is not getattr(keras.Model, name, None):
            return f"the model has a `{name}` of its own"
    try:
        for one in (model, getattr(model, "_functional", None)):
            if one is not None:
                check_instance(one, "the model")
    except NotPlain as told:
        return str(told)
    if getattr(model, "run_eagerly", False):
        return "`run_eagerly=True` asks for plain `fit`"
    given = compile_arguments(model)
    if given.get("weighted_metrics") and (given.get("metrics") or len(getattr(model, "outputs", None) or ()) > 1):
        return "`weighted_metrics` beside `metrics`, or of several outputs, has no fused form"
    optimizer = getattr(model, "optimizer", None)
    return "" if optimizer is None else optimizers.why_not_anew(optimizer)


class _Graph:
    """A Sequential or Functional model as it is turned into a blueprint."""

    def __init__(self, model: Any, *, through: bool = True) -> None:
        self.model = model
        self.source = graph_of(model)
        self.through = through  # whether models within are read as their layers
        self.layers: list[LayerSpec] = []
        self.number: dict[int, tuple[int, ...]] = {}  # a layer's place, or two: itself and its activation
        self.value: dict[int, int] = {id(tensor): i for i, tensor in enumerate(model.inputs)}
        self.weighted: list[bool] = []  # whether a layer has weights
        self.calls: list[Call] = []
        self.keeps = False

    def blueprint(self) -> Blueprint:
        """Reads the layers, then their calls."""
        keras = backend.ensure()
        own = layers_within(self.model) if self.through else layers_within(self.model, None)
        for layer in own:
            specs = read_layer(layer)
            self.keeps |= not layer.trainable or isinstance(layer, keras.Model)
            self.number[id(layer)] = tuple(range(len(self.layers), len(self.layers) + len(specs)))
            self.layers += specs
            self.weighted += [bool(layer.weights), *[False] * (len(specs) - 1)]
        if not own:
            raise Unreadable("the model has no layers")
        self._run(self.source)
        if self.through and len(own) > len(layers_within(self.model, None)):
            self._check_order()
        outputs = tuple(self.value[id(tensor)] for tensor in self.model.outputs)
        masks = [getattr(tensor, "_keras_mask", None) for tensor in self.model.outputs]
        output_masks = tuple(-1 if mask is None else self._known(mask) for mask in masks)
        n_inputs, floatx = len(self.model.inputs), keras.config.floatx()
        chain = all(call == Call(layer=i, inputs=(i,)) for i, call in enumerate(self.calls))
        struct = self.source._outputs_struct
        keys = output_names(self.model) if gives_dictionary(self.model) and len(outputs) > 1 else ()
        if len(struct if isinstance(struct, Mapping | list | tuple) else [struct]) != len(outputs):
            raise Unreadable("its outputs are nested")
        plain = (
            max(output_masks) < 0
            and n_inputs == 1
            and outputs == (len(self.calls),)
            and chain
            and len(self.calls) == len(self.layers)
        )
        types = tuple("" if one.dtype == floatx else str(one.dtype) for one in self.model.inputs)
        inputs = tuple(InputSpec(name=one.name, dtype=kind) for one, kind in zip(self.model.inputs, types, strict=True))
        return Blueprint(
            layers=tuple(self.layers),
            calls=() if plain else tuple(self.calls),
            inputs=() if plain and not any(types) else inputs,
            outputs=() if plain else outputs,
            output_masks=output_masks if max(output_masks) >= 0 else (),
            output_keys=keys,
            name=self.model.name,
            keeps_weights=self.keeps,
        )

    def _run(self, source: Any) -> None:
        for node in calls_in(source):
            self._call(node)

    def _check_order(self) -> None:
        """Checks that a model made of these layers has its weights in their order: Keras sorts layers by depth.

        Raises:
            _OutOfOrder: It may not.
        """
        n_inputs = len(self.model.inputs)
        depth_of_call, depth_of_layer = [0] * len(self.calls), [0] * len(self.layers)
        for place in reversed(range(len(self.calls))):
            call = self.calls[place]
            depth = depth_of_call[place]
            depth_of_layer[call.layer] = max(depth_of_layer[call.layer], depth)
            for value in call.inputs:
                if value >= n_inputs:
                    depth_of_call[value - n_inputs] = max(depth_of_call[value - n_inputs], depth + 1)
        weighted = [depth for depth, has in zip(depth_of_layer, self.weighted, strict=True) if has]
        if any(one <= other for one, other in pairwise(weighted)):
            raise _OutOfOrder

    def _call(self, node: Any) -> None:
        layer = node.operation
        inner = graph_of(layer) if self.through else None
        if inner is not None:
            taken = backend.ensure().tree.flatten(node.arguments.args)
            tensors = backend.ensure().KerasTensor
            by_name = backend.ensure().tree.flatten(node.arguments.kwargs)
            carried = [getattr(one, "_keras_mask", None) for one in (*taken, *inner.outputs)]
            others = any(isinstance(one, tensors) for one in by_name) or len(taken) != len(inner.inputs)
            if others or any(mask is not None for mask in carried):
                raise Unreadable(f"the model `{layer.name}` within it is called in a way of its own")
            self.value |= {id(one): self.value[id(given)] for one, given in zip(inner.inputs, taken, strict=True)}
            self._run(inner)
            pairs = zip(node.outputs, inner.outputs, strict=True)
            self.value |= {id(given): self.value[id(one)] for given, one in pairs}
            return
        if id(layer) not in self.number:
            # An operation on tensors, such as `a + b` or `keras.ops.mean(a)`: a layer without weights.
            self.number[id(layer)] = (len(self.layers),)
            self.layers.append(read_operation(layer))
            self.weighted.append(False)
        first, *rest = self.number[id(layer)]
        inputs, constants, arguments, named = arguments_of_call(node)
        if self.layers[first].class_name == "Dense" and set(named) == {"mask"}:  # of `TimeDistributed`
            inputs, named = inputs[:-1], ()
        shape = tuple(node.outputs[0].shape[1:])
        given = [self._known(tensor) for tensor in inputs]
        for number in (first, *rest):
            known = None if None in shape or is_known(self.layers[number]) else shape
            self.calls.append(
                Call(
                    layer=number,
                    inputs=tuple(given),
                    arguments=arguments,
                    constants=constants,
                    named=named,
                    shape=known,
                )
                if number == first
                else Call(layer=number, inputs=(self._last(),), shape=known)
            )
        whole = self._last()
        for place, output in enumerate(node.outputs):
            if len(node.outputs) > 1:
                self.layers.append(LayerSpec(class_name=PICK, config={"place": place}))
                self.weighted.append(False)
                self.calls.append(Call(layer=len(self.layers) - 1, inputs=(whole,)))
            self.value[id(output)] = self._last()

    def _known(self, tensor: Any) -> int:
        """The value of a tensor; of a mask that nothing but the loss looks at, by the calls that it is made by."""
        if id(tensor) not in self.value:
            operation, number, _ = tensor._keras_history
            self._call(operation._inbound_nodes[number])
        return self.value[id(tensor)]

    def _last(self) -> int:
        return len(self.model.inputs) + len(self.calls) - 1


def training_of(model: Any) -> Training:
    """What a compiled model is trained with; batch size and epochs at their defaults."""
    source = optimizers.learning_rate_schedule(model.optimizer)
    outputs = tuple(
        OutputSpec(
            name=one.name,
            loss=one.loss,
            weight=one.weight,
            metrics=tuple(dict.fromkeys(read_metric(m)[1] for m in one.metrics)),
        )
        for one in compiled_outputs(model)
    )
    return Training(
        optimizer=optimizers.from_keras(model.optimizer),
        **_trained_for(outputs),
        schedule=Schedule() if source is None else schedules.from_keras(source),
        compile_options=(("run_eagerly", True),) if getattr(model, "run_eagerly", False) else (),
    )


def _trained_for(outputs: tuple[OutputSpec, ...]) -> dict[str, Any]:
    """What outputs are trained for, as arguments of `Training`."""
    if len(outputs) > 1:
        return {"loss": None, "outputs": outputs}
    return {"loss": outputs[0].loss, "loss_weight": outputs[0].weight, "metrics": outputs[0].metrics}
