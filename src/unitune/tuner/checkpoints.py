"""Where the trials of a halving batch stand, in the form in which a store keeps it.

After each round it is noted which trials reached a rung, and with which score: what is decided later follows from that.
Beside it stands each member that is not finished: what it has done, and the state from which it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.engine.contract import Arrays, MemberState
from unitune.engine.paused import state_of
from unitune.store import MemberBlock
from unitune.store.blocks import block_as_arrays, block_from_arrays
from unitune.store.members import Key

Round = dict[int, float]
"""From the trials that reached their next rung together to their scores."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A member between two rungs.

    Attributes:
        epoch: The rung that it has reached, in epochs.
        block: What it has done so far: a block of this member alone.
        state: What it needs to go on; None where it is done.
    """

    epoch: int
    block: MemberBlock
    state: MemberState | None

    def arrays(self) -> Arrays:
        """As arrays, and lists of arrays, by name."""
        found: Arrays = {f"block/{name}": array for name, array in block_as_arrays(self.block).items()}
        if self.state is not None:
            found |= self.state.arrays()
        return found


def checkpoint_of(epoch: int, arrays: Mapping[str, Any], prepared: MemberState | None) -> Checkpoint:
    """The checkpoint that was taken apart.

    Args:
        epoch, arrays: Of the checkpoint.
        prepared: What the engine prepared the member with: the program in which it goes on.

    Raises:
        RunFolderError: The member was in a program and would be in none.
    """
    block = block_from_arrays({name[6:]: value for name, value in arrays.items() if name.startswith("block/")})
    return Checkpoint(epoch=epoch, block=block, state=state_of(epoch, arrays, prepared))


def log_key(first: int) -> Key:
    """Where the rounds of a batch are kept, by its first trial: at the place of no member."""
    return first, -1, -1


def log_arrays(rounds: Sequence[Round]) -> Arrays:
    """The rounds of a batch as arrays."""
    rows = [(place, number, score) for place, one in enumerate(rounds) for number, score in one.items()]
    return {
        "round": np.array([row[0] for row in rows], np.int64),
        "trial": np.array([row[1] for row in rows], np.int64),
        "score": np.array([row[2] for row in rows], np.float64),
    }


def rounds_of(arrays: Mapping[str, Any]) -> list[Round]:
    """The rounds that `log_arrays` took apart."""
    rounds: list[Round] = []
    for place, number, score in zip(*(arrays[name].tolist() for name in ("round", "trial", "score")), strict=True):
        while len(rounds) <= place:
            rounds.append({})
        rounds[place][number] = score
    return rounds
