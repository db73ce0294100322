"""What may vary: the hyperparameters of dense networks, and how long they train."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from unitune.options.base import Options
from unitune.options.flags import AtLeast, Flag, values


@dataclass(frozen=True, kw_only=True, eq=False)
class SpaceOptions(Options):
    """What may vary.

    Args:
        units: Units of a hidden layer, 1 or more. Where neither they nor `activations` are given, depth, learning rate,
            dropout and weight decay vary beside both, in as many trials as are worth their time.
        activations: Names of Keras activations, layers such as `keras.layers.LeakyReLU(0.1)`, or functions. Relu, tanh
            and gelu if only `units` are given, and 16 to 256 units if only these are.
        layers: How many hidden layers, 1 to 8; 1 if not given.
        per_layer: Whether each layer has its own units and activation; no if not given.
        optimizers: Names of Keras optimizers; Adam if not given.
        learning_rates: Above 0. If not given 0.003 for Adam where `epochs` are not given either, else the optimizer's
            own.
        schedules: `"constant"`, `"exponential"`, `"cosine"`, `"warmup_cosine"`, `"step"`, `"plateau"`;
            constant if not given.
        dropouts: Rates in [0, 1); 0 if not given.
        weight_decays: Decoupled weight decay, as in AdamW, 0 or more. If not given 0.1 for Adam where `epochs` are not
            given either, else the optimizer's own.
        l1, l2: Penalties on the kernels, 0 or more; 0 if not given.
        batch_normalization: True or False; False if not given.
        initializers: Names of Keras initializers; `"auto"`, which suits the activation, if not given.
        batch_sizes: Rows per step. If not given 32 with `epochs`, else about the root of the rows, from 16 to 512.
        epochs: How long to train, at most. If not given, networks train until the validation loss stops improving, with
            the limit, the patience, the batch size and the learning rate that follow from the rows.
        patience: Stop after so many epochs without improvement of the validation loss, keeping the best weights; with
            `epochs` and without it, all of them are trained.
    """

    panel: ClassVar[str] = "What may vary"

    units: Annotated[Any, values("Units of a hidden layer: 16,32,64 or 16:256:16.")] = None
    activations: Annotated[Any, values("Names of Keras activations: relu,tanh,gelu.")] = None
    layers: Annotated[Any, values("How many hidden layers, 1 to 8.")] = None
    per_layer: Annotated[
        bool | Sequence[str] | None, Flag("Units and activation of their own for each layer.", bool)
    ] = None
    optimizers: Annotated[Any, values("Names of Keras optimizers: adam,sgd.")] = None
    learning_rates: Annotated[Any, values("Learning rates: 1e-3,1e-2 or 1e-4:1e-2:log.")] = None
    schedules: Annotated[Any, values("Learning-rate schedules: constant,cosine,plateau, ...")] = None
    dropouts: Annotated[Any, values("Dropout rates, from 0 to below 1.")] = None
    weight_decays: Annotated[Any, values("Decoupled weight decay, as in AdamW.")] = None
    l1: Annotated[Any, values("L1 penalties on the kernels.")] = None
    l2: Annotated[Any, values("L2 penalties on the kernels.")] = None
    batch_normalization: Annotated[Any, values("Batch normalization: true, false or true,false.")] = None
    initializers: Annotated[Any, values("Kernel initializers; auto suits the activation.")] = None
    batch_sizes: Annotated[Any, values("Rows per step.")] = None
    epochs: Annotated[Any, values("Epochs at most; if not given, until it is learnt.")] = None
    patience: Annotated[
        int | None,
        Flag("Stop after so many epochs without improvement; best weights are kept.", int),
        AtLeast(0, whole=True),
    ] = None

    def space(self) -> dict[str, Any]:
        """The arguments of `models.dense.dense_space` that were given."""
        named = {name: getattr(self, name) for name in SPACE if getattr(self, name) is not None}
        layered = ("units", "activation") if self.per_layer is True else self.per_layer
        return named | ({"per_layer": layered} if layered else {})


SPACE = tuple(name for name in SpaceOptions.names() if name not in ("per_layer", "patience"))
