"""Strategies by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unitune.errors import OptionError, suggest
from unitune.search.base import Goal, Strategy
from unitune.search.grid import Grid
from unitune.search.one_at_a_time import OneAtATime
from unitune.search.random import Random
from unitune.space import Space

STRATEGIES = ("auto", "grid", "random", "one_at_a_time")

GRID_LIMIT = 1_000
RANDOM_TRIALS = 100


def make_strategy(
    name: str,
    space: Space,
    *,
    goal: Goal,
    seed: int,
    trials: int | None = None,
    baseline: Mapping[str, Any] | None = None,
) -> tuple[Strategy, int | None]:
    """The strategy of that name, and how many trials it is limited to (None: until it is done).

    `"auto"` is `"grid"` where the whole space fits into `trials` (1,000 where no limit was given), otherwise
    `"random"`. Random search without a limit stops after 100 trials.

    Raises:
        OptionError: An unknown name, or options that do not go together.
    """
    key = name.replace("-", "_").lower()
    if key not in STRATEGIES:
        raise OptionError("`strategy` must be a known name", f"got {name!r}", suggest(name, STRATEGIES))
    if baseline is not None and key != "one_at_a_time":
        raise OptionError(
            '`baseline` belongs to `strategy="one_at_a_time"`', f"the strategy is {name!r}", "Leave one of them out."
        )
    if key == "auto":
        key = "grid" if space.size <= (trials if trials is not None else GRID_LIMIT) else "random"
    if key == "grid":
        return Grid(space), trials
    if key == "random":
        return Random(space, seed=seed), trials if trials is not None else RANDOM_TRIALS
    return OneAtATime(space, goal=goal, baseline=baseline), trials
