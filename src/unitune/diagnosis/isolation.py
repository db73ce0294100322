"""The best trial for each value of a hyperparameter, whatever the others are: what an isolation plot shows.

Source: Godbole et al., "Deep Learning Tuning Playbook" (2023), "isolation plots": nuisance hyperparameters are chosen
anew for each value, so that values are compared at their best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.space import Float, Int


@dataclass(frozen=True, kw_only=True)
class Best:
    """A value, the position of its best trial, and those of all its trials; of a stretch of a range the value of its
    best trial."""

    value: Any
    position: int
    members: tuple[int, ...]


def is_cut(evidence: Evidence, name: str) -> bool:
    """Whether so many values of a range were tried that they are compared in stretches."""
    values = evidence.values_of(name)
    ranged = isinstance(evidence.space[name].domain, Int | Float)
    return ranged and len(values) > 2 / t.EDGE_QUARTER and all(map(is_number, values))


def isolate(evidence: Evidence, name: str) -> list[Best]:
    """The best trial of each value, numbers upwards; a range without steps is cut into four stretches."""
    by_value: dict[str, list[int]] = {}
    values = evidence.values_of(name)
    for position, trial in enumerate(evidence.trials):
        if name in trial.configuration:
            by_value.setdefault(str(evidence.space.label(name, trial.configuration[name])), []).append(position)
    rows: list[tuple[Any, list[int]]] = [(v, by_value[str(evidence.space.label(name, v))]) for v in values]
    if is_cut(evidence, name):
        size = len(rows) * t.EDGE_QUARTER
        parts: list[list[tuple[Any, list[int]]]] = [[] for _ in range(round(1 / t.EDGE_QUARTER))]
        for index, row in enumerate(rows):
            parts[min(len(parts) - 1, int(index / size))].append(row)
        rows = [(None, [p for _, positions in part for p in positions]) for part in parts]
    found = []
    for value, positions in rows:
        best = evidence.best_of(positions)
        if best is not None:
            value = evidence.trials[best].configuration[name] if value is None and is_cut(evidence, name) else value
            found.append(Best(value=value, position=best, members=tuple(positions)))
    return found


def is_number(value: Any) -> bool:
    """Whether a value has neighbours: an int or a float, not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
