"""`warm_start=RUN`: what an earlier run knows, as far as its data and its space fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unitune.errors import SpaceError
from unitune.records import Configuration, Trial
from unitune.result import Result, load
from unitune.search import value_in
from unitune.space import Space
from unitune.tuner.problem import Problem


def warm_trials(earlier: Result | str | Path, problem: Problem, space: Space) -> tuple[tuple[Trial, ...], str]:
    """The trials of an earlier run that a strategy may learn from, best first, and a sentence for the user.

    They must have been scored on the same rows in the objective, and lie in the space; failed ones count too.

    Raises:
        RunFolderError: There is no run to load.
    """
    result = earlier if isinstance(earlier, Result) else load(earlier)
    where = f"`{result.folder}`" if result.folder is not None else "the earlier run"
    if result.run.data.get("fingerprint") != problem.dataset.fingerprint:
        return (), f"Nothing was taken from {where}: its rows are not these."
    if problem.objective not in result.run.metrics:
        return (), f"Nothing was taken from {where}: it has no {problem.objective}."
    taken = []
    for trial in result.run.ranked(result.trials):
        configuration = _in_space(space, trial.configuration)
        if configuration is not None and trial.state != "stopped":
            taken.append(_with(trial, configuration))
    total = len(result.trials)
    if not taken:
        return (), f"Nothing was taken from {where}: none of its {total:,} trials lies in this space."
    rest = f"; {total - len(taken):,} lie outside of this space" if len(taken) < total else ""
    best = "; the best of them is trained again" if taken[0].state == "complete" else ""
    return tuple(taken), f"{len(taken):,} of the {total:,} trials of {where} are known to the strategy{rest}{best}."


def _in_space(space: Space, configuration: Configuration) -> dict[str, Any] | None:
    """The configuration with values of this space; None where it is not of it."""
    try:
        values = {name: value_in(space, name, value) for name, value in configuration.items()}
        space.validate(values)
    except SpaceError:
        return None
    return values


def _with(trial: Trial, configuration: Configuration) -> Trial:
    from dataclasses import replace

    return replace(trial, configuration=configuration)
