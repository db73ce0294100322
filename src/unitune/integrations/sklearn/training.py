"""Members through an engine, on behalf of estimators: one at a time in `fit`, all at once in a search."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.contract import Engine, Job
from unitune.records import Array

# The least sizes that a program is laid out for: small data of different sizes then share it.
LEAST_ROWS = 256
LEAST_FEATURES = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What became of one member.

    Attributes:
        weights: In the order of `keras.Model.get_weights()`.
        history: From a metric's name, and `val_` and its name, to its value in each epoch.
        n_epochs: Epochs trained.
        elapsed_s: Its share of the time.
        engine: `"fused"`, `"vmapped"` or `"solo"`; `engine_reason` says why not faster.
        failure: Empty where all went well, else the reason.
    """

    weights: tuple[Array, ...]
    history: dict[str, list[float]]
    n_epochs: int
    elapsed_s: float
    engine: str
    engine_reason: str
    failure: str


def train(
    engine: Engine, jobs: Sequence[Job], splits: Sequence[Split], chosen: Collection[int] | None = None
) -> Iterator[tuple[int, Trained]]:
    """Trains jobs in one call of the engine; yields the number of a job and what became of it.

    With `chosen`, only the jobs of these numbers are trained; the others shape the programs all the same.
    """
    numbers = {id(job): number for number, job in enumerate(jobs)}
    take = None if chosen is None else lambda asked: [numbers[id(job)] in chosen for job in asked]
    for outcome in engine.train(jobs, [*splits, _roomy(splits)], take=take):
        for place, job in enumerate(outcome.jobs):
            n_epochs = int(outcome.n_epochs[place])
            history = {}
            for column, metric in enumerate(outcome.metrics):
                history[metric] = outcome.train[place, :n_epochs, column].tolist()
                if job.training.early_stopping is not None or job.training.plateau is not None:
                    history[f"val_{metric}"] = outcome.validation[place, :n_epochs, column].tolist()
            yield (
                numbers[id(job)],
                Trained(
                    weights=tuple(np.array(weight) for weight in outcome.weights[place]),
                    history=history,
                    n_epochs=n_epochs,
                    elapsed_s=float(outcome.elapsed_s[place]),
                    engine=outcome.engine,
                    engine_reason=outcome.engine_reason,
                    failure=outcome.failures[place],
                ),
            )


def _roomy(splits: Sequence[Split]) -> Split:
    """A split that no job uses, somewhat larger than the others.

    The fused engine lays its programs out for the largest split. Sizes on a coarse grid let the next call, on a few
    rows more or a column less, find its programs compiled.
    """
    rows = _coarse(max(len(split.x_train) + len(split.x_val) for split in splits), LEAST_ROWS)
    shape = splits[0].x_train.shape[1:]
    if len(shape) == 1:
        shape = (_coarse(max(split.x_train.shape[1] for split in splits), LEAST_FEATURES),)
    return blank(splits[0], rows, shape)


def blank(like: Split, rows: int, shape: tuple[int, ...] | None = None) -> Split:
    """A split of zeros that takes no memory, with so many training rows: for plans alone."""
    shape = like.x_train.shape[1:] if shape is None else shape

    def zeros(array: Array, *shape: int) -> Array:
        return np.broadcast_to(np.zeros((), array.dtype), shape)

    return Split(
        fold=like.fold,
        repeat=like.repeat,
        x_train=zeros(like.x_train, rows, *shape),
        y_train=zeros(like.y_train, rows, *like.y_train.shape[1:]),
        x_val=zeros(like.x_val, 1, *shape),
        y_val=zeros(like.y_val, 1, *like.y_val.shape[1:]),
    )


def _coarse(size: int, least: int) -> int:
    """The next size of a grid with two sizes to an octave: 16, 24, 32, 48, 64, ..."""
    if size <= least:
        return least
    step = 1 << (size.bit_length() - 2)
    return math.ceil(size / step) * step
