"""Racing: trials that fall behind on the first folds are not trained on the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unitune.records import Configuration, Trial
from unitune.search.base import Goal, Strategy
from unitune.search.grid import Grid
from unitune.search.qmc import Qmc
from unitune.space import Space

FIRST_BLOCK = 2


class Judging(Strategy):
    """Proposes a grid or a sequence, and judges on the way which of its trials are trained to their end.

    Args:
        space: The space.
        goal: The objective.
        seed: Of the Sobol sequence that proposes.
        trials: The budget; a space that fits into it is enumerated.
    """

    def __init__(self, space: Space, *, goal: Goal, seed: int, trials: int | None = None) -> None:
        self._proposer: Strategy = Grid(space) if fits(space, trials) else Qmc(space, seed=seed)

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """The next `n` of the grid or the sequence."""
        return self._proposer.ask(n, running)

    def tell(self, finished: Sequence[Trial]) -> None:
        """Notes what need not be proposed any more."""
        self._proposer.tell(finished)

    @property
    def done(self) -> bool:
        """Whether nothing more will be proposed."""
        return self._proposer.done


class Racing(Judging):
    """Proposes a grid, or points of a Sobol sequence, and drops trials as soon as a test says that they are worse.

    Folds are trained one after another, the first two together. After each, a paired test
    (`unitune.stats.tied_by_rows`) compares every trial with the best so far, on the rows that both have predicted. What
    it shows to be worse is dropped. The level of 5 % is divided among the looks.

    Source: Birattari et al., "A Racing Algorithm for Configuring Metaheuristics", GECCO 2002.
    """

    name = "racing"

    @staticmethod
    def blocks(n_members: int) -> list[range]:
        """The places of a trial's members that are trained together, one block after another.

        Example:
            >>> Racing.blocks(5)
            [range(0, 2), range(2, 3), range(3, 4), range(4, 5)]
        """
        first = min(FIRST_BLOCK, n_members)
        return [range(first), *(range(place, place + 1) for place in range(first, n_members))]


def fits(space: Space, trials: int | None) -> bool:
    """Whether a space can be enumerated within a budget: a thousand trials where there is none."""
    return space.size <= (1_000 if trials is None else trials)
