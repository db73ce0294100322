"""The knee: from some width on, more units do not give a better score by more than matters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.isolation import Best, is_number, isolate
from unitune.diagnosis.rule import show
from unitune.records import Finding


@dataclass(frozen=True, kw_only=True)
class Knee:
    """The smallest width that is wide enough, those beyond it, and by how much the best of these may be better."""

    name: str
    width: Best
    wider: tuple[Best, ...]
    narrower: tuple[Best, ...]
    at_most: float


def knees(evidence: Evidence) -> list[Knee]:
    """For each hyperparameter of width its knee, where at least two wider values are no better."""
    found = []
    for name in evidence.varying("units"):
        rows = isolate(evidence, name)
        if len(rows) < t.KNEE_WIDTHS or not all(is_number(row.value) for row in rows):
            continue
        chosen = [one.configuration.get(name) for one in evidence.trials if one.number == evidence.recommended]
        for index, row in enumerate(rows[:-2]):
            if any(is_number(width) and row.value < width for width in chosen):  # it is not called too wide
                continue
            wider = [position for other in rows[index + 1 :] for position in other.members]
            gain = evidence.gain(wider, row.members)
            if gain is not None and evidence.is_no_better(wider, row.members):
                found.append(
                    Knee(
                        name=name,
                        width=row,
                        wider=tuple(rows[index + 1 :]),
                        narrower=tuple(rows[:index]),
                        at_most=float(np.quantile(gain, t.SURE)),
                    )
                )
                break
    return found


def find(evidence: Evidence) -> list[Finding]:
    """A finding for each knee."""
    findings = []
    for knee in knees(evidence):
        trial = evidence.trials[knee.width.position]
        members = [evidence.trials[place] for place in knee.wider[-1].members]
        widest = max(members, key=lambda one: (one.configuration[knee.name], one.n_parameters))
        most = show(widest.configuration[knee.name])
        saved = widest.n_parameters / max(trial.n_parameters, 1)
        smallest = not knee.narrower
        findings.append(
            Finding(
                kind="plateaued_capacity",
                severity="info",
                title=(
                    f"More than {show(knee.width.value)} {knee.name} do not help: up to {most}, with 95 % no width is "
                    f"better by more than {show(max(knee.at_most, 0.0))}"
                ),
                trials=(trial.number, *(evidence.trials[row.position].number for row in knee.wider)),
                evidence={
                    "knee": knee.width.value,
                    "score_at_knee": float(evidence.mean[knee.width.position]),
                    "better_at_most": knee.at_most,
                    "tolerance": evidence.tolerance,
                    "parameters_of_widest_over_knee": saved,
                },
                advice=(
                    f"{knee.name}={show(knee.width.value)} is wide enough, with {saved:.1f} times fewer parameters "
                    f"than the widest{f'; try fewer: `units=[{_fewer(knee.width.value)}]`.' if smallest else '.'}"
                ),
            )
        )
    return findings


def _fewer(width: float) -> str:
    return ", ".join(str(v) for v in sorted({max(1, int(width) // 4), max(1, int(width) // 2)}))
