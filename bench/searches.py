"""Trained searches whose truth is known: what `bench.regret` measures on.

A search has few rows. Its truth is that of the same configurations trained with other seeds on other splits of these
rows (as many as a fold trains on), and scored on many rows that the search never saw.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, make_classification, make_friedman1
from sklearn.model_selection import KFold, StratifiedKFold

from unitune.space import Choice, Float, Hyperparameter, Space
from unitune.stats import Cell, OutOfFold, row_noise

Array = np.ndarray
UNITS, ACTIVATIONS = [4, 8, 16, 32, 64, 128], ["relu", "tanh", "gelu", "sigmoid"]
EPOCHS = 20
FOLDS, REPEATS = 5, 3
UNSEEN = 2000
DATA = {"digits": 400, "noisy": 600, "easy": 500, "many": 600, "friedman": 400}
SPACES = {"grid": 24, "sampled": 32}


def rows_of(data: str, number: int) -> tuple[Array, Array]:
    """All rows: those of the search first."""
    seed = zlib.crc32(f"{data} {number}".encode())
    n = DATA[data] + UNSEEN
    if data == "digits":
        x, y = load_digits(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(x))
        return (x[order] / 16).astype("float32"), y[order]
    if data == "noisy":
        x, y = make_classification(n, 20, n_informative=4, n_redundant=4, flip_y=0.25, random_state=seed)
    elif data == "easy":
        x, y = make_classification(n, 20, n_informative=8, class_sep=1.5, flip_y=0.01, random_state=seed)
    elif data == "many":
        shares = 0.8 ** np.arange(8)
        x, y = make_classification(
            n, 20, n_informative=10, n_classes=8, weights=list(shares / shares.sum()), class_sep=1.5, random_state=seed
        )
    else:
        x, y = make_friedman1(n, 10, noise=1.0, random_state=seed)
    return x.astype("float32"), y


def options_of(space: str) -> dict[str, Any]:
    """What `tune` is asked to search."""
    if space == "grid":
        return {"units": UNITS, "activations": ACTIVATIONS, "learning_rates": 3e-3}
    return {
        "units": UNITS,
        "activations": ACTIVATIONS,
        "layers": [1, 2],
        "learning_rates": Float(3e-4, 3e-2, log=True),
        "strategy": "random",
        "trials": SPACES["sampled"],
    }


def space_of(space: str) -> Space:
    """The same as `Space`."""
    hyperparameters = [
        Hyperparameter("units", Choice(UNITS, ordered=True)),
        Hyperparameter("activation", Choice(ACTIVATIONS)),
    ]
    if space == "sampled":
        hyperparameters += [
            Hyperparameter("layers", Choice([1, 2], ordered=True)),
            Hyperparameter("learning_rate", Float(3e-4, 3e-2, log=True)),
        ]
    return Space(hyperparameters)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A search of 5 folds x 3, and its truth.

    Attributes:
        data, space, number: Which it is.
        configurations: Of the trials.
        n_parameters: `(trial,)`.
        values: `(trial, 15)` scores by repeat, then fold.
        truth: `(trial,)`.
        truth_networks: `(trial, network)` whose mean is the truth.
        predictions: Out-of-fold, of the 15 members.
    """

    data: str
    space: str
    number: int
    configurations: list[dict[str, Any]]
    n_parameters: Array
    values: Array
    truth_networks: Array
    predictions: OutOfFold

    @property
    def direction(self) -> str:
        return "minimize" if self.data == "friedman" else "maximize"

    @property
    def metric(self) -> str:
        return "rmse" if self.data == "friedman" else "accuracy"

    @property
    def truth(self) -> Array:
        return self.truth_networks.mean(axis=1)

    @cached_property
    def luck_of_unseen(self) -> tuple[float, Array]:
        """The variances of the luck of the unseen rows: of good trials together, and of each `(trial,)` beside them.

        The rows of the search tell what so many rows are off by, and there are more of the others.
        """
        found = row_noise(self.predictions, self.metric)
        sign = 1.0 if self.direction == "maximize" else -1.0
        means = sign * self.values.mean(axis=1)
        good = (means >= np.median(means)).astype(float)
        unseen = len(load_digits().target) - DATA["digits"] if self.data == "digits" else UNSEEN
        share = found.n_rows / unseen
        return share * found.level(good), share * found.beside(good)


def train(data: str, space: str, number: int) -> Trained:
    """Trains a search and its truth, with the fused engine."""
    import unitune

    x, y = rows_of(data, number)
    n = DATA[data]
    seen, unseen = np.arange(n), np.arange(n, len(x))
    splitter = KFold if data == "friedman" else StratifiedKFold
    splits: list[tuple[Array, Array]] = []
    for repeat in range(REPEATS + 1):
        made = splitter(FOLDS, shuffle=True, random_state=1000 * number + repeat).split(seen, y[:n])
        splits += [(rows, unseen if repeat == REPEATS else held) for rows, held in made]
    metric, direction = ("rmse", "minimize") if data == "friedman" else ("accuracy", "maximize")
    result = unitune.tune(
        x,
        y,
        cv=splits,
        epochs=EPOCHS,
        objective=metric,
        direction=direction,
        seed=number,
        progress=False,
        engine="fused",
        **options_of(space),
    )
    trials = sorted(result.trials, key=lambda one: one.number)
    scores = np.array([one.scores[metric].values for one in trials])
    kept = result._get_predictions().only([one.number for one in trials])
    return Trained(
        data=data,
        space=space,
        number=number,
        configurations=[dict(one.configuration) for one in trials],
        n_parameters=np.array([one.n_parameters for one in trials]),
        values=scores[:, : FOLDS * REPEATS],
        truth_networks=scores[:, FOLDS * REPEATS :],
        predictions=OutOfFold(
            task=kept.task,
            y=kept.y[:n],
            numbers=np.arange(len(trials)),
            cells=tuple(
                Cell(
                    fold=number % FOLDS,
                    repeat=number // FOLDS,
                    rows=cell.rows,
                    trials=cell.trials,
                    predictions=cell.predictions,
                )
                for number, cell in enumerate(kept.cells[: FOLDS * REPEATS])
            ),
        ),
    )


def save(trained: Trained, folder: Path) -> None:
    """To a file of its own, so that a model of the scores can be tried without training again."""
    cells = trained.predictions.cells
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / _file(trained.data, trained.space, trained.number),
        configurations=json.dumps(trained.configurations),
        n_parameters=trained.n_parameters,
        values=trained.values,
        truth_networks=trained.truth_networks,
        y=trained.predictions.y,
        task=trained.predictions.task,
        **{f"rows_{number}": cell.rows for number, cell in enumerate(cells)},
        **{f"predictions_{number}": cell.predictions for number, cell in enumerate(cells)},
    )


def load(data: str, space: str, number: int, folder: Path) -> Trained | None:
    """What `save` kept, if it did."""
    path = folder / _file(data, space, number)
    if not path.exists():
        return None
    with np.load(path) as kept:
        found = dict(kept)
    n_trials = len(found["values"])
    cells = tuple(
        Cell(
            fold=member % FOLDS,
            repeat=member // FOLDS,
            rows=found[f"rows_{member}"],
            trials=np.arange(n_trials),
            predictions=found[f"predictions_{member}"],
        )
        for member in range(FOLDS * REPEATS)
    )
    task = str(found["task"])
    predictions = OutOfFold(task=task, y=found["y"], numbers=np.arange(n_trials), cells=cells)
    return Trained(
        data=data,
        space=space,
        number=number,
        configurations=json.loads(str(found["configurations"])),
        n_parameters=found["n_parameters"],
        values=found["values"],
        truth_networks=found["truth_networks"],
        predictions=predictions,
    )


def _file(data: str, space: str, number: int) -> str:
    return f"{data}-{space}-{number}.npz"
