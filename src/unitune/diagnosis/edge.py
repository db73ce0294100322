"""The edge of the space: the best value is the largest or the smallest one that was tried, and truly better than its
neighbour. Nobody knows how far it would have gone on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence, family
from unitune.diagnosis.isolation import Best, is_number, isolate
from unitune.diagnosis.rule import show
from unitune.records import Finding

# What lies beyond these is no value, or means something else than more of the same.
_LOWEST = {"units": 1, "layers": 1, "batch_size": 4, "epochs": 1, "dropout": 0.0, "weight_decay": 0.0, "l1": 0.0}
_LOWEST |= {"l2": 0.0, "learning_rate": 1e-7}
_HIGHEST = {"layers": 8, "dropout": 0.8, "learning_rate": 10.0}
_FACTORS = ("units", "learning_rate", "weight_decay", "l1", "l2", "batch_size", "epochs")


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A hyperparameter whose best value is at an edge, and the values to try beyond it."""

    name: str
    value: float
    neighbour: float
    upwards: bool
    position: int
    gain: float
    at_least: float
    beyond: tuple[float, ...]


def edges(evidence: Evidence) -> list[Edge]:
    """Every ordered hyperparameter whose best value is at an edge that is worth widening."""
    found: list[Edge] = []
    for name in evidence.varying():
        values = evidence.values_of(name)
        if len(values) < 2 or not all(is_number(value) for value in values):
            continue
        rows = isolate(evidence, name)
        if len(rows) < 2:
            continue
        likeliest = _likeliest(evidence, rows)
        if likeliest not in (0, len(rows) - 1):
            continue
        upwards = likeliest != 0
        edge, inner = (rows[-1], rows[-2]) if upwards else (rows[0], rows[1])
        own = values[-1] if upwards else values[0]
        beyond = _beyond(name, own, values[-2] if upwards else values[1], upwards)
        gain = evidence.gain(edge.members, inner.members)
        if not beyond or gain is None or not evidence.is_better(edge.members, inner.members):
            continue
        found.append(
            Edge(
                name=name,
                value=own,
                neighbour=inner.value,
                upwards=upwards,
                position=edge.position,
                gain=float(np.median(gain)),
                at_least=float(np.quantile(gain, 1 - t.SURE)),
                beyond=beyond,
            )
        )
    return found


def _likeliest(evidence: Evidence, rows: list[Best]) -> int | None:
    """Which value most likely has the truly best trial; None where nothing is known."""
    known = [(place, best) for place, row in enumerate(rows) if (best := evidence.best_true(row.members)) is not None]
    if len(known) < len(rows):
        return None
    winners = np.stack([best for _, best in known]).argmax(axis=0)
    return int(np.bincount(winners, minlength=len(rows)).argmax())


def _beyond(name: str, value: float, inner: float, upwards: bool) -> tuple[float, ...]:
    """Two more values at the pace of the last two, in factors for what acts by its order of magnitude."""
    kind = family(name)
    lowest, highest = _LOWEST.get(kind, -math.inf), _HIGHEST.get(kind, math.inf)
    if kind in _FACTORS and value > 0 and inner > 0:
        # A layer of ten times the units costs up to a hundred times as much.
        most = 10.0 if kind not in ("units", "batch_size", "epochs") else 2.0
        factor = min(max(value / inner if upwards else inner / value, 2.0), most)
        steps = [value * factor**k if upwards else value / factor**k for k in (1, 2)]
    else:
        step = abs(value - inner)
        steps = [value + step * k if upwards else value - step * k for k in (1, 2)]
    whole = isinstance(value, int)
    rounded = [round(step) if whole else float(f"{step:.3g}") for step in steps]
    kept = [step for step in dict.fromkeys(rounded) if lowest <= step <= highest and step != value]
    if kind not in _FACTORS and kind not in _LOWEST:
        return ()  # An unknown number may have no values beyond.
    return tuple(sorted(kept))


def find(evidence: Evidence) -> list[Finding]:
    """A finding for each edge."""
    findings = []
    for edge in edges(evidence):
        values = ", ".join(show(value) if isinstance(value, float) else str(value) for value in edge.beyond)
        side = "largest" if edge.upwards else "smallest"
        known = f" by {show(edge.gain)} (with 95 % by {show(edge.at_least)} or more)"
        findings.append(
            Finding(
                kind="edge_of_space",
                severity="advice",
                title=(
                    f"The best {edge.name} is the {side} that was tried ({show(edge.value)}), and beats "
                    f"{show(edge.neighbour)}{known}"
                ),
                trials=(evidence.trials[edge.position].number,),
                evidence={
                    "hyperparameter": edge.name,
                    "value": edge.value,
                    "neighbour": edge.neighbour,
                    "gain": edge.gain,
                    "at_least": edge.at_least,
                },
                advice=f"Widen the space: also try {edge.name} {values}.",
            )
        )
    return findings
