"""What an export is made of, and the plainest exports: tables as CSV or Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from unitune.errors import SaveError
from unitune.records import Trial
from unitune.store.folder import write_csv, write_parquet
from unitune.store.run import Run


@dataclass(frozen=True, kw_only=True, eq=False)
class Exported:
    """A run, ready to be written in another form.

    Attributes:
        name: What the run is called.
        run: The run.
        trials: Its trials, by number.
        tables: `trials`, `members`, `histories`, `probes`: as in the run folder.
    """

    name: str
    run: Run
    trials: Sequence[Trial]
    tables: Mapping[str, pd.DataFrame]

    def curves(self) -> Mapping[int, pd.DataFrame]:
        """For each trial the mean of its members in each epoch: a row per epoch, a column per split and metric."""
        table = self.tables["histories"]
        if table.empty:
            return {}
        plain = table.assign(name=table["split"].astype(str) + "/" + table["metric"].astype(str))
        means = plain.groupby(["trial", "epoch", "name"], observed=True)["value"].mean().unstack("name")
        return {int(number): rows.droplevel("trial") for number, rows in means.groupby(level="trial")}


def objective_curve(curve: pd.DataFrame, objective: str) -> tuple[str, pd.Series]:
    """The validation curve that shows best how a trial came to its score, and the name of its metric.

    That of the objective where it was followed through the epochs, otherwise that of the loss.
    """
    name = objective if f"validation/{objective}" in curve else "loss"
    return name, curve[f"validation/{name}"].dropna()


def attributes(trial: Trial) -> dict[str, str | float | int | list[float]]:
    """What is known of a trial beside its configuration and objective, as plain values."""
    known: dict[str, str | float | int | list[float]] = {
        "parameters": trial.n_parameters,
        "seconds": trial.elapsed_s,
        "engine": trial.engine,
    }
    if trial.failure:
        known["failure"] = trial.failure
    for name, score in trial.scores.items():
        parts = {"": score.mean, " low": score.low, " high": score.high, " std": score.std, " train": score.train}
        known |= {f"{name}{part}": value for part, value in parts.items() if np.isfinite(value)}
        known[f"{name} of each fold"] = [float(value) for value in score.values]
    return known


def export_tables(exported: Exported, folder: Path, *, kind: str) -> str:
    """Writes the tables of a run into a folder.

    Args:
        exported: The run.
        folder: Made if there is none; files of an earlier export are replaced.
        kind: `"csv"` or `"parquet"`.

    Returns:
        What was written, as a sentence.

    Raises:
        SaveError: A file cannot be written.
    """
    write = write_csv if kind == "csv" else write_parquet
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in exported.tables.items():
            write(table)(folder / f"{name}.{kind}")
    except OSError as error:
        raise SaveError(f"`{folder}` cannot be written: {error.strerror or error}.") from error
    return f"{', '.join(f'{name}.{kind}' for name in exported.tables)} in {folder}"
