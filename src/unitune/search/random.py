"""Configurations drawn at random, none twice."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitune.search.base import Strategy, is_active
from unitune.search.grid import enumerate_space
from unitune.space import Space

MAX_REPEATED_DRAWS = 200


def draw(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """One configuration: each active hyperparameter drawn from its own domain, evenly (or evenly in the logarithm)."""
    values: dict[str, Any] = {}
    for name in space.names:
        hyperparameter = space[name]
        if is_active(hyperparameter, values):
            values[name] = hyperparameter.domain.from_unit(float(generator.random()))
    return values


class Random(Strategy):
    """Random search without duplicates; an exhausted finite space stops.

    The first configurations do not depend on how many are asked for at once.

    Source: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012).
    """

    name = "random"

    def __init__(self, space: Space, *, seed: int) -> None:
        self._space = space
        self._generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, 3))))
        self._seen: set[Any] = set()
        self._left: list[dict[str, Any]] | None = None

    def ask(self, n: int) -> list[dict[str, Any]]:
        """`n` new configurations, or what is left."""
        asked: list[dict[str, Any]] = []
        while len(asked) < n and not self.done:
            configuration = self._draw_new()
            self._seen.add(self._space.key(configuration))
            asked.append(configuration)
        return asked

    @property
    def done(self) -> bool:
        """Whether every configuration of a finite space was drawn."""
        return len(self._seen) >= self._space.size

    def _draw_new(self) -> dict[str, Any]:
        if self._left is None:
            for _ in range(MAX_REPEATED_DRAWS):
                configuration = draw(self._space, self._generator)
                if self._space.key(configuration) not in self._seen:
                    return configuration
            # Nearly exhausted: drawing blindly would take ever longer, so the few that are left are listed.
            left = [one for one in enumerate_space(self._space) if self._space.key(one) not in self._seen]
            self._left = [left[position] for position in self._generator.permutation(len(left))]
        return self._left.pop()
