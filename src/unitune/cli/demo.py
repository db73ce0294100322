"""`unitune demo`: the main job on data that everybody has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unitune.cli.finish import finish

UNITS = (16, 32, 64, 128, 256)
ACTIVATIONS = ("relu", "tanh", "gelu", "sigmoid")
FOLDS = 5

EPILOG = "[bold]Example:[/] unitune demo --out runs --overwrite"


def command(
    out: Annotated[Path, typer.Option(help="Where the run folder goes.")] = Path("runs"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder of an earlier demo.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    seed: Annotated[int, typer.Option(help="The seed of everything random.")] = 0,
) -> None:
    """Tune a network on the breast-cancer data of scikit-learn: 569 rows, 30 numbers, two classes."""
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


def demo_rows(command: str) -> tuple[Any, Any]:
    """The demo's rows if this command line began a run, otherwise `(None, None)`."""
    return _rows() if command.split()[1:2] == ["demo"] else (None, None)


def _rows() -> tuple[Any, Any]:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    return data.data, data.target_names[data.target]  # malignant, benign
