"""A simpler model does as well, or better: what networks of any units and activation do not change."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from unitune.diagnosis.evidence import Evidence
from unitune.records import Finding

SURE = 0.95
"""The probability from which one is said to be ahead."""


def lead(evidence: Evidence, reference: tuple[float, ...]) -> tuple[float, float]:
    """By how much the trial that is handed over is ahead of a reference, and how far off that may be.

    The second is ``t_0.95(n - 1) * std(d) * sqrt(1 / n + n_validation / n_train)`` of the members' differences ``d``.

    Source: Nadeau and Bengio, "Inference for the generalization error" (2003), section 4.
    """
    assert evidence.winner is not None
    n = min(len(reference), evidence.values.shape[1])
    difference = evidence.better(evidence.values[evidence.winner][:n], np.asarray(reference)[:n])
    if n < 2:
        return float(difference.mean()), math.nan
    error = float(difference.std(ddof=1)) * math.sqrt(1 / n + evidence.validation_ratio)
    return float(difference.mean()), float(stdtrit(n - 1, SURE)) * error


def find(evidence: Evidence) -> list[Finding]:
    """Findings where no network is shown to beat a linear model, and where boosting is shown to be ahead."""
    if evidence.winner is None or evidence.values.shape[1] < 2:
        return []
    found = []
    trial, score = evidence.trials[evidence.winner], float(np.mean(evidence.values[evidence.winner]))

    def finding(kind: str, title: str, advice: str, ahead: float, margin: float) -> Finding:
        name = "linear" if kind == "linear_as_good" else "boosting"
        return Finding(
            kind=kind,
            severity="advice",
            title=title,
            trials=(trial.number,),
            evidence={
                name: float(np.mean(evidence.references[name])),
                "network": score,
                "ahead": ahead,
                "margin": margin,
            },
            advice=advice,
        )

    if linear := evidence.references.get("linear", ()):
        ahead, margin = lead(evidence, linear)
        if ahead <= margin:
            small = ahead + margin <= (evidence.tolerance if math.isfinite(evidence.tolerance) else 0.0)
            title = (
                "A linear model does as well: units and activation do not matter here"
                if small
                else "No network is shown to be better than a linear model"
            )
            shown = f" ({evidence.objective} {np.mean(linear):.4g}, the network {score:.4g})"
            advice = (
                "Take the linear model, or look for features that tell more."
                if small
                else "More rows or repeats would tell; until then the linear model is the simpler choice."
            )
            found.append(finding("linear_as_good", title + shown, advice, ahead, margin))
    if boosting := evidence.references.get("boosting", ()):
        ahead, margin = lead(evidence, boosting)
        if -ahead > margin:
            title = (
                f"On this table boosting is better: {evidence.objective} {np.mean(boosting):.4g} against {score:.4g} "
                "of the network"
            )
            advice = "Use scikit-learn's `HistGradientBoosting` or its kin on it."
            found.append(finding("boosting_ahead", title, advice, ahead, margin))
    return found
