"""Every configuration of a finite space: in order, the last hyperparameter varying fastest, or spread evenly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unitune.errors import OptionError
from unitune.records import Configuration, Trial
from unitune.search.base import Strategy, is_active
from unitune.space import Space

SPREAD_LIMIT = 5_000


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


def spread(configurations: Sequence[Configuration], seed: int) -> list[int]:
    """An order in which every first part holds each value, and each pair of values, about equally often.

    The next one is the one that shares the least with those before it; of equals, one at random.

    Returns:
        The places of the configurations, in that order.

    Example:
        >>> four = [{"units": units, "activation": name} for units in (8, 16) for name in ("relu", "tanh")]
        >>> sorted(spread(four, seed=0)[:2]) in ([0, 3], [1, 2])
        True
    """
    names = sorted({name for one in configurations for name in one})
    codes = np.empty((len(configurations), len(names)), int)
    for column, name in enumerate(names):
        values: dict[str, int] = {}
        codes[:, column] = [values.setdefault(repr(one.get(name)), len(values)) for one in configurations]
    shared = np.random.default_rng(seed).random(len(configurations))
    order = []
    for _ in configurations:
        chosen = int(np.argmin(shared))
        order.append(chosen)
        equal = (codes == codes[chosen]).sum(axis=1)
        shared += equal * (equal + 1) / 2  # the values, and the pairs of them
        shared[chosen] = np.inf
    return order


class Grid(Strategy):
    """Enumerates a finite space; inactive hyperparameters are no part of a configuration, and none comes twice.

    Args:
        space: The space.
        spread_seed: Of the order in which a search that may be cut short visits the space, so that what it has seen is
            a fair sample; None for the order of the space, which is also that of spaces of more than 5,000.

    Raises:
        OptionError: A hyperparameter has infinitely many values.
    """

    name = "grid"

    def __init__(self, space: Space, *, spread_seed: int | None = None) -> None:
        endless = [name for name in space.names if space[name].domain.size == float("inf")]
        if endless:
            raise OptionError(
                '`strategy="grid"` needs a finite space',
                f"`{endless[0]}` is a continuous range",
                'Give a list of values or a step, or use `strategy="random"`.',
            )
        self._space = space
        self._remaining = enumerate_space(space)
        if spread_seed is not None and space.size <= SPREAD_LIMIT:
            every = list(self._remaining)
            self._remaining = iter([every[place] for place in spread(every, spread_seed)])
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
