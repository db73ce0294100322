"""The state of a tile between calls of its program: made, taken apart by member, put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unitune.engine.program import Program
from unitune.engine.program_key import State
from unitune.records import Array


def initial_state(program: Program, weights: Sequence[Any]) -> State:
    """The state before the first epoch, from stacked padded weights (arrays)."""
    key = program.key
    tensor = program.backend.tensor
    members = key.members
    state: State = {
        "weights": [tensor(w) for w in weights],
        "slots": [
            tensor(np.full(shape, value, key.dtype))
            for shape, value in zip(program.slot_shapes, program.slot_values, strict=True)
        ],
        "extra": tensor(
            np.ones((), key.dtype) if "beta_1" not in key.optimizers[0].varying else np.ones(members, key.dtype)
        ),
        "step": tensor(np.zeros((), "int32")),
    }
    if program.optimizer.uses_ema:
        state["averages"] = [tensor(weights[i]) for i in program.trainable]
    if key.stopping:
        state |= {"kept": [tensor(w) for w in weights]}
    state |= tensors(
        callback_state(members, key.dtype, stopping=key.stopping, further_stops=key.further_stops, plateau=key.plateau),
        tensor,
    )
    return state


def callback_state(members: int, dtype: str, *, stopping: bool, further_stops: int, plateau: bool) -> State:
    """What early stopping and reduce-on-plateau remember before the first epoch, beside the weights that are kept."""
    state: State = {}
    if stopping:
        state |= {
            "best": np.full(members, np.inf, dtype),
            "best_kept": np.full(members, np.inf, dtype),
            "wait": np.zeros(members, "int32"),
            "active": np.ones(members, "bool"),
            "best_epoch": np.zeros(members, "int32"),
            "n_epochs": np.zeros(members, "int32"),
        }
        if further_stops:
            state |= {
                "further_best": np.full((members, further_stops), np.inf, dtype),
                "further_wait": np.zeros((members, further_stops), "int32"),
            }
    if plateau:
        state |= {
            "rate_factor": np.ones(members, dtype),
            "plateau_best": np.full(members, np.inf, dtype),
            "plateau_wait": np.zeros(members, "int32"),
            "plateau_cooldown": np.zeros(members, "int32"),
        }
    return state


def tensors(value: Any, tensor: Callable[[Any], Any]) -> Any:
    """Nested arrays as nested tensors."""
    if isinstance(value, dict):
        return {name: tensors(item, tensor) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(tensors(item, tensor) for item in value)
    return tensor(value)


def to_host(state: State) -> State:
    """A tile's state as arrays."""
    return {
        name: [np.asarray(v) for v in part] if isinstance(part, list) else np.asarray(part)
        for name, part in state.items()
    }


def part_of(state: State, place: int) -> State:
    """One member's part of a tile's state; scalars are common to all."""

    def take(array: Array) -> Array:
        return array[place].copy() if array.ndim else array

    return {name: [take(v) for v in part] if isinstance(part, list) else take(part) for name, part in state.items()}


def join_parts(parts: Sequence[State]) -> State:
    """The state of a tile from its members' parts."""

    def stack(name: str, arrays: Sequence[Array]) -> Array:
        return arrays[0] if name in ("step", "extra") and arrays[0].ndim == 0 else np.stack(arrays)

    return {
        name: [stack(name, [part[name][i] for part in parts]) for i in range(len(first))]
        if isinstance(first, list)
        else stack(name, [part[name] for part in parts])
        for name, first in parts[0].items()
    }
