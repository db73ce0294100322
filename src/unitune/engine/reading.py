"""Reads a job into what decides which program can train it: no tensors, no Keras objects are made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

from unitune.engine.contract import Job
from unitune.engine.graph import Graph, Reading
from unitune.engine.lift.activation import check_rows
from unitune.engine.lift.base import Key, Node, Unfusable, lift_of
from unitune.engine.lift.dense import is_table_by_row
from unitune.engine.lift.frozen import frozen
from unitune.engine.lift.optimizer import OptimizerReading, read_optimizer, same_program
from unitune.engine.lift.own import kind_of
from unitune.engine.lift.several_optimizers import may_mix
from unitune.engine.lift.widths import Layout, runs, sources
from unitune.engine.losses import loss_key
from unitune.engine.metrics import OF_ONE_AXIS, metric_key
from unitune.engine.own_scores import is_batch_mean, is_own
from unitune.engine.program_key import OutputKey
from unitune.engine.stretch import head_of
from unitune.models.backend import settings
from unitune.models.blueprint import PICK, Blueprint, Call, LayerSpec, MetricSpec, OptimizerSpec, OutputSpec, Training
from unitune.models.identity import keras_class
from unitune.models.shape_rules import RULES, Shape
from unitune.models.shapes import as_shapes

# These take whole numbers: a table's places, and what Keras multiplies as it does floating ones.
_TAKE_NUMBERS = frozenset({"Dense", "Embedding", "weightless"})
# These take masks, or first states.
_TAKE_NAMED = frozenset(
    {"LSTM", "GRU", "SimpleRNN", "Bidirectional", "GlobalAveragePooling1D", "MultiHeadAttention", "weightless"}
)
# These may give the very tensor that they take.
_KEEP_LOGITS = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "weightless",
        "Dropout",
        "SpatialDropout1D",
        "AlphaDropout",
        "GaussianNoise",
    }
)


class Reader:
    """Reads jobs, each distinct network and training once."""

    def __init__(self) -> None:
        self._joined: dict[tuple[int, int, Any], Reading] = {}
        self._alive: list[Any] = []  # keeps the ids above valid

    def read(self, job: Job, input_shape: tuple[Any, ...]) -> Reading:
        """The reading of a job on rows of this shape (several shapes for several inputs).

        Raises:
            Unfusable: With the reason why no program can train it.
        """
        key = (id(job.blueprint), id(job.training), input_shape)
        if key not in self._joined:
            self._alive.append((job.blueprint, job.training))
            self._joined[key] = self._join(job, input_shape)
        return self._joined[key]

    def _join(self, job: Job, input_shape: tuple[Any, ...]) -> Reading:
        shapes = as_shapes(input_shape)
        graph = read_graph(job.blueprint, shapes, job.training.batch_size)
        nodes = graph.nodes
        optimizer = _read_training(job.training)
        _check_embeddings(nodes, job.training.optimizer)
        specs = job.training.each_output
        if len(specs) != len(graph.outputs):
            raise Unfusable(f"the model has {len(graph.outputs)} outputs, but {len(specs)} losses")
        size = job.training.batch_size
        masks = graph.masks or (None,) * len(specs)
        if graph.masks and len(specs) > 1:
            raise Unfusable("a mask of one of several outputs has no fused form")
        outputs = tuple(
            replace(_read_output(i, nodes[i], spec, size), mask=mask)
            for i, mask, spec in zip(graph.outputs, masks, specs, strict=True)
        )
        for output in outputs:
            _check_mask(output, nodes)
        weighs_losses = len(specs) > 1 or specs[0].weight is not None
        own = settings()
        network = (
            tuple((n.kind, n.static, n.weights, n.inputs, n.shape[:-1]) for n in nodes),
            graph.layouts,
            tuple((i, nodes[i].width if i >= 0 else shapes[-1 - i][-1]) for i in sorted(graph.exact)),
            tuple(weight_order(nodes)),
            outputs,
        )
        update = same_program(optimizer)
        rest = (
            own,
            weighs_losses,
            tuple(shape[:-1] for shape in shapes),
            tuple(spec.dtype for spec in job.blueprint.inputs),
            job.training.batch_size,
            job.training.plateau is not None,
            len(job.training.further_stopping),
            job.training.shuffle,
        )
        # A program of several optimizers gives each the gradients of all members; tables by row were seen to differ so.
        mixes = may_mix(update) and not any(map(is_table_by_row, nodes))
        head = None if any(spec.dtype for spec in job.blueprint.inputs) else head_of(graph)
        family = (
            network if head is None else (head, tuple(replace(output, node=-1) for output in outputs)),
            "any" if mixes else update,
            rest,
        )
        return Reading(
            graph=graph,
            optimizer=optimizer,
            outputs=outputs,
            loss_weights=tuple(1.0 if spec.weight is None else spec.weight for spec in specs),
            weighs_losses=weighs_losses,
            settings=own,
            group=(network, update, rest),
            family=family,
            widths=tuple(node.width for node in nodes),
            functions=tuple(node.function for node in nodes if node.kind == "Activation"),
        )


def _check_mask(output: OutputKey, nodes: tuple[Node, ...]) -> None:
    """A mask has a place for each loss of a row, and is made of what a program computes."""
    if output.mask is None:
        return
    if output.mask < 0 or nodes[output.mask].shape != nodes[output.node].shape[:-1]:
        raise Unfusable("a mask of another shape than the losses has no fused form")
    if dict(output.loss[1]).get("reduction") == "sum":
        raise Unfusable('`reduction="sum"` with a mask has no fused form')


_NOT_BY_ROW = frozenset({"Adadelta", "Ftrl", "Lion", "Nadam"})
_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def _check_embeddings(nodes: tuple[Node, ...], optimizer: OptimizerSpec) -> None:
    """Where an embedding's gradient is a list of rows (`is_table_by_row`), Keras clips these one by one."""
    clips = any(optimizer.config.get(name) for name in _CLIPS)
    if (clips or optimizer.class_name in _NOT_BY_ROW) and any(map(is_table_by_row, nodes)):
        raise Unfusable(f"`{optimizer.class_name}` takes the gradient of an `Embedding` row by row on TensorFlow")


def weight_order(nodes: Any) -> list[int]:
    """The nodes that own weights, in the order in which these are in `keras.Model.get_weights()`."""
    owners = [i for i, node in enumerate(nodes) if node.weights and node.owner < 0]
    return sorted(owners, key=lambda i: nodes[i].layer)


def read_graph(blueprint: Blueprint, input_shapes: tuple[Shape, ...], batch_size: int) -> Graph:
    """The nodes of a network that is trained in batches of this size.

    Raises:
        Unfusable: With the first layer that has no fused form.
    """
    if blueprint.solo_reason:
        raise Unfusable(blueprint.solo_reason)
    if not blueprint.layers:
        raise Unfusable("the model is not a chain of layers that can be read")
    if len(input_shapes) != blueprint.n_inputs:
        raise Unfusable(f"the model has {blueprint.n_inputs} inputs, but the rows have {len(input_shapes)}")
    builder = _Builder(blueprint, input_shapes, batch_size)
    for call in blueprint.graph:
        builder.call(call)
    return builder.graph()


class _Builder:
    """Turns the calls of a blueprint into nodes."""

    def __init__(self, blueprint: Blueprint, shapes: tuple[Shape, ...], batch_size: int) -> None:
        import keras

        self.blueprint = blueprint
        self.shapes = shapes
        self.batch_size = batch_size
        self.usual = str(keras.config.floatx())
        self.types = [spec.dtype or self.usual for spec in blueprint.inputs] or [self.usual]
        self.nodes: list[Node] = []
        self.values = [-1 - k for k in range(len(shapes))]  # the node of each value
        self.several: dict[int, list[int]] = {}  # of a value that is several, the node of each
        self.first: dict[int, int] = {}  # from a layer to the first node that its first call made

    def shape(self, value: int) -> Shape:
        return self.nodes[value].shape if value >= 0 else self.shapes[-1 - value]

    def type(self, value: int) -> str:
        return (self.nodes[value].dtype or self.usual) if value >= 0 else self.types[-1 - value]

    def call(self, call: Call) -> None:
        layer = self.blueprint.layers[call.layer]
        if layer.class_name == PICK:
            if call.inputs[0] not in self.several:
                raise Unfusable("a layer with several outputs has no fused form")
            self.values.append(self.several[call.inputs[0]][layer.config["place"]])
            return
        _refuse(layer)
        taken = [self.values[i] for i in call.inputs]
        name = layer.class_name
        own = layer.config.get("class", type(layer.config["layer"]) if "layer" in layer.config else None)
        config: dict[str, Any] = {"class_name": name, **layer.config}
        types = tuple(self.type(i) for i in taken)
        config |= {"types": types, "batch_size": self.batch_size}
        users = own is not None and keras_class("layers", name) is not own
        kind = kind_of(name, users=users)
        if not kind:
            if not layer.config.get("weightless"):
                raise Unfusable(f"the layer `{name}` has no fused form")
            kind = "weightless"
        elif "class" in layer.config:
            config |= layer.config["config"]
        elif set(types[: len(types) - len(call.named)]) != {self.usual} and name not in _TAKE_NUMBERS:
            # A layer computes in its own type, but takes whole numbers as they are.
            if name not in RULES or RULES[name](layer.config, *(self.shape(i) for i in taken))[0]:
                raise Unfusable(f"`{name}` of inputs of the type `{'`, `'.join(types)}` has no fused form")
            kind = "weightless"
        if kind == "weightless" or "output_shape" not in config:  # which is an argument of `EinsumDense`
            config["output_shape"] = call.shape
        if call.named:
            if name not in _TAKE_NAMED:
                raise Unfusable(f"`{layer.class_name}` with a {call.named[0].replace('_', ' ')} has no fused form")
            config["call_named"] = call.named
        if call.arguments or call.constants:
            config["call_arguments"] = dict(call.arguments)
            config["call_constants"] = call.constants
        try:
            signature(lift_of(kind).read).bind(config, *taken)
        except TypeError:
            raise Unfusable(f"`{layer.class_name}` of {len(taken)} inputs has no fused form") from None
        regularizer = config.pop("activity_regularizer", None)
        if regularizer is not None and kind == "weightless":
            raise Unfusable(f"`{layer.class_name}(activity_regularizer=...)` has no fused form")
        read = lift_of(kind).read(config, *(self.shape(i) for i in taken))
        if users:  # whose lift writes the name of the class
            read = [replace(node, kind=kind_of(node.kind, users=True) or node.kind) for node in read]
        if config.get("trainable") is False:
            read = [frozen(node) for node in read]
        if not read and kind == "Flatten":
            read = self._flat(taken[0])
        again = call.layer in self.first
        start = self.first.setdefault(call.layer, len(self.nodes))
        value = taken[0]
        made: list[int] = []
        for place, node in enumerate(read):
            if node.kind == "Activation":
                check_rows(node.function, node.shape, self.batch_size)
            if again and node.random:
                raise Unfusable(f"`{layer.class_name}` draws at random, and is called twice")
            if node.inputs:
                inputs = tuple(made[i] if i >= 0 else taken[-1 - i] for i in node.inputs)
            else:
                inputs = tuple(taken) if place == 0 else (value,)
            # A linear activation before another one is nothing; so Dense("relu") and Dense, ReLU share a program.
            if node.kind == "Activation" and inputs[0] >= 0 and self.nodes[inputs[0]].kind == "Activation":
                if self.nodes[inputs[0]].function == "linear":
                    inputs = self.nodes[inputs[0]].inputs
                elif node.function == "linear":
                    made.append(value)
                    continue
            shared = place if node.owner < 0 else node.owner
            owner = start + shared if node.weights and (again or node.owner >= 0) else -1
            self.nodes.append(replace(node, layer=call.layer, inputs=inputs, owner=owner))
            value = len(self.nodes) - 1
            made.append(value)
        if regularizer is not None:
            (adds,) = lift_of("ActivityRegularization").read({"regularizer": regularizer}, self.shape(value))
            self.nodes.append(replace(adds, layer=call.layer, inputs=(value,)))
            value = len(self.nodes) - 1
        if layer.config.get("return_state"):
            results = lift_of(name).results(config)  # type: ignore[attr-defined]
            self.several[len(self.values)] = [made[place] for place in results]
        self.values.append(value)

    def _flat(self, value: int) -> list[Node]:
        """`Flatten` of flat rows is nothing, but that TensorFlow knows no logits behind what comes out."""
        shape = self.shape(value)
        known = value >= 0 and self.nodes[value].kind in _KEEP_LOGITS
        return [Node(kind="Flatten", shape=shape, layout="repeat")] if known else []

    def _with_logits(self, outputs: list[int]) -> None:
        """Members share a program only where their outputs, and what may hand logits on to these, are one function.

        On TensorFlow a loss is computed from the logits behind an output, which a choice of functions would not keep.
        """
        waiting = list(outputs)
        while waiting:
            one = waiting.pop()
            if one >= 0 and self.nodes[one].kind in _KEEP_LOGITS:
                waiting += self.nodes[one].inputs
                if self.nodes[one].kind == "Activation":
                    self.nodes[one] = replace(self.nodes[one], static=("function", self.nodes[one].function))

    def graph(self) -> Graph:
        """What is needed for the outputs, with its layouts."""
        outputs = [self.values[value] for value in self.blueprint.outputs or (self.blueprint.output,)]
        for output in outputs:
            if output < 0:
                raise Unfusable("the model has no layer that computes anything")
            if not self.nodes[output].shape:
                raise Unfusable("an output of one number, without an axis, has no fused form")
            if self.nodes[output].dtype:
                raise Unfusable(f"an output of the type `{self.nodes[output].dtype}` has no fused form")
        self._with_logits(outputs)
        masks = [self.values[value] if value >= 0 else None for value in self.blueprint.output_masks]
        needed: set[int] = set()
        waiting = [*outputs, *(mask for mask in masks if mask is not None)]
        while waiting:
            one = waiting.pop()
            if one >= 0 and one not in needed:
                needed.add(one)
                waiting += [*self.nodes[one].inputs, self.nodes[one].owner]
        place = {old: new for new, old in enumerate(sorted(needed))}
        nodes = tuple(
            replace(
                self.nodes[old],
                inputs=tuple(place.get(i, i) for i in self.nodes[old].inputs),
                owner=place.get(self.nodes[old].owner, -1),
            )
            for old in sorted(needed)
        )
        layouts, exact = _layouts(nodes, self.shapes)
        outputs = [place[output] for output in outputs]
        exact = exact.union(*(sources(layouts[output]) for output in outputs))
        return Graph(
            nodes=nodes,
            layouts=layouts,
            exact=frozenset(exact),
            outputs=tuple(outputs),
            masks=tuple(None if mask is None else place.get(mask, mask) for mask in masks),
        )


def _layouts(nodes: tuple[Node, ...], shapes: tuple[Shape, ...]) -> tuple[tuple[Layout, ...], set[int]]:
    """How each node's width is put together, and whose widths must not be padded."""
    widths = {i: node.width for i, node in enumerate(nodes)}
    widths |= {-1 - k: shape[-1] for k, shape in enumerate(shapes)}
    layouts: list[Layout] = []
    exact: set[int] = set()
    for index, node in enumerate(nodes):
        taken: list[Layout] = [layouts[i] if i >= 0 else (i,) for i in node.inputs]
        layout: Layout = (index,)
        if node.layout == "in":
            layout = taken[0]
            # Inputs that are put together place by place must lie in the same places.
            if len(taken) > 1 and len({tuple(runs(one, widths)) for one in taken}) > 1:
                exact |= {source for one in taken for source in sources(one)}
                layout = max(taken, key=lambda one: sum(runs(one, widths)))
        elif node.layout == "first":
            layout = taken[0]
        elif node.layout == "repeat":
            before = nodes[node.inputs[0]].shape if node.inputs[0] >= 0 else shapes[-1 - node.inputs[0]]
            times = math.prod(before[:-1])
            layout = taken[0] if times == 1 else ((times, taken[0]),)
        elif node.layout == "join":
            layout = tuple(item for one in taken for item in one)
        if node.kind == "Embedding":
            exact |= {source for one in taken for source in sources(one)}  # each number is looked up
        if node.exact_width:
            exact |= {source for one in (*taken, layout) for source in sources(one)}
        if node.owner >= 0:
            # Two calls of a layer share its weights, so what they take must lie in the same places.
            first = [layouts[i] if i >= 0 else (i,) for i in nodes[node.owner].inputs]
            if first != taken:
                exact |= {source for one in (*first, *taken) for source in sources(one)}
            if node.layout == "own":
                layout = layouts[node.owner]
        layouts.append(layout)
    return tuple(layouts), exact


def _refuse(layer: LayerSpec) -> None:
    """What any layer can be told and no program can do."""
    import keras

    own = layer.config.get("config", layer.config)
    if any(within(value, "activity_regularizer") for value in own.values()):
        raise Unfusable(f"`activity_regularizer` within `{layer.class_name}` has no fused form")
    policy = layer.config.get("dtype") or keras.config.dtype_policy()
    name = getattr(policy, "name", policy)
    if name != keras.config.floatx():
        raise Unfusable(f"the dtype `{name}` of `{layer.class_name}` is not that of the rows")


def within(config: Any, argument: str) -> bool:
    """Whether a layer, or one within it, is given an argument."""
    if isinstance(config, Mapping):
        return bool(config.get(argument)) or any(within(value, argument) for value in config.values())
    return isinstance(config, list | tuple) and any(within(value, argument) for value in config)


def _read_training(training: Training) -> OptimizerReading:
    if training.compile_options:
        raise Unfusable(f"`compile({training.compile_options[0][0]}=...)` has no fused form")
    if training.outputs and len(set(training.metric_names)) < len(training.metric_names):
        raise Unfusable("outputs that log under one name have no fused form")
    return read_optimizer(training.optimizer)


def _own(key: Key, noun: str, shape: Shape, batch_size: int) -> Key:
    """The key of a loss or metric; of a function of the user's own, with what became known when it was tried."""
    if not is_own(key):
        return key
    if len(shape) > 1:
        raise Unfusable(f"a {noun} of your own on an output of several axes has no fused form")
    name, settings = key
    single = is_batch_mean(dict(settings)["function"], noun, shape, batch_size)
    if single and dict(settings).get("reduction") == "sum":
        raise Unfusable('`reduction="sum"` of a loss that gives one number has no fused form')
    return (name, (*settings, ("batch_mean", single)))


def _read_output(place: int, node: Node, spec: OutputSpec, batch_size: int) -> OutputKey:
    if spec.loss is None:
        raise Unfusable(f"the output `{spec.name}`, which has no loss, has no fused form")
    loss = _own(loss_key(spec.loss), "loss", node.shape, batch_size)
    for metric in spec.metrics:
        numbers = isinstance(metric, MetricSpec) and "sparse" in metric.class_name.lower()
        if isinstance(metric, MetricSpec) and metric.class_name and numbers != str(loss[0]).startswith("sparse_"):
            raise Unfusable(f"the metric `{metric.name}` with this loss has no fused form")
    keys = [metric_key(metric) for metric in spec.metrics]
    keys = [key if len(key) == 1 else (key[0], *_own(key[1:], "metric", node.shape, batch_size)) for key in keys]
    metrics = tuple(dict.fromkeys(keys))
    if len({key[0] for key in metrics}) < len(metrics):
        raise Unfusable("two metrics of one name have no fused form")
    if len(node.shape) > 1:
        if dict(loss[1]).get("reduction") == "sum":
            raise Unfusable('`reduction="sum"` of an output of several axes has no fused form')
        for metric in spec.metrics:
            if isinstance(metric, MetricSpec) and metric.class_name in OF_ONE_AXIS:
                raise Unfusable(f"the metric `{metric.name}` of an output of several axes has no fused form")
    return OutputKey(node=place, name=spec.name, loss=loss, metrics=metrics)
