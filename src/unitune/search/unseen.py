"""No configuration twice: what was proposed, what is left of a small space, and draws at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from unitune.search.base import is_active
from unitune.search.grid import enumerate_space
from unitune.space import Space

MAX_REPEATED_DRAWS = 200
MOST_LISTED = 200_000


def draw(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """One configuration: each active hyperparameter drawn from its own domain, evenly (or evenly in the logarithm)."""
    values: dict[str, Any] = {}
    for name in space.names:
        hyperparameter = space[name]
        if is_active(hyperparameter, values):
            values[name] = hyperparameter.domain.from_unit(float(generator.random()))
    return values


class Unseen:
    """Remembers what was proposed, and draws what was not.

    Args:
        space: The space.
        seed: Of the order in which the last configurations of a small space come.
        attempts: Proposals that give nothing new before one is drawn from what is left.
    """

    def __init__(self, space: Space, *, seed: int, attempts: int = MAX_REPEATED_DRAWS) -> None:
        self._space = space
        self._size = space.size
        self._attempts = attempts
        self._generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, 6))))
        self._seen: set[Any] = set()
        self._left: list[dict[str, Any]] | None = None

    def __contains__(self, configuration: Mapping[str, Any]) -> bool:
        return self._space.key(configuration) in self._seen

    @property
    def done(self) -> bool:
        """Whether every configuration was proposed."""
        return len(self._seen) >= self._size

    def note(self, configurations: Iterable[Mapping[str, Any]]) -> None:
        """These were proposed, here or elsewhere."""
        self._seen.update(self._space.key(one) for one in configurations)

    def draw(self, n: int, propose: Callable[[], dict[str, Any] | None]) -> list[dict[str, Any]]:
        """At most `n` new configurations.

        Args:
            n: How many.
            propose: Gives a configuration that may be known already, or None where it has no more.
        """
        drawn: list[dict[str, Any]] = []
        while len(drawn) < n and not self.done:
            one = self._one(propose)
            if one is None:
                break
            self.note([one])
            drawn.append(one)
        return drawn

    def _one(self, propose: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        if self._left is None:
            for _ in range(self._attempts):
                one = propose()
                if one is None:
                    break
                if one not in self:
                    return one
        if self._size > MOST_LISTED:
            return self._drawn()
        return self._listed()

    def _drawn(self) -> dict[str, Any] | None:
        for _ in range(MAX_REPEATED_DRAWS):
            one = draw(self._space, self._generator)
            if one not in self:
                return one
        return None

    def _listed(self) -> dict[str, Any] | None:
        """One of the configurations that are left, in a random order.

        Drawing blindly in a space that is nearly exhausted would take ever longer, so those that are left are listed.
        """
        if self._left is None:
            left = [one for one in enumerate_space(self._space) if one not in self]
            self._left = [left[place] for place in self._generator.permutation(len(left))]
        while self._left:
            one = self._left.pop()
            if one not in self:
                return one
        return None
