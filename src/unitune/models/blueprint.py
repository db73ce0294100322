"""A network and its training as plain values, before any Keras object exists.

A blueprint is what both engines read: `solo` builds a `keras.Model` from it, the fused engine stacks many of them. It
is cheap (no framework is imported), can be compared, and hashes by what must be equal for two members to share a
program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """One layer: the name of a class in `keras.layers` and the arguments of its constructor.

    Values are what the constructor takes: numbers, names, or live Keras objects (a callable activation, say).
    `Dropout` has no seed here: it follows from the member's.
    """

    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """A chain of layers, from the prepared features `(batch, feature)` to the output.

    Attributes:
        layers: In order; the last one gives the output `(batch, output)`.
        template: A user's own `keras.Model`. Where `layers` is empty the model could not be read as a chain, and the
            template is cloned; otherwise it is kept only for its name and class.
    """

    layers: tuple[LayerSpec, ...] = ()
    template: keras.Model | None = None


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """The name of a class in `keras.optimizers`, and its arguments except the learning rate."""

    class_name: str
    learning_rate: float
    config: Mapping[str, Any] = field(default_factory=dict)


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
        keep: Another metric, and whether more of it is better, whose best epoch's weights are kept in the place of
            those that `restore_best_weights` means; None where it is the same.
    """

    patience: int
    min_delta: float = 0.0
    restore_best_weights: bool = True
    monitor: str = "val_loss"
    maximize: bool = False
    keep: tuple[str, bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """The arguments of `keras.callbacks.ReduceLROnPlateau` on `val_loss`."""

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained: what goes to `compile` and `fit`.

    Attributes:
        loss: A name that `keras.losses.get` knows, or a `keras.losses.Loss`, or a function.
        metrics: Names reported in every epoch beside the loss: `"accuracy"`, `"mae"`, ...
        shuffle: Whether the rows are put in a new order before each epoch, drawn from the member's seed.
    """

    optimizer: OptimizerSpec
    loss: Any
    metrics: tuple[str, ...] = ()
    batch_size: int = 32
    epochs: int = 10
    schedule: Schedule = Schedule()
    plateau: Plateau | None = None
    early_stopping: EarlyStopping | None = None
    shuffle: bool = True
