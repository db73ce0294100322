"""Members between two calls of an engine: what they need to go on, and the arrays in which a store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitune.engine.contract import Arrays, MemberState
from unitune.engine.program_key import ProgramKey, State
from unitune.errors import RunFolderError
from unitune.records import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Paused:
    """A member that has stopped and can go on, in the program that it was planned for.

    Attributes:
        key: Of the program.
        epoch: Epochs that it has trained.
        part: Its part of a tile's state; None before the first epoch.
        history, rates: What it has done, as `Progress` has it.
        elapsed_s: Seconds so far.
    """

    key: ProgramKey
    epoch: int = 0
    part: State | None = None
    history: tuple[Array, ...] = ()
    rates: tuple[Array, ...] = ()
    elapsed_s: float = 0.0

    def arrays(self) -> Arrays:
        """All but the program, which is planned again."""
        parts = {f"part/{name}": value for name, value in (self.part or {}).items()}
        return {**parts, "history": self.history, "rates": self.rates, "elapsed_s": np.array(self.elapsed_s)}


@dataclass(frozen=True)
class Again:
    """The state of a member that was to stop before its last epoch: nothing. It is trained again from its start.

    `fit` can go on from an epoch, but not with callbacks that have to remember what came before.
    """

    def arrays(self) -> Arrays:
        """That it is to be trained again."""
        return {"again": np.array(True)}


def state_of(epoch: int, arrays: Mapping[str, Any], prepared: MemberState | None) -> MemberState | None:
    """The state that was kept as arrays.

    Args:
        epoch: Epochs that the member has trained.
        arrays: Those of the state; others beside them are passed over.
        prepared: What the engine prepared the member with: the program in which it goes on.

    Raises:
        RunFolderError: The member was in a program and would be in none.
    """
    if "again" in arrays:
        return Again()
    if "history" not in arrays:
        return None
    if not isinstance(prepared, Paused):
        raise RunFolderError(
            "Members go on with the engine that began them",
            "what was fused would now be trained by plain `fit`",
            "Another version of Unitune or of Keras made this run; start a new one.",
        )
    return replace(
        prepared,
        epoch=epoch,
        part={name[5:]: value for name, value in arrays.items() if name.startswith("part/")},
        history=tuple(arrays["history"]),
        rates=tuple(arrays["rates"]),
        elapsed_s=float(arrays["elapsed_s"]),
    )
