"""A simpler model does as well, or better: what networks of any units and activation do not change."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from unitune.diagnosis.evidence import Evidence
from unitune.records import Array, Finding

SURE = 0.95
"""The probability from which one is said to be ahead."""


def lead(evidence: Evidence, reference: tuple[float, ...]) -> tuple[float, float]:
    """By how much the trial that is handed over is ahead of a reference, and how far off that may be.

    The second is ``t_0.95(n - 1) * std(d) * sqrt(1 / n + n_validation / n_train)`` of the members' differences ``d``.

    Source: Nadeau and Bengio, "Inference for the generalization error" (2003), section 4.
    """
    values, n = own_scores(evidence), len(reference)
    # A reference was trained once on each fold; the repeats of the network on it are averaged.
    folds = values[: len(values) // n * n].reshape(-1, n).mean(axis=0) if len(values) >= n else values
    n = len(folds)
    difference = evidence.better(folds, np.asarray(reference)[:n])
    if n < 2:
        return float(difference.mean()), math.nan
    error = float(difference.std(ddof=1)) * math.sqrt(1 / n + evidence.validation_ratio)
    return float(difference.mean()), float(stdtrit(n - 1, SURE)) * error


def own_scores(evidence: Evidence) -> Array:
    """`(member,)` scores of the trial that is handed over, ordered by repeat, then fold."""
    assert evidence.winner is not None
    return np.asarray(evidence.trials[evidence.winner].scores[evidence.objective].values, dtype=np.float64)


def find(evidence: Evidence) -> list[Finding]:
    """Findings where no network is shown to beat a linear model, and where boosting is shown to be ahead."""
    if evidence.winner is None or evidence.values.shape[1] < 2:
        return []
    found = []
    trial, score = evidence.trials[evidence.winner], float(np.mean(own_scores(evidence)))

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
        tolerance = evidence.tolerance if math.isfinite(evidence.tolerance) else 0.0
        shown = f" ({evidence.objective} {np.mean(linear):.4g}, the network {score:.4g})"
        said = None
        if -ahead > margin:
            said = "A linear model is better than the networks", "Take the linear model, or train the networks longer."
        elif ahead + margin <= tolerance:
            said = (
                "A linear model does as well: units and activation do not matter here",
                "Take the linear model, or look for features that tell more.",
            )
        elif ahead <= 0:
            said = (
                "No network scored better than a linear model, which is the simpler choice",
                "Whether one is truly better is open: more rows or repeats would tell.",
            )
        elif ahead <= margin:
            said = (
                "No network is shown to be better than a linear model",
                "It scored better, but so small a lead may be luck: more rows or repeats would tell.",
            )
        if said is not None:
            title, advice = said[0] + shown, said[1]
            found.append(finding("linear_as_good", title, advice, ahead, margin))
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
