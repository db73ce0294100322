"""Which values a function of `hp` is built with, before a search, to find the hyperparameters under all conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from unitune.space.hyperparameters import HyperParameters
from unitune.space.hyperparameters.conditions import Parent

MOST_SCOPES = 100


def each_scope(first: HyperParameters, known: Callable[[], HyperParameters]) -> Iterator[HyperParameters]:
    """Values under which each `conditional_scope` that was met is entered once, in the order in which they were met.

    The caller builds with what it is given, and adds what was asked for to what is known, before it asks for the next.

    Args:
        first: What the function was built with already: its defaults.
        known: A copy of all that was asked for so far.
    """
    seen: list[list[Parent]] = []
    waiting: list[list[Parent]] = []
    hp = first
    for _ in range(MOST_SCOPES):
        seen += [scope for scope in hp.active_scopes if scope not in seen]
        waiting += [scope for scope in hp.inactive_scopes if scope not in waiting]
        waiting = [scope for scope in waiting if scope not in seen]
        if not waiting:
            return
        # It may never hold; it is tried once.
        scope = waiting.pop(0)
        seen.append(scope)
        hp = known()
        for condition in scope:
            hp.values[condition.name] = condition.values[0]
        hp.ensure_active_values()
        yield hp
