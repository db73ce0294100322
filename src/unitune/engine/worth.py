"""Whether a program is worth compiling: what that takes, against what plain `fit` would take for its members.

Both are estimates from what is to be trained, never times that were measured, so that the same search is trained in
the same way. Of a search that asks for a few networks at a time nobody knows how many more will come. So what `fit`
has taken counts: once that would have paid for compiling, it is compiled, as one who rents buys once the rent has
reached the price. Such a search costs at most twice what the better way would have cost, known from the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from unitune.engine.contract import Job
from unitune.engine.graph import Reading
from unitune.engine.lift.base import Key
from unitune.engine.program_key import ProgramKey

if TYPE_CHECKING:
    from unitune.engine.program_key import Tile

NOT_WORTH_COMPILING = "`fit` of so few networks takes less time than compiling a program for them"
"""The reason for plain `fit` where a program could train the members, too."""


class Ledger:
    """Which programs of an engine's plans are compiled; what was decided of a job stays decided."""

    def __init__(self) -> None:
        self._saved: dict[Key, float] = defaultdict(float)
        self._bought: set[ProgramKey] = set()
        self._decided: WeakKeyDictionary[Job, bool] = WeakKeyDictionary()

    def by_fit(
        self,
        tiles: Sequence[Tile],
        jobs: Sequence[Job],
        readings: Sequence[Reading],
        fit_s: Callable[[int], float],
        price_s: Callable[[ProgramKey, Sequence[int]], float],
    ) -> set[int]:
        """The numbers of the jobs that plain `fit` trains sooner; a program's members are trained in one way.

        Args:
            tiles: How programs would train them.
            jobs, readings: Of all members.
            fit_s: What plain `fit` takes for a job, in core seconds.
            price_s: What a program takes before it trains these jobs: less, where it is compiled already.
        """
        members: dict[ProgramKey, list[int]] = defaultdict(list)
        run_s: dict[ProgramKey, float] = defaultdict(float)
        for tile in tiles:
            members[tile.key] += [i for i in tile.slots.tolist() if i >= 0]
            run_s[tile.key] += tile.expected_s
        for key, own in members.items():
            new = [i for i in own if jobs[i] not in self._decided]
            if new:
                price = 0.0 if key in self._bought else price_s(key, own)
                pays = self._pays(readings[own[0]].group, sum(map(fit_s, own)) - run_s[key], price)
                if pays:
                    self._bought.add(key)
                self._decided.update((jobs[i], pays) for i in new)
        return {i for own in members.values() for i in own if not self._decided[jobs[i]]}

    def _pays(self, group: Key, gain_s: float, price: float) -> bool:
        """Whether a program pays for members of a group that it trains so much sooner than `fit`, once compiled."""
        self._saved[group] += max(0.0, gain_s)
        if gain_s < 0.0 or self._saved[group] < price:
            return False
        self._saved[group] -= price
        return True
