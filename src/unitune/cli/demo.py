"""`unitune demo`: the main job on data that everybody has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unitune.cli.finish import finish
from unitune.errors import OptionError, SaveError

UNITS = (16, 32, 64, 128, 256)
ACTIVATIONS = ("relu", "tanh", "gelu", "sigmoid")
FOLDS = 5
N_NEW = 20
"""Rows that `--table` keeps apart, to predict."""

EPILOG = "[bold]Example:[/] unitune demo --out runs --overwrite"


def command(
    out: Annotated[Path, typer.Option(help="Where the run folder goes.")] = Path("runs"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder of an earlier demo.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    seed: Annotated[int, typer.Option(help="The seed of everything random.")] = 0,
    table: Annotated[
        bool, typer.Option("--table", help="Train nothing: write the rows as table.csv, to try `unitune tune` on.")
    ] = False,
) -> None:
    """Tune a network on the breast-cancer data of scikit-learn: 569 rows, 30 numbers, two classes."""
    if table:
        _write_tables(Path(), overwrite=overwrite)
        return
    from unitune.tuner import tune

    finish(
        lambda progress: tune(
            *_rows(),
            units=list(UNITS),
            activations=list(ACTIVATIONS),
            folds=FOLDS,
            seed=seed,
            out=out,
            name="demo",
            overwrite=overwrite,
            progress=False,
            callbacks=progress,
        ),
        as_json=as_json,
        quiet=quiet,
    )


def _write_tables(folder: Path, *, overwrite: bool) -> None:
    """Writes the demo's rows as `table.csv`, and the last ones, without their target, as `new.csv`."""
    import pandas as pd
    from sklearn.datasets import load_breast_cancer

    x, y = _rows()
    names = [str(name).replace(" ", "_") for name in load_breast_cancer().feature_names]
    rows = pd.DataFrame(x, columns=names).assign(diagnosis=y)
    tables = {"table.csv": rows[:-N_NEW], "new.csv": rows[-N_NEW:].drop(columns="diagnosis")}
    taken = [name for name in tables if (folder / name).exists()]
    if taken and not overwrite:
        raise OptionError("`--table` writes no file over another", f"`{taken[0]}` is there", "Use `--overwrite`.")
    for name, table in tables.items():
        try:
            table.to_csv(folder / name, index=False)
        except OSError as error:
            raise SaveError(f"`{name}` cannot be written: {error.strerror or error}.") from error
    print(f"table.csv: {len(rows) - N_NEW} rows, of which `diagnosis` is to predict. new.csv: {N_NEW} rows without it.")
    print("Next: unitune tune table.csv --target diagnosis")


def demo_rows(command: str) -> tuple[Any, Any]:
    """The demo's rows if this command line began a run, otherwise `(None, None)`."""
    return _rows() if command.split()[1:2] == ["demo"] else (None, None)


def _rows() -> tuple[Any, Any]:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    return data.data, data.target_names[data.target]  # malignant, benign
