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
    """A value, or the middle of a stretch of a range, the position of its best trial, and those of all its trials."""

    value: Any
    position: int
    members: tuple[int, ...]


def isolate(evidence: Evidence, name: str) -> list[Best]:
    """The best trial of each value, numbers upwards; a range without steps is cut into four stretches."""
    by_value: dict[str, list[int]] = {}
    values = evidence.values_of(name)
    for position, trial in enumerate(evidence.trials):
        if name in trial.configuration:
            by_value.setdefault(str(evidence.space.label(name, trial.configuration[name])), []).append(position)
    rows: list[tuple[Any, list[int]]] = [(v, by_value[str(evidence.space.label(name, v))]) for v in values]
    domain = evidence.space[name].domain
    if isinstance(domain, Int | Float) and len(rows) > 1 / t.EDGE_QUARTER * 2 and _numeric(values):
        size = len(rows) * t.EDGE_QUARTER
        parts: list[list[tuple[Any, list[int]]]] = [[] for _ in range(round(1 / t.EDGE_QUARTER))]
        for index, row in enumerate(rows):
            parts[min(len(parts) - 1, int(index / size))].append(row)
        rows = [(part[len(part) // 2][0], [p for _, positions in part for p in positions]) for part in parts]
    found = []
    for value, positions in rows:
        best = evidence.best_of(positions)
        if best is not None:
            found.append(Best(value=value, position=best, members=tuple(positions)))
    return found


def _numeric(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def is_number(value: Any) -> bool:
    """Whether a value has neighbours: an int or a float, not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
