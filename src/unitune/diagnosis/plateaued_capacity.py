"""The knee: from some width on, more units do not give a better score."""

from __future__ import annotations

import math
from dataclasses import dataclass

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.isolation import Best, is_number, isolate
from unitune.diagnosis.rule import show
from unitune.records import Finding


@dataclass(frozen=True, kw_only=True)
class Knee:
    """The smallest width that is as good as any, those beyond it, and the distance of its best trial to the best."""

    name: str
    width: Best
    wider: tuple[Best, ...]
    narrower: tuple[Best, ...]
    loss: float
    error: float


def knees(evidence: Evidence) -> list[Knee]:
    """For each hyperparameter of width its knee, where at least two wider values are no better."""
    found = []
    for name in evidence.varying("units"):
        rows = isolate(evidence, name)
        if len(rows) < t.KNEE_WIDTHS or not all(is_number(row.value) for row in rows):
            continue
        best = max(rows, key=lambda row: float(evidence.better(evidence.mean[row.position], 0.0)))
        for index, row in enumerate(rows[:-2]):
            loss = float(evidence.better(evidence.mean[best.position], evidence.mean[row.position]))
            error = evidence.standard_error(best.position, row.position)
            # What is not tied with the best is worse, however wide the difference's own error is.
            behind = bool(evidence.tied) and evidence.trials[row.position].number not in evidence.tied
            if not behind and loss <= (0.0 if math.isnan(error) else evidence.critical * error):
                if not math.isnan(error) or loss == 0:
                    found.append(
                        Knee(
                            name=name,
                            width=row,
                            wider=tuple(rows[index + 1 :]),
                            narrower=tuple(rows[:index]),
                            loss=loss,
                            error=error,
                        )
                    )
                break
    return found


def find(evidence: Evidence) -> list[Finding]:
    """A finding for each knee."""
    findings = []
    for knee in knees(evidence):
        trial = evidence.trials[knee.width.position]
        widest = knee.wider[-1]
        saved = evidence.trials[widest.position].n_parameters / max(trial.n_parameters, 1)
        smallest = not knee.narrower
        findings.append(
            Finding(
                kind="plateaued_capacity",
                severity="info",
                title=(
                    f"More than {show(knee.width.value)} {knee.name} are not shown to help: up to "
                    f"{show(widest.value)}, no width is better beyond the noise"
                ),
                trials=(trial.number, *(evidence.trials[row.position].number for row in knee.wider)),
                evidence={
                    "knee": knee.width.value,
                    "score_at_knee": float(evidence.mean[knee.width.position]),
                    "below_best": knee.loss,
                    "standard_error": knee.error,
                    "parameters_of_widest_over_knee": saved,
                },
                advice=(
                    f"{knee.name}={show(knee.width.value)} may be wide enough, with {saved:.1f} times fewer parameters "
                    "than the widest; repeats would tell"
                    + (f"; try fewer: `units=[{_fewer(knee.width.value)}]`." if smallest else ".")
                ),
            )
        )
    return findings


def _fewer(width: float) -> str:
    return ", ".join(str(v) for v in sorted({max(1, int(width) // 4), max(1, int(width) // 2)}))
