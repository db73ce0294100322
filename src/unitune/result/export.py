"""`export`: a run in the form of another tool."""

from __future__ import annotations

from pathlib import Path

from unitune.errors import OptionError, suggest
from unitune.result.saved import load
from unitune.result.search_result import Result
from unitune.store.export import Exported, export_tables

FORMATS = ("optuna", "csv", "parquet", "mlflow", "tensorboard")


def export(run: str | Path | Result, to: str, place: str | Path | None = None) -> str:
    """Writes a run in the form of another tool. A run that is not finished is written as far as it is recorded.

    Args:
        run: A run folder, or a result.
        to: `"optuna"` (a study), `"csv"`, `"parquet"` (tables), `"mlflow"` (an experiment), `"tensorboard"` (events).
        place: Where: the URL of Optuna's storage (`sqlite:///study.db`, or a journal file `study.log`), that of
            MLflow's server, or a folder; for folders `export-FORMAT` in the run folder if not given.

    Returns:
        What was written, as a sentence.

    Raises:
        RunFolderError: There is no run, or nothing of it is recorded yet.
        OptionError: An unknown format, a package that is missing, or a place that is taken.
        SaveError: Something cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import unitune
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> y = (x[:, 0] > 0).astype(int)
        >>> options = {"units": [2, 4], "activations": "relu", "epochs": 1, "folds": 2, "progress": False}
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     first = unitune.tune(x, y, **options, out=runs, name="mine")
        ...     said = export(f"{runs}/mine", "csv", f"{runs}/tables")
        >>> "tables" in said
        True
    """
    if to not in FORMATS:
        raise OptionError("`to` must be a known format", f"got {to!r}", suggest(str(to), FORMATS))
    result = run if isinstance(run, Result) else load(run)
    if place is None:
        if to in ("optuna", "mlflow"):
            remedy = "For example `sqlite:///study.db`." if to == "optuna" else "For example `http://localhost:5000`."
            raise OptionError(f'`to="{to}"` needs a place', "there is none", remedy)
        if result.folder is None:
            raise OptionError("A result that was not saved needs a place", "there is none", "Give a folder.")
        place = result.folder / f"export-{to}"
    exported = exported_of(result)
    if to == "optuna":
        from unitune.store.export_optuna import export_optuna

        return export_optuna(exported, str(place))
    if to == "mlflow":
        from unitune.store.export_mlflow import export_mlflow

        return export_mlflow(exported, str(place))
    if to == "tensorboard":
        from unitune.store.export_tensorboard import export_tensorboard

        return export_tensorboard(exported, Path(place))
    return export_tables(exported, Path(place), kind=to)


def exported_of(result: Result) -> Exported:
    """A result, ready to be written in another form."""
    name = result.folder.absolute().name if result.folder is not None else "unitune"
    tables = {
        "trials": result.table(everything=True),
        "members": result._members,
        "histories": result._histories,
        "probes": result._probes,
    }
    return Exported(name=name, run=result.run, trials=result.trials, tables=tables)
