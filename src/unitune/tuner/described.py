"""What the record of a run says of its call, its rows and the versions of what computed it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from unitune.data.files import address_of
from unitune.diagnosis import best_single_feature
from unitune.models import backend
from unitune.tuner.problem import Problem


def versions() -> dict[str, str]:
    """Versions of what computed the results."""
    name = backend.backend_name()
    found = {"python": sys.version.split()[0], "backend": name}
    for package in ("unitune", "keras", name, "numpy", "scikit-learn"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            module = sys.modules.get(package)
            found[package] = str(getattr(module, "__version__", "unknown"))
    return found


def describe_call(function: str, call: Mapping[str, Any]) -> str:
    """The command line, or the Python call with the arguments that are short enough to read."""
    if Path(sys.argv[0]).name in ("unitune", "unitune.exe"):
        return shlex.join(["unitune", *sys.argv[1:]])
    shown = []
    for key, value in call.items():
        if key == "progress":
            continue
        text = repr(value)
        short = isinstance(value, str | int | float | list | tuple | dict | Path) and len(text) <= 200
        shown.append(f"{key}={text if short and 'array(' not in text else '...'}")
    return f"unitune.{function}({', '.join(shown)})"


NOT_OF_THE_PROBLEM = ("progress", "callbacks", "executor", "out", "name", "overwrite", "store", "resume")


def recorded_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call that a file can hold, so that `unitune.verify` can pose the same problem again.

    Paths become absolute. Arrays, frames and functions are left out; their names are in `"not_recorded"`.
    """
    recorded: dict[str, Any] = {}
    missing = []
    for key, value in call.items():
        if key in NOT_OF_THE_PROBLEM:
            continue
        if key in ("x", "validation_data", "test_data") and isinstance(value, str | Path):
            recorded[key] = address_of(value) or str(Path(value).absolute())
            continue
        try:
            held = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            missing.append(key)
            continue
        # JSON makes text of numbers that are keys: `{0: 1.0}` would come back as another mapping.
        if isinstance(value, Mapping) and held != dict(value):
            missing.append(key)
        else:
            recorded[key] = held
    return recorded | {"not_recorded": missing}


def describe_data(problem: Problem) -> dict[str, Any]:
    """The rows and their target."""
    data = problem.dataset
    feature, score = best_single_feature(data.x, data.y, data.task)
    counts, loss = _target(problem)
    return {
        "n_rows": data.n_rows,
        "target": data.target_name,
        "target_form": data.target_form,
        "ids": list(data.ids),
        "reading": dict(data.reading),
        "classes": None if data.classes is None else data.classes.tolist(),
        "schema": data.raw_schema.to_json(),
        "standardised": problem.splits[0].y_scale is not None,
        "fingerprint": data.fingerprint,
        "class_counts": counts,
        "baseline_loss": loss,
        "best_feature": feature,
        "best_feature_score": score,
    }


def fold_rows(problem: Problem) -> int:
    """Training rows of a fold."""
    return int(np.median([len(fold.train) for fold in problem.folds]))


def _target(problem: Problem) -> tuple[list[int] | None, float]:
    """Rows of each class, and the loss of predicting their shares; for numbers, of predicting the mean."""
    data = problem.dataset
    if data.classes is None:
        # Standardised targets have a variance of 1.
        return None, 1.0 if problem.splits[0].y_scale is not None else float(np.var(data.y, axis=0).mean())
    counts = np.bincount(np.asarray(data.y).ravel().astype(int), minlength=len(data.classes))
    shares = counts[counts > 0] / counts.sum()
    return counts.tolist(), float(-(shares * np.log(shares)).sum())
