"""A run in one tree of plain values: what `summary.json` holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from unitune.errors import RunFolderError
from unitune.records import Trial
from unitune.result.engines import not_fused, reasons
from unitune.result.record import Record
from unitune.store.folder import plain


def summary_of(result: Record, members: pd.DataFrame, *, epochs: int) -> dict[str, Any]:
    """The run in one tree.

    Args:
        result: Of a search in which a trial is complete.
        members: A row for each member, as `Result.members` has them, of all trials.
        epochs: For which the recommended trial is trained on all rows.
    """
    run, trials, best, recommended = result.run, result.trials, result.best, result.recommended
    score = best.scores[run.objective]
    tests = result.test_scores
    return {
        "objective": run.objective,
        "direction": run.direction,
        "task": run.task,
        "strategy": run.strategy,
        "n_trials": len(trials),
        "n_failed": sum(trial.state == "failed" for trial in trials),
        "n_members": len(members),
        "members_by_engine": {str(name): int(n) for name, n in members["engine"].value_counts().items()},
        **_why_not_fused(trials, run.folds["n_folds"] * run.folds["repeats"]),
        "evaluation": dict(run.folds),
        "elapsed_s": dict(run.elapsed_s),
        "best": {
            "trial": best.number,
            "configuration": run.space.labels(best.configuration),
            "mean": score.mean,
            "std": score.std,
            "train": score.train,
            "n_parameters": best.n_parameters,
            "scores": {name: other.mean for name, other in best.scores.items()},
        },
        "recommended": {
            "trial": recommended.number,
            "configuration": run.space.labels(recommended.configuration),
            "mean": recommended.scores[run.objective].mean,
            "n_parameters": recommended.n_parameters,
            "epochs": epochs,
            "scores": {name: other.mean for name, other in recommended.scores.items()},
        },
        "tolerance": run.tolerance if run.tolerance is not None else result.tolerance,
        "credible": list(result.credible),
        "estimate": _estimates(result),
        "conclusion": list(result.conclusion),
        "references": _references(result),
        "spent": dict(run.spent),
        "test": None if tests is None else tests.to_dict(orient="index"),
        "findings": plain([asdict(finding) for finding in result.findings]),
        "interrupted": run.interrupted,
        "left_out": run.left_out,
        "notes": [*run.notes, *not_fused(trials)],
        "data": {key: value for key, value in run.data.items() if key != "schema"},
        "seed": run.seed,
        "plans": list(run.plans),
        "versions": dict(run.versions),
        "command": run.command,
    }


def _why_not_fused(trials: tuple[Trial, ...], members_per_trial: int) -> dict[str, list[dict[str, Any]]]:
    return {
        f"{engine}_reasons": [
            {"reason": reason, "n_members": len(own) * members_per_trial, "trials": [trial.number for trial in own]}
            for reason, own in reasons(trials, engine).items()
        ]
        for engine in ("vmapped", "solo")
    }


def _references(result: Record) -> list[dict[str, Any]]:
    rows = plain(result.references.to_dict(orient="records"))
    assert isinstance(rows, list)
    return rows


def _estimates(result: Record) -> dict[str, Any] | None:
    """What to expect of the recommended trial; None where nothing tells."""
    try:
        return {name: plain(asdict(one)) for name, one in result.estimates.items()}
    except RunFolderError:
        return None
