"""Configurations that the user gives: completed, checked, and proposed before all others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unitune.errors import SpaceError
from unitune.records import Configuration, Trial
from unitune.search.base import Change, Strategy
from unitune.space import Space
from unitune.space.domains import Domain, same


def value_in(space: Space, name: str, given: Any) -> Any:
    """The value of a hyperparameter that was given as such or, as in a run folder, by its label.

    Raises:
        SpaceError: It is not in the domain.
    """
    domain = space[name].domain
    if domain.contains(given):
        return given
    if domain.size != math.inf:
        for value in domain.values():
            if same(space.label(name, value), given):
                return value
    raise SpaceError(f"`{name}` must be in its domain", f"got {given!r}", f"Domain: {domain}.")


def checked(space: Space, given: Mapping[str, Any], *, what: str) -> dict[str, Any]:
    """Some values of a configuration, as the space has them.

    Args:
        space: The space.
        given: Some values.
        what: The argument's name, for errors.

    Raises:
        SpaceError: An unknown hyperparameter, or a value outside of its domain.
    """
    values = {}
    for name, value in given.items():
        if name not in space:
            raise SpaceError(
                f"`{what}` may only name hyperparameters of the space",
                f"got `{name}`",
                f"The space has: {', '.join(space.names)}.",
            )
        try:
            values[name] = value_in(space, name, value)
        except SpaceError as error:
            raise SpaceError(f"`{what}` must lie in the space", f"`{name}` is {value!r}", error.remedy) from None
    return values


def completed(space: Space, given: Mapping[str, Any], *, what: str) -> dict[str, Any]:
    """The configuration with these values; those that are missing are in the middle of their domain, or the first.

    Args:
        space: The space.
        given: Values, or their labels, by the names of hyperparameters; as few as you like.
        what: What they are called in an error: the argument's name.

    Raises:
        SpaceError: As `checked`.

    Example:
        >>> from unitune.space import Choice, Hyperparameter, Int
        >>> activation = Hyperparameter("activation", Choice(("relu", "tanh")))
        >>> space = Space([Hyperparameter("units", Int(16, 64)), activation])
        >>> completed(space, {"activation": "tanh"}, what="enqueue")
        {'units': 40, 'activation': 'tanh'}
    """
    return space.active({name: start(space[name].domain) for name in space.names} | checked(space, given, what=what))


def start(domain: Domain) -> Any:
    """The middle of an ordered domain, the first of other choices."""
    if domain.edges() is None:
        return domain.values()[0]
    return domain.from_unit(0.5 - 1e-9)


class Enqueued(Strategy):
    """Proposes some configurations first, and then what another strategy does; none twice.

    Args:
        strategy: What comes after.
        space: The space.
        first: The configurations, complete.
        notes: Sentences for the user, before those of the strategy.
    """

    name = "enqueued"

    def __init__(
        self, strategy: Strategy, space: Space, first: Sequence[Configuration] = (), notes: Sequence[str] = ()
    ) -> None:
        self.strategy = strategy
        self.name = strategy.name  # type: ignore[misc]
        self.learns = strategy.learns  # type: ignore[misc]
        self.asks_ahead = strategy.asks_ahead  # type: ignore[misc]
        self.any_batch = strategy.any_batch  # type: ignore[misc]
        self.notes = (*notes, *strategy.notes)
        self._space = space
        self._first: list[dict[str, Any]] = []
        self._keys: set[Any] = set()
        for one in first:
            if space.key(one) not in self._keys:
                self._keys.add(space.key(one))
                self._first.append(dict(one))
        self._known: dict[Any, Trial] = {}

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """The given configurations, then the strategy's own."""
        self._first = [one for one in self._first if self._space.key(one) not in map(self._space.key, running)]
        asked, self._first = self._first[:n], self._first[n:]
        while len(asked) < n and not self._first:
            more = self.strategy.ask(n - len(asked), running)
            if not more:
                break
            for one in more:
                key = self._space.key(one)
                if key not in self._keys:
                    asked.append(one)
                elif key in self._known:  # finished before the strategy thought of it, which waits for the answer
                    self.strategy.tell([self._known[key]])
        return asked

    def tell(self, finished: Sequence[Trial]) -> None:
        """Hands the trials on."""
        for trial in finished:
            key = self._space.key(trial.configuration)
            if key in self._keys:
                self._known[key] = trial
        self.strategy.tell(finished)

    @property
    def done(self) -> bool:
        """Whether neither has anything left."""
        return not self._first and self.strategy.done

    @property
    def referee(self) -> Strategy:
        """That of the strategy."""
        return self.strategy.referee

    @property
    def changes(self) -> Sequence[Change]:
        """Those of the strategy."""
        return self.strategy.changes

    def width(self, told: int) -> int | None:
        """That of the strategy."""
        return self.strategy.width(told)
