"""From the user's data and options to a checked problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from unitune.data.arrays import Split
from unitune.data.batches import comes_in_batches, read_batches
from unitune.data.dataset import Dataset
from unitune.data.folds import Fold, make_folds, rare_classes
from unitune.data.load import like
from unitune.errors import DataError, OptionError, suggest
from unitune.models import backend, preprocessing
from unitune.models.metrics import metric, names
from unitune.models.splits import split_arrays
from unitune.options import CompareOptions, TuneOptions
from unitune.records import Array, Direction, Task
from unitune.space import Space
from unitune.tuner.defaults import Cost
from unitune.tuner.loop import Network
from unitune.tuner.problem import Problem

Asked = TypeVar("Asked", TuneOptions, CompareOptions)

DEFAULT_FOLDS = 5
READING = (
    *("target", "ignore", "id", "task", "sample_weight", "groups", "class_weight"),
    *("separator", "decimal", "encoding", "header"),
)
DEFAULT_OBJECTIVE = {"binary": "accuracy", "multiclass": "accuracy", "regression": "rmse"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """What the options of a search mean before anything is searched.

    `data` are the rows without those held out; `cost` is of a default space; `by_steps` says that how long networks
    train follows from the rows.
    """

    data: Dataset
    problem: Problem
    tests: Dataset | None
    notes: tuple[str, ...]
    space: Space
    network: Callable[[Mapping[str, Any]], Network]
    cost: Cost | None = None
    by_steps: bool = False


def pose(
    data: Dataset, options: TuneOptions | CompareOptions, *, as_given: bool = False
) -> tuple[Problem, Dataset | None, tuple[str, ...]]:
    """Checks and prepares the rows: the problem, the test rows, and notes for the user.

    With `as_given`, rows keep their shape, as the user's own `fit` would have them.
    """
    chosen, natural, metrics = choose_objective(data.task, options.objective, options.direction)
    tests = None if options.test_data is None else _further(data, options.test_data, "test_data")
    folds = options.folds
    notes = list(data.notes)
    rows = None
    if options.validation_data is not None:
        held_out = _further(data, options.validation_data, "validation_data")
        rows = np.arange(data.n_rows, data.n_rows + held_out.n_rows)
        data = data.append(held_out)
    if folds is None and options.cv is None and options.validation_split is None and rows is None:
        folds = _default_folds(data)
        if folds < DEFAULT_FOLDS:
            notes.append(f"{folds} folds instead of {DEFAULT_FOLDS}: {_why_fewer(data)} has {folds} rows.")
    if folds is not None and not options.time_ordered:
        notes += _rare_notes(data, folds)
    split_again = partial(
        make_folds,
        data,
        folds=folds,
        cv=options.cv,
        time_ordered=options.time_ordered,
        validation_split=options.validation_split,
        validation_rows=rows,
        seed=options.seed,
    )
    made = split_again(repeats=options.repeats)
    backend.ensure()
    prepared: dict[tuple[int, int], Any] = {}

    def prepare(folds: Sequence[Fold]) -> tuple[Split, ...]:
        splits = []
        for fold in folds:
            key = (hash(fold.train.tobytes()), len(fold.train))
            if key not in prepared:  # repeats of fixed rows share their statistics
                prepared[key] = preprocessing.fit(data, fold.train, flatten=not as_given)
            splits.append(split_arrays(data, fold, preprocessor=prepared[key]))
        return tuple(splits)

    def make_repeat(number: int) -> tuple[tuple[Fold, ...], tuple[Split, ...]]:
        further = tuple(fold for fold in split_again(repeats=number + 1) if fold.repeat == number)
        return further, prepare(further)

    splits = prepare(made)
    notes += next(iter(prepared.values())).notes
    problem = Problem(
        dataset=data,
        folds=made,
        splits=splits,
        make_repeat=make_repeat,
        objective=chosen,
        direction=natural,
        metrics=metrics,
        seed=options.seed,
        validation_ratio=validation_ratio(made),
        as_given=as_given,
    )
    return problem, tests, tuple(notes)


def validation_ratio(folds: Sequence[Fold]) -> float:
    """The mean of `n_validation / n_train`, or 0 where every fold has the same rows and only seeds differ."""
    first: Array = folds[0].validation
    if all(np.array_equal(first, fold.validation) for fold in folds[1:]):
        return 0.0
    return float(np.mean([len(fold.validation) / len(fold.train) for fold in folds]))


def choose_objective(
    task: Task, objective: str | None, direction: str | None
) -> tuple[str, Direction, tuple[str, ...]]:
    """The objective, its direction, and all metrics of the task with the objective first.

    Raises:
        OptionError: An unknown metric, one of another task, or a direction that contradicts it.
    """
    chosen = metric(objective or DEFAULT_OBJECTIVE[task], task)
    name = chosen.name
    fitting = names(task)
    natural = chosen.direction
    if direction is not None and direction not in ("minimize", "maximize"):
        raise OptionError(
            "`direction` must be a known name", f"got {direction!r}", suggest(direction, ["minimize", "maximize"])
        )
    if direction is not None and direction != natural:
        raise OptionError(
            f"`direction` of {name} is {natural}", f"got {direction!r}", "Leave `direction` out, or change `objective`."
        )
    return name, natural, (name, *(other for other in fitting if other != name))


def _default_folds(data: Dataset) -> int:
    if data.groups is not None:
        return max(2, min(DEFAULT_FOLDS, len(np.unique(data.groups))))
    if data.classes is None:
        return max(2, min(DEFAULT_FOLDS, data.n_rows))
    # Two classes must be in every fold; others may be too rare for that. An output of a network may have no row.
    present, counts = np.unique(data.y, return_counts=True)
    second = int(counts.argsort(kind="stable")[-2:][0])
    if counts[second] < 2:
        label = data.classes.tolist()[int(present[second])]
        raise DataError(
            "Two classes must have 2 rows each, to be trained and validated on",
            f"class {label!r} has {counts[second]}",
            "Add rows of that class, or take another column as target.",
        )
    return min(DEFAULT_FOLDS, int(counts[second]))


def _why_fewer(data: Dataset) -> str:
    return "the smallest class" if data.n_classes == 2 else "every class but the largest at most"


def _rare_notes(data: Dataset, folds: int) -> list[str]:
    rare = rare_classes(data, folds)
    if not rare:
        return []
    shown = ", ".join(f"`{label}` ({n})" for label, n in list(rare.items())[:6]) + (", ..." if len(rare) > 6 else "")
    note = f"Rare classes with fewer rows than folds: {shown}. Scores say little about them."
    if 1 in rare.values():
        note += " A class of one row is trained on in every fold, and never validated."
    return [note]


def row_options(options: TuneOptions | CompareOptions) -> dict[str, Any]:
    """What says how rows are read."""
    return {name: getattr(options, name) for name in READING}


def in_memory(options: Asked) -> Asked:
    """The options with arrays in the place of rows that come in batches.

    Raises:
        DataError: They do not fit into memory, or the target or the weights are given twice.
    """
    held_out = {name: getattr(options, name) for name in ("validation_data", "test_data")}
    read: dict[str, Any] = {
        name: read_batches(rows).arrays for name, rows in held_out.items() if comes_in_batches(rows)
    }
    if comes_in_batches(options.x):
        twice = [name for name in ("y", "target", "sample_weight") if getattr(options, name) is not None]
        if twice:
            raise DataError("batches hold the target and the weights", f"got `{twice[0]}` as well", "Leave it out.")
        read |= zip(("x", "y", "sample_weight"), read_batches(options.x).arrays, strict=False)
    return replace(options, **read)


def _further(data: Dataset, given: Any, what: str) -> Dataset:
    """Rows beside the training rows: `(x, y)`, `(x, y, sample_weight)`, or a table that holds the target."""
    if isinstance(given, tuple | list):
        if len(given) not in (2, 3):
            raise OptionError(
                f"`{what}` must be `(x, y)`, `(x, y, sample_weight)`, a frame or a path", f"got {len(given)} items"
            )
        weight = given[2] if len(given) == 3 else None
        return like(data, given[0], given[1], sample_weight=weight, what=what)
    return like(data, given, what=what)
