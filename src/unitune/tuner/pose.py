"""From the user's data and options to a checked problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

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
from unitune.records import Array, Direction, Task
from unitune.tuner.problem import Problem

DEFAULT_FOLDS = 5
DEFAULT_OBJECTIVE = {"binary": "accuracy", "multiclass": "accuracy", "regression": "rmse"}


def pose(
    data: Dataset,
    *,
    objective: str | None,
    direction: str | None,
    folds: int | None,
    repeats: int,
    cv: Any,
    time_ordered: bool,
    validation_split: float | None,
    validation_data: Any,
    test_data: Any,
    seed: int,
    as_given: bool = False,
    more_notes: Sequence[str] = (),
) -> tuple[Problem, Dataset | None, tuple[str, ...]]:
    """Checks and prepares the rows: the problem, the test rows, and notes for the user.

    With `as_given`, rows keep their shape, as the user's own `fit` would have them.
    """
    chosen, natural, metrics = choose_objective(data.task, objective, direction)
    tests = None if test_data is None else _further(data, test_data, "test_data")
    notes = list(data.notes)
    rows = None
    if validation_data is not None:
        held_out = _further(data, validation_data, "validation_data")
        rows = np.arange(data.n_rows, data.n_rows + held_out.n_rows)
        data = data.append(held_out)
    if folds is None and cv is None and validation_split is None and rows is None:
        folds = _default_folds(data)
        if folds < DEFAULT_FOLDS:
            notes.append(f"{folds} folds instead of {DEFAULT_FOLDS}: {_why_fewer(data)} has {folds} rows.")
    if folds is not None and not time_ordered:
        notes += _rare_notes(data, folds)
    split_again = partial(
        make_folds,
        data,
        folds=folds,
        cv=cv,
        time_ordered=time_ordered,
        validation_split=validation_split,
        validation_rows=rows,
        seed=seed,
    )
    made = split_again(repeats=repeats)
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
    notes += [*next(iter(prepared.values())).notes, *more_notes]
    problem = Problem(
        dataset=data,
        folds=made,
        splits=splits,
        make_repeat=make_repeat,
        objective=chosen,
        direction=natural,
        metrics=metrics,
        seed=seed,
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


def in_memory(call: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call with arrays in the place of rows that come in batches.

    Raises:
        DataError: They do not fit into memory, or the target or the weights are given twice.
    """
    found = dict(call)
    for name in ("validation_data", "test_data"):
        if comes_in_batches(found.get(name)):
            found[name] = read_batches(found[name]).arrays
    if not comes_in_batches(found.get("x")):
        return found
    twice = [name for name in ("y", "target", "sample_weight") if found.get(name) is not None]
    if twice:
        raise DataError("batches hold the target and the weights", f"got `{twice[0]}` as well", "Leave it out.")
    found |= zip(("x", "y", "sample_weight"), read_batches(found["x"]).arrays, strict=False)
    return found


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


def check_options(
    *, repeats: Any, trials: Any, time_limit_s: Any, seed: Any, patience: Any, tolerance: Any = None
) -> None:
    """Refuses numbers that are out of range.

    Raises:
        OptionError: One is.
    """
    check_number("repeats", repeats, low=1, whole=True)
    check_number("seed", seed, low=0, whole=True)
    if trials is not None:
        check_number("trials", trials, low=1, whole=True)
    if patience is not None:
        check_number("patience", patience, low=0, whole=True)
    if time_limit_s is not None:
        check_number("time_limit_s", time_limit_s, low=0)
    if tolerance is not None:
        check_number("tolerance", tolerance, low=0)
        if tolerance == float("inf"):
            raise OptionError("`tolerance` must be finite", f"got {tolerance!r}", "Give it in units of the objective.")


def check_number(name: str, value: Any, *, low: float, whole: bool = False) -> None:
    """Refuses an argument that is not a number of at least `low`.

    Raises:
        OptionError: It is not.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or (whole and value != int(value)) or not value >= low:
        kind = "a whole number" if whole else "a number"
        raise OptionError(f"`{name}` must be {kind} of at least {low:g}", f"got {value!r}")
