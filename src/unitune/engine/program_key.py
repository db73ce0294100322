"""What a program's code depends on, and what it needs of a framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from unitune.engine.lift.base import Key, ProgramNode, Tensor
from unitune.engine.lift.optimizer import OptimizerNode
from unitune.models.shape_rules import Shape
from unitune.records import Array

State = dict[str, Any]


class Backend(Protocol):
    """What differs between frameworks."""

    name: str

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiles a function of nested tensors."""
        ...

    def naming(self, digest: bytes) -> AbstractContextManager[None]:
        """While a program is traced: names inside it that are the same in each process, so that it is found on disk.

        Args:
            digest: Of the program's key.
        """
        ...

    def gradient(
        self, loss: Callable[[list[Tensor]], tuple[Tensor, Any]], weights: list[Tensor]
    ) -> tuple[list[Tensor], Any]:
        """The gradient of a loss, and what the loss function returns beside it."""
        ...

    def tensor(self, array: Any) -> Tensor:
        """The array on the device."""
        ...

    def switch(self, choice: Tensor, functions: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> Tensor:
        """Applies the chosen function, and only it, with its gradient."""
        ...

    def only_if(self, wanted: Tensor, function: Callable[[], Tensor], shape: Shape, dtype: str) -> Tensor:
        """What the function gives, in a branch that runs only if it is wanted; otherwise zeros of that shape and type.

        Nothing has a gradient.
        """
        ...

    def uniform(
        self,
        seeds: Tensor,
        step: Tensor,
        rows: int,
        widths: Tensor,
        width: int,
        dtype: str,
        units: Tensor | None = None,
    ) -> Tensor:
        """Keras's uniform random numbers."""
        ...

    def normal(
        self,
        seeds: Tensor,
        step: Tensor,
        rows: int,
        widths: Tensor,
        width: int,
        dtype: str,
        units: Tensor | None = None,
    ) -> Tensor:
        """Keras's normal random numbers."""
        ...

    def scan(self, step: Any, states: tuple[Tensor, ...], inputs: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """A loop over the first axis of the inputs, with its gradient."""
        ...

    def keep(self, uniform: Tensor, rate: Tensor) -> Tensor:
        """Which numbers keep an input."""
        ...


@dataclass(frozen=True, kw_only=True)
class OutputKey:
    """An output of a network, and what it is trained for.

    Attributes:
        node: The node whose output it is.
        name: Of the output; empty where it is the only one.
        loss: A key that `engine.losses` resolves.
        mask: The node that says which places of a row count in the loss.
        metrics: Keys that `engine.metrics` resolves; each begins with the metric's name.
    """

    node: int
    name: str
    loss: Key
    metrics: tuple[Key, ...]
    mask: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProgramKey:
    """All that a program's code depends on. Members and data of equal keys share the compiled code.

    Attributes:
        nodes: The layers, with padded widths.
        weight_order: The nodes that own weights, in the order of the stacked weights.
        outputs: What comes out of the network.
        weighs_losses: Whether losses are multiplied by their members' weights; always where there are several outputs.
        optimizers: The optimizers and their static settings; each member has one of them.
        members: Slots of the tile.
        inputs: For each input the padded shape of a row and its type.
        batch_size: Rows of a step.
        train_rows: Training rows, rounded up to whole batches: the length of an epoch's order.
        all_rows: Validation and training rows together, rounded up to whole evaluation blocks.
        block_rows: Rows of an evaluation block.
        chunk: Epochs that one call can run.
        weighted: Whether rows have weights.
        stopping: Whether members may end at different epochs (early stopping, or different `epochs`).
        further_stops: How many EarlyStoppings a member has beside its first.
        plateau: Whether a learning rate may fall on a plateau.
        probes: Whether probes are taken.
        dtype: `"float32"` or `"float64"`.
        backend: `"tensorflow"` or `"jax"`.
        settings: Of Keras, which its functions read while they are traced.
    """

    nodes: tuple[ProgramNode, ...]
    weight_order: tuple[int, ...]
    outputs: tuple[OutputKey, ...]
    weighs_losses: bool
    optimizers: tuple[OptimizerNode, ...]
    members: int
    inputs: tuple[tuple[Shape, str], ...]
    batch_size: int
    train_rows: int
    all_rows: int
    block_rows: int
    chunk: int
    weighted: bool
    stopping: bool
    further_stops: int
    plateau: bool
    probes: bool
    dtype: str
    backend: str
    settings: Key


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """Members that one call trains. `slots[i]` is the index of a job, or -1 for a slot that only fills the tile up."""

    key: ProgramKey
    split: int
    slots: Array
    expected_s: float
