"""What a search may use, beside trials and time: members, epochs; and the score at which it has enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.errors import OptionError
from unitune.records import Direction, Trial
from unitune.tuner.pose import check_number


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits; None for no limit.

    Attributes:
        members: Networks that may be trained.
        epochs: Epochs that may be trained, over all networks.
        target_score: No further trials are begun once one reaches this mean score in the objective.
    """

    members: int | None = None
    epochs: int | None = None
    target_score: float | None = None

    def trials(self, n_members: int) -> int | None:
        """How many trials of so many members the limit of members allows.

        Raises:
            OptionError: None.
        """
        if self.members is None:
            return None
        if self.members < n_members:
            raise OptionError(
                "`member_limit` must allow one trial", f"got {self.members}, and a trial has {n_members} networks"
            )
        return self.members // n_members

    def n_fitting(self, epochs: Sequence[int], n_members: int, spent: int) -> int:
        """How many trials fit into the epochs that are left, from the first on, if all run to their end.

        Args:
            epochs: Of a member of each trial.
            n_members: Members of a trial.
            spent: Epochs that were trained.

        Raises:
            OptionError: Not even the first trial of the search fits.

        Example:
            >>> Budget(epochs=100).n_fitting([8, 8, 8], n_members=5, spent=10)
            2
        """
        if self.epochs is None:
            return len(epochs)
        fitting = int(np.searchsorted(np.cumsum(epochs) * n_members, self.epochs - spent, side="right"))
        if not fitting and not spent:
            raise OptionError(
                "`epoch_limit` must allow one trial",
                f"got {self.epochs:,}, and a trial has {n_members} × {epochs[0]:,} epochs",
            )
        return fitting

    def is_reached(self, best: Trial | None, metric: str, direction: Direction) -> bool:
        """Whether the best trial is as good as the target."""
        if self.target_score is None or best is None or best.state != "complete":
            return False
        mean = best.scores[metric].mean
        return mean >= self.target_score if direction == "maximize" else mean <= self.target_score


def check_budget(*, member_limit: Any, epoch_limit: Any, target_score: Any) -> Budget:
    """The budget of these arguments.

    Raises:
        OptionError: A number is out of range.
    """
    if member_limit is not None:
        check_number("member_limit", member_limit, low=1, whole=True)
    if epoch_limit is not None:
        check_number("epoch_limit", epoch_limit, low=1, whole=True)
    if target_score is not None:
        check_number("target_score", target_score, low=float("-inf"))
    return Budget(members=member_limit, epochs=epoch_limit, target_score=target_score)
