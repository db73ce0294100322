"""Strategies by name, and which one suits a space and a budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unitune.errors import OptionError, suggest
from unitune.records import Configuration, Trial
from unitune.search.base import Goal, Strategy
from unitune.search.given import Enqueued, completed
from unitune.search.grid import Grid
from unitune.search.halving import Halving, Hyperband
from unitune.search.one_at_a_time import OneAtATime
from unitune.search.qmc import Qmc
from unitune.search.racing import Racing, fits
from unitune.search.random import Random
from unitune.space import Space

STRATEGIES = (
    "auto",
    "grid",
    "random",
    "qmc",
    "tpe",
    "gp",
    "cmaes",
    "nsga2",
    "nsga3",
    "racing",
    "halving",
    "hyperband",
    "one-at-a-time",
)

GRID_LIMIT = 1_000
ENDLESS_TRIALS = 100
LEARNS_FROM = 200
"""From this budget on `"auto"` learns: below it, batches that are wide enough to be quick leave too few rounds."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the user gives a strategy beside the space.

    Attributes:
        baseline: Values to start from, the first configuration.
        enqueue: Configurations that come first, or parts of them.
        warm: Trials of an earlier run, with configurations of this space, best first.
        notes: Sentences for the user.
    """

    baseline: Mapping[str, Any] | None = None
    enqueue: Sequence[Configuration] = ()
    warm: Sequence[Trial] = ()
    notes: tuple[str, ...] = field(default=())


def make_strategy(
    strategy: str | Strategy,
    space: Space,
    *,
    goal: Goal,
    seed: int,
    trials: int | None = None,
    ends: bool = False,
    given: Given | None = None,
) -> tuple[Strategy, int | None]:
    """The strategy of that name, and how many trials it is limited to (None: until it is done).

    Strategies that go on for ever stop after 100 trials where nothing else ends the search. The best of an earlier
    run's trials is proposed again, so that the result has it; the others are only told.

    Args:
        strategy: A name, or a strategy of the user's own.
        space: The space.
        goal: The objectives.
        seed: Of what is drawn at random.
        trials: The limit that the user gave.
        ends: Whether another limit ends the search: time, networks or epochs.
        given: What comes first.

    Raises:
        OptionError: An unknown name, or options that do not go together.
        SpaceError: A configuration that is not of the space.
    """
    given = given or Given()
    notes = list(given.notes)
    if isinstance(strategy, Strategy):
        inner, limit = strategy, trials
    else:
        key = strategy.replace("_", "-").lower() if isinstance(strategy, str) else strategy
        if key not in STRATEGIES:
            raise OptionError(
                "`strategy` must be a known name", f"got {strategy!r}", suggest(str(strategy), STRATEGIES)
            )
        if key == "auto":
            key, reason = choose(space, goal, trials, ends=ends)
            notes.append(f"Strategy: {key}, because {reason}.")
        inner = _made(key, space, goal=goal, seed=seed, trials=trials, ends=ends, baseline=given.baseline)
        limit = trials
        if limit is None and not ends and not _ends(key, space):
            limit = ENDLESS_TRIALS
    first = [completed(space, one, what="enqueue") for one in given.enqueue]
    if given.baseline is not None and not isinstance(inner, OneAtATime):
        first.insert(0, completed(space, given.baseline, what="baseline"))
    if given.warm:
        first.append(dict(given.warm[0].configuration))
        inner.tell(given.warm)
    if first or notes:
        return Enqueued(inner, space, first, notes), limit
    return inner, limit


def choose(space: Space, goal: Goal, trials: int | None, *, ends: bool = False) -> tuple[str, str]:
    """What `"auto"` stands for, and why, as a clause.

    Example:
        >>> from unitune.space import Choice, Hyperparameter
        >>> choose(Space([Hyperparameter("units", Choice([8, 16]))]), Goal(metric="auc", direction="maximize"), None)
        ('grid', 'the space has only 2 configurations')
    """
    if space.size <= (trials if trials is not None else GRID_LIMIT):
        n = int(space.size)
        return "grid", f"the space has only {n:,} configuration{'s' if n != 1 else ''}"
    size = "endlessly many" if space.size == math.inf else f"{space.size:,.0f}"
    budget: float = ENDLESS_TRIALS if trials is None else trials
    if goal.more:
        n = len(goal.objectives)
        return ("nsga2" if n < 4 else "nsga3"), f"there are {n} objectives and {size} configurations"
    if trials is None and ends:
        return "tpe", f"it learns which of {size} configurations are good for as long as the budget lasts"
    if budget < LEARNS_FROM:
        few = f"{budget:,} trial{'s' if budget != 1 else ''}"
        return "qmc", f"of {size} configurations {few} can be trained, which are best spread evenly"
    return "tpe", f"of {size} configurations {budget:,} can be trained, enough to learn where the good ones are"


def _ends(key: str, space: Space) -> bool:
    """Whether a strategy comes to an end by itself, and soon enough."""
    return key in ("grid", "one-at-a-time") or (key in ("racing", "halving", "hyperband") and fits(space, None))


def _made(
    key: str,
    space: Space,
    *,
    goal: Goal,
    seed: int,
    trials: int | None,
    ends: bool,
    baseline: Mapping[str, Any] | None,
) -> Strategy:
    if key == "grid":
        return Grid(space, spread_seed=seed if ends else None)
    if key == "random":
        return Random(space, seed=seed)
    if key == "qmc":
        return Qmc(space, seed=seed)
    if key == "one-at-a-time":
        return OneAtATime(space, goal=goal, baseline=baseline)
    if key == "tpe":
        from unitune.search.tpe import Tpe

        return Tpe(space, goal=goal, seed=seed)
    if key == "gp":
        from unitune.search.gp import Gp

        return Gp(space, goal=goal, seed=seed)
    if key == "cmaes":
        from unitune.search.cmaes import CmaEs

        return CmaEs(space, goal=goal, seed=seed)
    if key in ("racing", "halving", "hyperband"):
        if goal.more:
            raise OptionError(
                f'`strategy="{key}"` takes one objective',
                f"got {', '.join(name for name, _ in goal.objectives)}",
                "Use `nsga2`, `nsga3` or `tpe`.",
            )
        staged: dict[str, type[Racing] | type[Halving]] = {
            "racing": Racing,
            "halving": Halving,
            "hyperband": Hyperband,
        }
        return staged[key](space, goal=goal, seed=seed, trials=trials)
    from unitune.search.nsga import Nsga2, Nsga3

    return (Nsga2 if key == "nsga2" else Nsga3)(space, goal=goal, seed=seed, trials=trials)
