"""Time and memory of a search over a table, and of plain `fit` of the same networks: `python -m bench.memory`.

Each is measured in a process of its own, from the CSV file on; what importing takes is measured before.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.apart import run_apart
from bench.clock import processor_s

COLUMNS = 30
UNITS = (16, 64)
FOLDS = 2
EPOCHS = 2
BATCH = 256
DEFAULTS = {"50 x 5": (50, 5), "200 x 300": (200, 300), "100,000 x 30": (100_000, 30)}


def write_table(path: Path, n_rows: int, n_columns: int) -> None:
    """Numbers, and two classes that follow from three of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, n_columns)).astype(np.float32).round(4)
    table = pd.DataFrame(x, columns=[f"c{i}" for i in range(n_columns)])
    noise = rng.normal(size=n_rows) * 0.5
    table.assign(y=np.where(x[:, 0] + x[:, 1] * x[:, 2] + noise > 0, "yes", "no")).to_csv(path, index=False)


def peak_mb() -> float:
    """Peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # kilobytes on Linux


def search(path: str) -> None:
    """A search over a few networks."""
    import unitune

    unitune.tune(
        path,
        target="y",
        units=list(UNITS),
        activations="relu",
        batch_sizes=BATCH,
        epochs=EPOCHS,
        folds=FOLDS,
        references=False,
        progress=False,
    )


def defaults(path: str) -> None:
    """`unitune tune TABLE --target y`, with its report and its model."""
    import unitune

    with tempfile.TemporaryDirectory() as out:
        unitune.tune(path, target="y", out=out, progress=False)


def plain_fit(path: str) -> None:
    """The same networks as people train them: pandas, scikit-learn, `fit`."""
    import keras
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    table = pd.read_csv(path)
    x, y = table.drop(columns="y").to_numpy(np.float32), (table["y"] == "yes").to_numpy(np.float32)
    for train, held_out in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, y):
        scaler = StandardScaler().fit(x[train])
        for units in UNITS:
            model = keras.Sequential(
                [
                    keras.Input((x.shape[1],)),
                    keras.layers.Dense(units, activation="relu"),
                    keras.layers.Dense(1, activation="sigmoid"),
                ]
            )
            model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
            rows = scaler.transform(x[train]), y[train]
            validation = scaler.transform(x[held_out]), y[held_out]
            model.fit(*rows, validation_data=validation, epochs=EPOCHS, batch_size=BATCH, verbose=0)


WAYS = {"search": search, "defaults": defaults, "fit": plain_fit}


def measured(way: str, path: str) -> dict[str, float]:
    """What one way takes in this process."""
    import unitune
    from unitune.models.backend import ensure

    ensure()
    unitune.tune  # noqa: B018  (imports what it needs)
    imports, before = peak_mb(), processor_s()
    WAYS[way](path)
    return {"core_s": processor_s() - before, "imports_mb": imports, "peak_mb": peak_mb()}


def table_of(rows: list[int]) -> list[str]:
    """The lines of the table, measured row by row."""
    lines = [
        "| rows | CSV, MB | data, MB | `fit`, core s | core s | `fit`, MB | MB | MB over data |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for n_rows in rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            write_table(path, n_rows, COLUMNS)
            fit, ours = (run_apart("bench.memory", "--one", way, path) for way in ("fit", "search"))
            size, data = path.stat().st_size / 1e6, n_rows * COLUMNS * 8 / 1e6
            over = [one["peak_mb"] - one["imports_mb"] for one in (fit, ours)]
            lines.append(
                f"| {n_rows:,} | {size:.0f} | {data:.0f} | {fit['core_s']:.1f} | {ours['core_s']:.1f} "
                f"| {over[0]:.0f} | {over[1]:.0f} | {over[1] / data:.1f} |"
            )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Prints both tables, or measures one way for them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--defaults", action="store_true", help="peak memory of searches with all defaults instead")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "TABLE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(*given.one)))
        return
    if not given.defaults:
        print("\n".join(["", *table_of(given.rows)]))
        return
    for name, (n_rows, n_columns) in DEFAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            write_table(path, n_rows, n_columns)
            found: dict[str, Any] = run_apart("bench.memory", "--one", "defaults", path)
            print(f"| {name} | {found['core_s']:.0f} | {found['peak_mb']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
