"""Reads a job into what decides which program can train it: no tensors, no Keras objects are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitune.engine.contract import Job
from unitune.engine.lift.base import Key, Node, Unfusable, lift_of
from unitune.engine.lift.optimizer import OptimizerReading, read_optimizer, same_program
from unitune.engine.losses import loss_key, metric_name
from unitune.models.blueprint import Blueprint, LayerSpec, Training


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """One network and its training, as the plan sees them.

    Attributes:
        nodes: The layers.
        optimizer: Settings sorted into equal and varying ones.
        loss: The loss's key.
        metrics: Names beside the loss.
        group: What must be equal for two members to be able to share a program at all.
        widths: `(node,)`, true widths.
        functions: The activations' keys, in the order of the activation nodes.
    """

    nodes: tuple[Node, ...]
    optimizer: OptimizerReading
    loss: Key
    metrics: tuple[str, ...]
    group: Key
    widths: tuple[int, ...]
    functions: tuple[Key, ...]


class Reader:
    """Reads jobs, each distinct network and training once."""

    def __init__(self) -> None:
        self._chains: dict[tuple[int, int], Any] = {}
        self._trainings: dict[int, Any] = {}
        self._joined: dict[tuple[int, int, int], Reading] = {}
        self._alive: list[Any] = []  # keeps the ids above valid

    def read(self, job: Job, features: int) -> Reading:
        """The reading of a job on rows of this many features.

        Raises:
            Unfusable: With the reason why no program can train it.
        """
        key = (id(job.blueprint), id(job.training), features)
        if key not in self._joined:
            self._alive.append((job.blueprint, job.training))
            self._joined[key] = self._join(job, features)
        return self._joined[key]

    def _join(self, job: Job, features: int) -> Reading:
        nodes = read_chain(job.blueprint, features)
        optimizer, loss, metrics = _read_training(job.training)
        group = (
            tuple(
                (n.kind, n.static, tuple(w.axes for w in n.weights), n.layer, n.width if n.exact_width else None)
                for n in nodes
            ),
            nodes[-1].width,
            same_program(optimizer),
            loss,
            metrics,
            job.training.batch_size,
            job.training.plateau is not None,
            job.training.shuffle,
        )
        return Reading(
            nodes=nodes,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            group=group,
            widths=tuple(node.width for node in nodes),
            functions=tuple(node.function for node in nodes if node.kind == "Activation"),
        )


def read_chain(blueprint: Blueprint, features: int) -> tuple[Node, ...]:
    """The nodes of a chain of layers.

    Raises:
        Unfusable: With the first layer that has no fused form.
    """
    if not blueprint.layers:
        raise Unfusable("the model is not a chain of layers that can be read")
    nodes: list[Node] = []
    width = features
    for number, layer in enumerate(blueprint.layers):
        _refuse(layer)
        read = lift_of(layer.class_name).read({"class_name": layer.class_name, **layer.config}, width)
        for node in read:
            # A linear activation before another one is nothing; so Dense("relu") and Dense, ReLU share a program.
            previous = nodes[-1] if nodes else None
            if node.kind == "Activation" and previous is not None and previous.kind == "Activation":
                if previous.function == "linear":
                    nodes.pop()
                elif node.function == "linear":
                    continue
            nodes.append(replace(node, layer=number if node.kind == "Dropout" else 0))
        width = nodes[-1].width if nodes else width
    if not nodes:
        raise Unfusable("the model has no layer that computes anything")
    return tuple(nodes)


def _refuse(layer: LayerSpec) -> None:
    """What any layer can be told and no program can do."""
    import keras

    if layer.config.get("trainable") is False:
        raise Unfusable(f"`{layer.class_name}(trainable=False)` has no fused form")
    policy = layer.config.get("dtype") or keras.config.dtype_policy()
    name = getattr(policy, "name", policy)
    if name != keras.config.floatx():
        raise Unfusable(f"the dtype `{name}` of `{layer.class_name}` is not that of the rows")


def _read_training(training: Training) -> tuple[OptimizerReading, Key, tuple[str, ...]]:
    metrics = tuple(dict.fromkeys(metric_name(metric) for metric in training.metrics))
    return read_optimizer(training.optimizer), loss_key(training.loss), metrics


def member_cost(nodes: tuple[Node, ...], widths: np.ndarray, features: int, batch: int) -> float:
    """An estimate in seconds of one training step of one member at these (padded) widths, on one core.

    Measured with XLA on an AVX-512 core: 90 GFLOP/s in matrix products, half a nanosecond for an activation with its
    gradient, 0.3 for a parameter with its optimizer state. The first product needs no gradient of its input.
    """
    seconds, width_in, products = 1.0e-6, features, 4.0
    for node, width in zip(nodes, widths, strict=True):
        if node.kind == "Dense":
            seconds += products * batch * width_in * width / 90e9 + 0.3e-9 * width_in * width
            products = 6.0
        elif node.kind == "Activation":
            seconds += 0.5e-9 * batch * width
        elif node.kind == "Dropout":
            seconds += 3.0e-9 * batch * width
        else:
            seconds += 1.5e-9 * batch * width
        width_in = int(width)
    return float(seconds)


def member_bytes(nodes: tuple[Node, ...], widths: np.ndarray, features: int, batch: int, itemsize: int = 4) -> int:
    """About how much memory one step of one member touches: weights with two slots and a gradient, activations."""
    total, width_in = 0, features
    for node, width in zip(nodes, widths, strict=True):
        if node.kind == "Dense":
            total += 4 * width_in * int(width)
        total += 2 * batch * int(width)
        width_in = int(width)
    return total * itemsize
