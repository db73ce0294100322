"""Every configuration of a finite space, in order, the last hyperparameter varying fastest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from unitune.errors import OptionError
from unitune.records import Configuration, Trial
from unitune.search.base import Strategy, is_active
from unitune.space import Space


def enumerate_space(space: Space) -> Iterator[dict[str, Any]]:
    """The active configurations of a finite space, one after another, without holding them all."""
    names = list(space.names)

    def below(position: int, chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if position == len(names):
            yield dict(chosen)
            return
        hyperparameter = space[names[position]]
        if not is_active(hyperparameter, chosen):
            yield from below(position + 1, chosen)
            return
        for value in hyperparameter.domain.values():
            yield from below(position + 1, {**chosen, hyperparameter.name: value})

    return below(0, {})


class Grid(Strategy):
    """Enumerates a finite space; inactive hyperparameters are no part of a configuration, and none comes twice.

    Raises:
        OptionError: A hyperparameter has infinitely many values.
    """

    name = "grid"

    def __init__(self, space: Space) -> None:
        endless = [name for name in space.names if space[name].domain.size == float("inf")]
        if endless:
            raise OptionError(
                '`strategy="grid"` needs a finite space',
                f"`{endless[0]}` is a continuous range",
                'Give a list of values or a step, or use `strategy="random"`.',
            )
        self._space = space
        self._remaining = enumerate_space(space)
        self._next: dict[str, Any] | None = next(self._remaining, None)
        self._seen: set[Any] = set()

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """The next `n` configurations."""
        self._seen.update(self._space.key(one) for one in running)
        asked: list[dict[str, Any]] = []
        while self._next is not None and len(asked) < n:
            key = self._space.key(self._next)
            if key not in self._seen:
                self._seen.add(key)
                asked.append(self._next)
            self._next = next(self._remaining, None)
        return asked

    def tell(self, finished: Sequence[Trial]) -> None:
        """Notes what need not be proposed any more."""
        self._seen.update(self._space.key(trial.configuration) for trial in finished)

    @property
    def done(self) -> bool:
        """Whether the grid is exhausted."""
        while self._next is not None and self._space.key(self._next) in self._seen:
            self._next = next(self._remaining, None)
        return self._next is None


def count_up_to(space: Space, limit: int) -> int:
    """How many configurations a finite space has, counting no further than `limit`."""
    return sum(1 for _ in itertools.islice(enumerate_space(space), limit))
