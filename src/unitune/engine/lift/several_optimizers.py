"""Several optimizers in one program: each computes its update of all members, and each member takes its own.

An update reads and writes a few numbers for each weight, which is little beside the products of a step; so this costs
less than a program for each. Their states share the same slots: a member uses them as its own optimizer does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from unitune.engine.lift.base import Key, Tensor
from unitune.engine.lift.optimizer import (
    OptimizerNode,
    OptimizerReading,
    StackedOptimizer,
    join_optimizers,
    same_program,
    shaped,
    varying_numbers,
)
from unitune.records import Array

# Their slots all begin with zeros, and they have no state beside.
_MIX = frozenset({"SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Adadelta", "Lion"})


def may_mix(family: Key) -> bool:
    """Whether optimizers of this family (`same_program`) may share a program with others."""
    class_name, _, settings, clip, _ = family
    alone = {"use_ema", "gradient_accumulation_steps"} & dict(settings).keys()
    return class_name in _MIX and clip is None and not alone


def in_order(nodes: Iterable[OptimizerNode]) -> tuple[OptimizerNode, ...]:
    """The optimizers of a program, in an order of their own."""
    return tuple(sorted(nodes, key=lambda node: repr(node.family)))


def optimizer_nodes(readings: Sequence[OptimizerReading]) -> tuple[OptimizerNode, ...]:
    """The optimizers of a program for these members."""
    families: dict[Key, list[OptimizerReading]] = {}
    for reading in readings:
        families.setdefault(same_program(reading), []).append(reading)
    return in_order(join_optimizers(own) for own in families.values())


def optimizer_numbers(
    nodes: Sequence[OptimizerNode], readings: Sequence[OptimizerReading], dtype: str
) -> dict[str, Any]:
    """What the members' own settings are, each `(member,)`; of several optimizers also which one each member has.

    A member's numbers for the optimizers that it does not have are such that nothing comes of them.
    """
    if len(nodes) == 1:
        return {name: array.astype(dtype) for name, array in varying_numbers(nodes[0], readings).items()}
    families = [node.family for node in nodes]
    which = np.array([families.index(same_program(reading)) for reading in readings], "int32")
    found: dict[str, Any] = {"which": which}
    for place, node in enumerate(nodes):
        own = [reading for reading, one in zip(readings, which, strict=True) if one == place]
        for name, array in (varying_numbers(node, own) if own else _nothing(node)).items():
            full = np.full(len(readings), array[0], dtype)
            full[which == place] = array if own else full[which == place]
            found[f"{place}:{name}"] = full
    return found


def _nothing(node: OptimizerNode) -> dict[str, Array]:
    names = [*node.varying, *(f"1-{name}" for name in node.varying), *(["weight_decay"] if node.decays else [])]
    return {name: np.array([0.5]) for name in names}


def optimizer_of(nodes: Sequence[OptimizerNode], dtype: str) -> StackedOptimizer | SeveralOptimizers:
    """The update of a program."""
    return StackedOptimizer(nodes[0], dtype) if len(nodes) == 1 else SeveralOptimizers(nodes, dtype)


class SeveralOptimizers:
    """As `StackedOptimizer`, for members with different optimizers."""

    uses_ema = False
    accumulates = 0

    def __init__(self, nodes: Sequence[OptimizerNode], dtype: str) -> None:
        self._each = [StackedOptimizer(node, dtype) for node in nodes]

    def _shared(self, shapes: Sequence[tuple[int, ...]]) -> tuple[list[int], list[list[int]]]:
        """The weight of each shared slot, and for each optimizer which of them its own slots are."""
        owners = [one.slot_owner(shapes) for one in self._each]
        most = [max(own.count(weight) for own in owners) for weight in range(len(shapes))]
        weights = [weight for weight, n in enumerate(most) for _ in range(n)]
        places = []
        for own in owners:
            free = {weight: weights.index(weight) for weight in set(own)}
            mine = []
            for weight in own:
                mine.append(free[weight])
                free[weight] += 1
            places.append(mine)
        return weights, places

    def slot_values(self, shapes: Sequence[tuple[int, ...]]) -> list[float]:
        """The initial value of each slot: zero."""
        return [0.0] * len(self._shared(shapes)[0])

    def slot_owner(self, shapes: Sequence[tuple[int, ...]]) -> list[int]:
        """Which weight each slot belongs to."""
        return self._shared(shapes)[0]

    def update(
        self,
        gradients: Sequence[Tensor],
        weights: Sequence[Tensor],
        slots: Sequence[Tensor],
        learning_rate: Tensor,
        step: Tensor,
        numbers: Mapping[str, Tensor],
        extra: Tensor,
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """One step; arguments as for `StackedOptimizer.update`, `numbers` as `optimizer_numbers` gives them."""
        from keras import ops

        new_weights, new_slots = list(weights), list(slots)
        _, places = self._shared([tuple(weight.shape) for weight in weights])
        for number, (one, mine) in enumerate(zip(self._each, places, strict=True)):
            has = ops.equal(numbers["which"], number)
            prefix = f"{number}:"
            own = {name.removeprefix(prefix): value for name, value in numbers.items() if name.startswith(prefix)}
            updated, kept, _ = one.update(
                gradients, weights, [slots[place] for place in mine], learning_rate, step, own, extra
            )
            new_weights = [ops.where(shaped(has, new), new, old) for new, old in zip(updated, new_weights, strict=True)]
            for place, slot in zip(mine, kept, strict=True):
                new_slots[place] = ops.where(shaped(has, slot), slot, new_slots[place])
        return new_weights, new_slots, extra

    def average(self, averages: Sequence[Tensor], weights: Sequence[Tensor], step: Tensor) -> list[Tensor]:
        """Optimizers with a moving average of the weights are never among several."""
        raise NotImplementedError
