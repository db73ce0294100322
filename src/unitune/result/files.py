"""The files of a run folder, each as a function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from unitune.engine.solo import quiet_arrays
from unitune.records import Trial
from unitune.result.record import Record
from unitune.stats import OutOfFold
from unitune.store import Run, write_predictions
from unitune.store.folder import PROBES, run_tree, write_bytes, write_csv, write_json, write_parquet
from unitune.store.predictions import PREDICTIONS

if TYPE_CHECKING:
    import keras


Writers = dict[str, Callable[[Path], None]]


def tables_of(result: Record, members: pd.DataFrame, histories: pd.DataFrame, probes: pd.DataFrame) -> Writers:
    """The trials, and what was measured of their members."""
    return {
        "trials.csv": write_csv(result.table(everything=True)),
        "members.parquet": write_parquet(members),
        "histories.parquet": write_parquet(histories),
        PROBES: write_parquet(probes),
    }


def trees_of(run: Run, trials: Sequence[Trial], summary: Mapping[str, Any]) -> Writers:
    """What `unitune.load` reads, and what a script does."""
    return {"run.json": write_json(run_tree(run, trials)), "summary.json": write_json(summary)}


def rows_of(run: Run, trials: Sequence[Trial], predictions: OutOfFold | None, changes: pd.DataFrame) -> Writers:
    """What not every run has: out-of-fold predictions, and the changes of a one-at-a-time search."""
    writers: Writers = {}
    if predictions is not None:
        best_first = [trial.number for trial in run.ranked(trials)]
        writers[PREDICTIONS] = write_predictions(predictions, best_first)
    if run.changes:
        writers["changes.csv"] = write_csv(changes)
    return writers


def pictures_of(result: Record, *, title: str, epochs: int) -> Writers:
    """Learning curves of the recommended trial, and units by activation; drawn as they are written."""
    run = result.run

    def curves(path: Path) -> None:
        from unitune.report import figures

        standardised = bool(run.data.get("standardised"))
        picture = figures.learning_curves_png(
            result.history(), title=title, best_epoch=epochs, standardised=standardised
        )
        write_bytes(picture)(path)

    def units_by_activation(path: Path) -> None:
        from unitune.report import figures

        table = result.table(everything=True)
        picture = figures.units_by_activation_png(table, objective=run.objective, direction=run.direction)
        write_bytes(picture)(path)

    return {"curves.png": curves, "units_x_activation.png": units_by_activation}


def saving(model: keras.Model) -> Callable[[Path], None]:
    """Saves a model as Keras does."""

    def write(path: Path) -> None:
        with quiet_arrays():
            model.save(path)

    return write
