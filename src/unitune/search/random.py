"""Configurations drawn at random, none twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unitune.records import Configuration, Trial
from unitune.search.base import Strategy
from unitune.search.unseen import Unseen, draw
from unitune.space import Space


class Random(Strategy):
    """Random search without duplicates; an exhausted finite space stops.

    The first configurations do not depend on how many are asked for at once.

    Source: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012).
    """

    name = "random"

    def __init__(self, space: Space, *, seed: int) -> None:
        self._space = space
        self._generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, 3))))
        self._unseen = Unseen(space, seed=seed)

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """`n` new configurations, or what is left."""
        self._unseen.note(running)
        return self._unseen.draw(n, lambda: draw(self._space, self._generator))

    def tell(self, finished: Sequence[Trial]) -> None:
        """Notes what need not be proposed any more."""
        self._unseen.note([trial.configuration for trial in finished])

    @property
    def done(self) -> bool:
        """Whether every configuration of a finite space was drawn."""
        return self._unseen.done
