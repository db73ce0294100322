"""A network and its training as plain values, before any Keras object exists.

A blueprint is what both engines read: `solo` builds a `keras.Model` from it, the fused engine stacks many of them. It
is cheap (no framework is imported), can be compared, and hashes by what must be equal for two members to share a
program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import keras


class Source(Protocol):
    """Gives a user's own model, compiled, any number of times."""

    @property
    def ships(self) -> bool:
        """Whether another process can be given it, too."""
        ...

    def lent(self, seed: int) -> AbstractContextManager[keras.Model]:
        """The model, which may be trained inside; one that is built draws its weights from this seed."""
        ...

    def callbacks(self, model: keras.Model) -> list[Any]:
        """New callbacks of the user's own, with which plain `fit` trains a lent model."""
        ...

    def kept(self, model: keras.Model) -> keras.Model:
        """Of a lent model, one with the weights that it has now, which nobody else has."""
        ...


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """One layer: the name of a class in `keras.layers` and the arguments of its constructor.

    Values are what the constructor takes: numbers, names, or live Keras objects (a callable activation, say).
    `Dropout` has no seed here: it follows from the member's. A layer of another class has it under `"class"`, what
    its `from_config` takes under `"config"`, and `"weightless": True` where it has no weights.

    `name` is the layer's own name in the user's model; empty where there was none.
    """

    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    name: str = field(default="", repr=False, compare=False)


PICK = "Pick"
"""The class name of a layer that stands for one of several outputs of the layer that it takes, `{"place": 1}`."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a layer.

    Attributes:
        layer: Its number among the blueprint's layers.
        inputs: The values it takes. The model's inputs are the values 0, 1, ...; then comes one value for each call.
        arguments: Further arguments of the call, by name: `(("use_causal_mask", True),)`.
        constants: Other positional arguments, with their places: `((0, 0.5),)` in `keras.ops.multiply(0.5, x)`.
        named: The names of the last of its inputs, which are given by name: `("mask",)`. One that stands there several
            times is given a list.
        shape: Of a row of what comes out, where only the user's model tells.
    """

    layer: int
    inputs: tuple[int, ...]
    arguments: tuple[tuple[str, Any], ...] = ()
    constants: tuple[tuple[int, Any], ...] = ()
    named: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None

    def given(self, tensors: Iterable[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The positional arguments of the call and those by name: these tensors, with the constants in their places.

        Example:
            >>> Call(layer=0, inputs=(0, 1), constants=((0, 0.5),), named=("mask",)).given(["x", "m"])
            ([0.5, 'x'], {'mask': 'm'})
        """
        positional = list(tensors)
        last = positional[len(positional) - len(self.named) :]
        del positional[len(positional) - len(self.named) :]
        for place, value in self.constants:
            positional.insert(place, value)
        by_name: dict[str, list[Any]] = {}
        for name, tensor in zip(self.named, last, strict=True):
            by_name.setdefault(name, []).append(tensor)
        return positional, {**dict(self.arguments), **{k: v if len(v) > 1 else v[0] for k, v in by_name.items()}}


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """An input of a model: its name, and its type where that is not Keras's usual floating type."""

    name: str = ""
    dtype: str = ""


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """A network: a chain of layers, or a graph of calls of them.

    Attributes:
        layers: In the order in which their weights are in `keras.Model.get_weights()`; in a chain, the order in which
            they are called.
        calls: In an order in which they can be made. Empty for a chain.
        inputs: Empty where there is one of the usual floating type.
        outputs: The values that come out; empty where it is the last one.
        output_masks: For each output the value that says which of its places count in the loss, -1 where all do; empty
            where they all do in each.
        output_keys: The names under which several outputs come out, where that is a dictionary.
        template: A user's own `keras.Model`. Where `layers` is empty the model could not be read, and the template is
            cloned.
        name: Of the model.
        solo_reason: Why it cannot be fused, whatever its layers: it has a `train_step` of its own, say.
        keeps_weights: Whether the weights that it came with matter, because parts of it are frozen or are models.
        source: Gives the user's own model, which `fit` trains where no program does; None for a network that Unitune
            builds itself.
    """

    layers: tuple[LayerSpec, ...] = ()
    calls: tuple[Call, ...] = ()
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[int, ...] = ()
    output_masks: tuple[int, ...] = ()
    output_keys: tuple[str, ...] = ()
    template: keras.Model | None = None
    name: str = field(default="", compare=False)
    solo_reason: str = ""
    keeps_weights: bool = False
    source: Source | None = field(default=None, repr=False, compare=False)

    @property
    def n_inputs(self) -> int:
        """How many inputs it has."""
        return max(1, len(self.inputs))

    @property
    def graph(self) -> tuple[Call, ...]:
        """The calls of a chain too."""
        return self.calls or tuple(Call(layer=i, inputs=(i,)) for i in range(len(self.layers)))

    @property
    def output(self) -> int:
        """The value that comes out of a network with one output."""
        return self.outputs[0] if self.outputs else self.n_inputs + len(self.graph) - 1


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """The name of a class in `keras.optimizers`, and its arguments except the learning rate."""

    class_name: str
    learning_rate: float
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """A metric, and the name under which `fit` logs it.

    Attributes:
        class_name: Of a class in `keras.metrics`; empty where the metric is the user's own.
        config: The arguments of the class.
        given: The user's own metric: an object or a function.
        reason: Why no program computes it, whatever its arguments.
        more_is_better: What Keras takes for better where it is not told; None where it wants to be told.
    """

    class_name: str
    name: str
    config: tuple[tuple[str, Any], ...] = ()
    given: Any = None
    reason: str = ""
    more_is_better: bool | None = None


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """What an output is trained for.

    Attributes:
        name: Of the output, which begins the names of its loss and metrics; empty where there is only one output.
        loss: A name that `keras.losses.get` knows, or a `keras.losses.Loss`, or a function.
        weight: Its loss counts so much in the sum; None where no weight was given.
        metrics: As `Training.metrics`.
    """

    name: str = ""
    loss: Any
    weight: float | None = None
    metrics: tuple[str | MetricSpec, ...] = ()

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Under which its metrics are reported."""
        names = (one if isinstance(one, str) else one.name for one in self.metrics)
        return tuple(f"{self.name}_{name}" if self.name else name for name in names)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate changes: a factor on the optimizer's rate as a function of the step.

    `name` is one of `constant`, `exponential`, `cosine`, `warmup_cosine`, `step`; `params` are its shape parameters
    as fractions of all steps and factors (see `unitune.models.schedules`). The name `keras` stands for a user's own
    `keras.optimizers.schedules.LearningRateSchedule`, which is then in `source`.
    """

    name: str = "constant"
    params: tuple[tuple[str, float], ...] = ()
    source: Any = None


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """The arguments of `keras.callbacks.EarlyStopping`.

    Attributes:
        monitor: A metric as it is logged: `"val_loss"`, `"val_accuracy"`, `"loss"`.
        maximize: Whether more of it is better.
        baseline: What must be beaten for the patience to begin anew; None for nothing.
        start_from_epoch: From which epoch on, counted from 0, it looks.
        keep: Another metric, and whether more of it is better, whose best epoch's weights are kept in the place of
            those that `restore_best_weights` means; None where it is the same.
    """

    patience: int
    min_delta: float = 0.0
    restore_best_weights: bool = True
    monitor: str = "val_loss"
    maximize: bool = False
    baseline: float | None = None
    start_from_epoch: int = 0
    keep: tuple[str, bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """The arguments of `keras.callbacks.ReduceLROnPlateau`; `monitor` and `maximize` as in `EarlyStopping`."""

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0
    monitor: str = "val_loss"
    maximize: bool = False


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained: what goes to `compile` and `fit`.

    Attributes:
        loss: A name that `keras.losses.get` knows, or a `keras.losses.Loss`, or a function; None where there are
            several outputs.
        loss_weight: What the loss is multiplied by; None where no weight was given.
        metrics: What is reported in every epoch beside the loss: names, `"accuracy"` or `"mae"`, or specs.
        outputs: What each of several outputs is trained for; empty where there is one.
        shuffle: Whether the rows are put in a new order before each epoch, drawn from the member's seed; `"batch"` puts
            whole batches in a new order, all of one size.
        further_stopping: Further EarlyStoppings, each of which may end the training and keeps no weights.
        compile_options: Further arguments of `compile`: `(("run_eagerly", True),)`. They send a member to plain `fit`.
    """

    optimizer: OptimizerSpec
    loss: Any
    loss_weight: float | None = None
    metrics: tuple[str | MetricSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    batch_size: int = 32
    epochs: int = 10
    schedule: Schedule = Schedule()
    plateau: Plateau | None = None
    early_stopping: EarlyStopping | None = None
    shuffle: bool | Literal["batch"] = True
    further_stopping: tuple[EarlyStopping, ...] = ()
    compile_options: tuple[tuple[str, Any], ...] = ()

    @property
    def each_stopping(self) -> tuple[EarlyStopping, ...]:
        """All that may end it before its last epoch."""
        return (*([] if self.early_stopping is None else [self.early_stopping]), *self.further_stopping)

    @property
    def each_output(self) -> tuple[OutputSpec, ...]:
        """What each output is trained for, also where there is one."""
        return self.outputs or (OutputSpec(loss=self.loss, weight=self.loss_weight, metrics=self.metrics),)

    @property
    def watched(self) -> tuple[str, ...]:
        """The metrics that early stopping and reduce-on-plateau look at, as they are logged."""
        names = [name for one in self.each_stopping for name in (one.monitor, *(one.keep or ())[:1])]
        return tuple(names) if self.plateau is None else (*names, self.plateau.monitor)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Under which the metrics are reported; of several outputs also each one's loss, without its weight."""
        losses = tuple(f"{one.name}_loss" for one in self.outputs)
        return losses + tuple(name for one in self.each_output for name in one.metric_names)


def activation_name(name: str) -> str:
    """What the activation of a layer is called that is itself a layer."""
    return f"{name}_activation"
