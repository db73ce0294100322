"""Several objectives: the first ranks the trials, the others make a Pareto front with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unitune.errors import OptionError
from unitune.models.metrics import METRICS, metric
from unitune.options import TuneOptions
from unitune.records import Direction
from unitune.search import COSTS
from unitune.tuner.problem import Problem


def first_of(options: TuneOptions) -> TuneOptions:
    """The options with the first of several objectives as the one that ranks the trials.

    Raises:
        OptionError: They contradict each other, or are no objectives that a search can have.
    """
    objectives, objective = options.objectives, options.objective
    if objectives is None:
        return options
    if isinstance(objectives, str) or len(objectives) < 2 or len(set(objectives)) < len(objectives):
        raise OptionError(
            "`objectives` takes two or more different names", f"got {objectives!r}", "Use `objective` for one."
        )
    if objectives[0] in COSTS:
        raise OptionError("the first of `objectives` must be a metric", f"got {objectives[0]!r}", "Put a metric first.")
    if objective is not None and objective != objectives[0]:
        raise OptionError(
            "`objective` must be the first of `objectives`", f"got {objective!r} and {objectives[0]!r}", "Leave it out."
        )
    return replace(options, objective=objectives[0])


def further_objectives(problem: Problem, objectives: Sequence[str] | None) -> tuple[tuple[str, Direction], ...]:
    """The objectives after the first, with their directions.

    Raises:
        OptionError: One is no metric of the task and no cost.
    """
    further: list[tuple[str, Direction]] = []
    for name in (objectives or ())[1:]:
        if name in COSTS:
            further.append((name, "minimize"))
        else:
            found = metric(name, problem.dataset.task).name
            further.append((found, METRICS[found].direction))
    return tuple(further)
