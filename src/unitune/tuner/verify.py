"""`verify`: was a saved run's recommended trial trained as plain `fit` would have trained it?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unitune.data.dataset import Dataset
from unitune.errors import DataError, OptionError
from unitune.options import TuneOptions
from unitune.result import Result, Verification, load
from unitune.result.verification import verify_members
from unitune.tuner.loop import jobs_of
from unitune.tuner.pose import Posed, in_memory
from unitune.tuner.posed import pose_dense
from unitune.tuner.refit import Refitter


def verify(folder: str | Path, x: Any = None, y: Any = None, *, trial: int | None = None) -> Verification:
    """Trains a trial of a saved run again with plain `fit`, on the same folds and seeds, and compares every epoch.

    Args:
        folder: The run folder.
        x: The rows of the run, as they were given to `tune`; not needed where they came from a file.
        y: The target, if it was given apart.
        trial: The number of the trial; the recommended one if not given.

    Raises:
        RunFolderError: There is no run in the folder.
        OptionError: The run cannot be posed again from what was recorded.
        DataError: The rows are not those of the run.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import unitune
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> y = (x[:, 0] > 0).astype(int)
        >>> options = {"units": [2, 4], "activations": "relu", "epochs": 1, "folds": 2, "progress": False}
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     first = unitune.tune(x, y, **options, out=runs, name="mine")
        ...     check = verify(f"{runs}/mine", x, y)
        >>> check.largest_difference < 1e-3
        True
    """
    result = load(folder)
    posed = _posed_again(result, x, y)
    chosen = (
        next((one for one in result.trials if one.number == trial), None) if trial is not None else result.recommended
    )
    if chosen is None:
        raise OptionError("`trial` must be the number of a trial", f"got {trial!r}", f"There are {len(result.trials)}.")
    network = posed.network(chosen.configuration)
    jobs = jobs_of(posed.problem, [network], [chosen.number])
    return verify_members(jobs, posed.problem.splits, result.history(chosen), trial=chosen.number)


def with_models(folder: str | Path, x: Any = None, y: Any = None) -> Result:
    """A saved run that can train each of its trials again on all rows, as the search would have.

    Args:
        folder, x, y: As in `verify`.

    Raises:
        RunFolderError: There is no run in the folder.
        OptionError: The run cannot be posed again from what was recorded.
        DataError: The rows are not those of the run.
    """
    result = load(folder)
    posed = _posed_again(result, x, y)
    return result.with_source(Refitter(problem=posed.problem, network=posed.network))


def _posed_again(result: Result, x: Any, y: Any) -> Posed:
    call = dict(result.run.call)
    function = call.pop("build_model", None)
    missing = [f"the function `{function}`"] * bool(function)
    missing += [name for name in call.pop("not_recorded", ["its arguments"]) if name not in ("x", "y")]
    if missing or not call.keys() <= set(TuneOptions.names()):
        raise OptionError(
            "Only a run of `unitune.tune` whose arguments a file can hold can be trained again from its folder",
            f"this one was given {', '.join(missing) or 'others'}",
            "Use `Result.verify()` or `Result.model()` on the result that the search returned.",
        )
    if x is not None:
        call |= {"x": x, "y": y}
    if call.get("x") is None:
        raise OptionError(
            "The rows of the run are needed",
            "they did not come from a file",
            "Give them: `unitune.verify(folder, x, y)`.",
        )
    posed = pose_dense(in_memory(TuneOptions(**call)))
    _check_same(posed.problem.dataset, str(result.run.data.get("fingerprint")))
    return posed


def _check_same(data: Dataset, fingerprint: str) -> None:
    if data.fingerprint != fingerprint:
        raise DataError(
            "The rows must be those of the run",
            "they differ from those that it was made from",
            "Give the rows of the run, unchanged and in the same order.",
        )
