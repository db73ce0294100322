"""Suspiciously easy: a feature that gives the target away, or a score that few real questions allow."""

from __future__ import annotations

import math

from unitune.diagnosis import thresholds as t
from unitune.diagnosis.evidence import Evidence
from unitune.diagnosis.rule import percent, show
from unitune.records import Finding


def upper_error(accuracy: float, n_rows: int) -> float:
    """The upper 95 % bound of the error rate: of no errors ``3 / n``, else Wilson's.

    Source: Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA (1983); Wilson (1927).

    Example:
        >>> upper_error(1.0, 300), round(upper_error(0.99, 1000), 4)
        (0.01, 0.0167)
    """
    if n_rows < 1:
        return 1.0
    error = 1 - accuracy
    if error <= 0:
        return min(1.0, 3 / n_rows)
    z = 1.645
    centre = error + z * z / (2 * n_rows)
    half = z * math.sqrt(error * (1 - error) / n_rows + z * z / (4 * n_rows * n_rows))
    return (centre + half) / (1 + z * z / n_rows)


def find(evidence: Evidence) -> list[Finding]:
    """One finding, if the target is predicted too well to be true."""
    best = evidence.winner
    if best is None:
        return []
    trial = evidence.trials[best]
    feature, alone = evidence.best_feature, evidence.best_feature_score
    if feature and alone >= t.EASY_FEATURE:
        return [
            Finding(
                kind="suspiciously_easy",
                severity="warning",
                title=f"Suspiciously easy: {feature} alone predicts the target ({100 * alone:.3g} % right)",
                trials=(trial.number,),
                evidence={"feature": feature, "score_of_feature": alone, "score": float(evidence.mean[best])},
                advice=f"Is {feature} known before the target is? If not, leave it out: it leaks the answer.",
            )
        ]
    if evidence.task == "regression":
        score = trial.scores["r2"].mean if "r2" in trial.scores else math.nan
        easy, seen = score >= t.EASY_R2, f"R² is {show(score)}"
        numbers: dict[str, float | str] = {"r2": score}
    else:
        score = trial.scores["accuracy"].mean if "accuracy" in trial.scores else math.nan
        bound = upper_error(score, evidence.n_rows) if math.isfinite(score) else 1.0
        easy, seen = bound <= t.EASY_ERROR, f"{percent(score)} of the validation rows are right"
        numbers = {"accuracy": score, "error_at_most": bound, "rows": evidence.n_rows}
    if not easy:
        return []
    return [
        Finding(
            kind="suspiciously_easy",
            severity="info",
            title=f"Suspiciously easy: {seen}",
            trials=(trial.number,),
            evidence=numbers,
            advice="Look for a leak: features made from the target, rows that appear twice (`groups=`), rows in time.",
        )
    ]
