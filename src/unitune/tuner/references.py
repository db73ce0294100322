"""What simpler models do on the folds of a search: shown beside its trials, never ranked among them."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.data.arrays import Split, n_rows
from unitune.engine.contract import Job
from unitune.engine.fused import FusedEngine
from unitune.errors import OptionError, TrainingError, suggest
from unitune.models.blueprint import Blueprint, EarlyStopping, LayerSpec, OptimizerSpec, Training
from unitune.models.heads import head
from unitune.models.metrics import ATTAINABLE, evaluate
from unitune.models.splits import training_weights
from unitune.records import Array, Member
from unitune.result import Reference
from unitune.stats import summarise
from unitune.tuner.collect import in_users_units
from unitune.tuner.defaults import LEARNING_RATE, until_learnt
from unitune.tuner.problem import Problem

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

REFERENCES = ("majority", "linear", "boosting")
"""The kinds, from the simplest on; `majority` is the mean of the target where that is a number."""

MOST_ROWS_TO_BOOST = 100_000
SECONDS_TO_BOOST = 20.0
"""A search that took less may be followed by so long a boosting."""

# Of one tree, as measured on one core: for each number in the rows, and beside them.
TREE_NUMBER_S = 6e-9
TREE_S = 2e-3
TREES = 100


def check_references(references: Any) -> tuple[str, ...]:
    """The kinds that `references=` asks for.

    Raises:
        OptionError: It is neither `"auto"`, nor False, nor names of kinds.

    Example:
        >>> check_references("auto"), check_references(False), check_references(["linear"])
        (('majority', 'linear', 'boosting'), (), ('linear',))
    """
    if references is True or references == "auto":
        return REFERENCES
    if references is None or references is False or references == "none":
        return ()
    names = [references] if isinstance(references, str) else list(references)
    for name in names:
        if name not in REFERENCES:
            raise OptionError(
                "`references` must be names of simpler models", f"got {name!r}", suggest(str(name), REFERENCES)
            )
    return tuple(name for name in REFERENCES if name in names)


def train_references(
    problem: Problem, kinds: Sequence[str], *, search_s: float, all_of_them: bool = False, ends: float = math.inf
) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
    """Trains simpler models on the folds of a problem.

    Args:
        problem: Rows, folds and metrics.
        kinds: Of `REFERENCES`. Those that the rows do not allow are left out: a linear model takes rows of one axis,
            and so does boosting, which predicts one number.
        search_s: Seconds that the search took; boosting is left out where it is expected to take longer.
        all_of_them: Whether it never is.
        ends: When they must have ended, by `time.perf_counter`; what would take longer is left out, but for `majority`.

    Returns:
        The references in the order of `REFERENCES`, and sentences on what was left out.
    """
    found, notes = [], []
    for kind in kinds:
        started = time.perf_counter()
        most_s = max(search_s, SECONDS_TO_BOOST)
        note = _why_not(problem, kind, most_s, left_s=ends - started, all_of_them=all_of_them)
        if note is not None:
            notes += [note] if note else []
            continue
        try:
            if kind == "majority":
                predictions = [_constant(problem, place) for place in range(len(problem.folds))]
            elif kind == "linear":
                predictions = _linear(problem)
            else:
                predictions = [_boosted_fold(problem, place, split) for place, split in enumerate(problem.splits)]
            found.append(_scored(problem, kind, predictions, time.perf_counter() - started))
        except Exception as error:  # what is only shown beside a search must not lose it
            first = (str(error).strip().splitlines() or [""])[0]
            notes.append(f"The reference `{kind}` could not be trained: {type(error).__name__}: {first}")
    return tuple(found), tuple(notes)


def _why_not(problem: Problem, kind: str, most_s: float, *, left_s: float, all_of_them: bool) -> str | None:
    """Why a kind is left out: a sentence, or nothing where it cannot be meant for these rows; None where it is not."""
    x, data = problem.splits[0].x_train, problem.dataset
    if kind == "majority":
        return None
    if not (isinstance(x, np.ndarray) and x.ndim == 2):
        return ""
    if kind == "boosting" and data.task == "regression" and data.n_outputs > 1:
        return ""
    if all_of_them:
        return None
    if (boosting_cost(problem) if kind == "boosting" else 0) >= left_s:
        return f"The reference `{kind}` was left out: it would not have ended within `time_limit_s`."
    if kind == "linear":
        return None
    if max(n_rows(split.x_train) for split in problem.splits) > MOST_ROWS_TO_BOOST:
        return f"Boosting is no reference here: there are more than {MOST_ROWS_TO_BOOST:,} rows."
    expected_s = boosting_cost(problem)
    if expected_s > most_s:
        return f"Boosting is no reference here: it would take about {expected_s:.0f} s, longer than the search."
    return None


def _scored(problem: Problem, kind: str, predictions: Sequence[Array], elapsed_s: float) -> Reference:
    """`predictions` are `(row, output)` of each fold, as metrics take them."""
    data = problem.dataset
    values: dict[str, list[float]] = {name: [] for name in problem.metrics}
    for fold, split, predicted in zip(problem.folds, problem.splits, predictions, strict=True):
        truth = data.y[fold.validation]
        scored = evaluate(problem.metrics, truth, predicted[None], split.w_val, task=data.task)
        for name in problem.metrics:
            values[name].append(float(scored[name][0]))
    summaries = {
        name: summarise(
            np.array(own),
            validation_ratio=problem.validation_ratio,
            attainable=ATTAINABLE.get(name, (-np.inf, np.inf)),
        )
        for name, own in values.items()
    }
    return Reference(
        kind=kind,
        task=data.task,
        values={name: tuple(own) for name, own in values.items()},
        intervals={name: (float(one.low), float(one.high)) for name, one in summaries.items()},
        elapsed_s=elapsed_s,
    )


def _constant(problem: Problem, place: int) -> Array:
    """The shares of the classes, or the mean of the target, for every validation row."""
    data, fold = problem.dataset, problem.folds[place]
    n = len(fold.validation)
    weight = None if data.sample_weight is None else data.sample_weight[fold.train]
    y = data.y[fold.train]
    if data.task == "regression":
        return np.repeat(np.average(y, axis=0, weights=weight)[None], n, axis=0)
    shares = np.bincount(y, weights=weight, minlength=data.n_classes)
    shares = shares / shares.sum()
    return np.repeat((shares[1:] if data.task == "binary" else shares)[None], n, axis=0)


def _linear(problem: Problem) -> list[Array]:
    """A network without hidden layers, trained as the others are; in a program whatever `engine=` says, for its speed.

    Raises:
        TrainingError: A member failed.
    """
    data = problem.dataset
    own = head(data.task, n_classes=data.n_classes or None, n_outputs=data.n_outputs)
    learning = until_learnt(int(np.median([len(fold.train) for fold in problem.folds])))
    training = Training(
        optimizer=OptimizerSpec(class_name="Adam", learning_rate=LEARNING_RATE),
        loss=own.loss,
        metrics=own.metrics,
        batch_size=learning.batch_size,
        epochs=learning.epochs,
        early_stopping=EarlyStopping(patience=learning.patience, min_delta=learning.min_delta),
    )
    layer = LayerSpec(class_name="Dense", config={"units": own.units, "activation": own.activation})
    jobs = [
        Job(
            member=Member(trial=0, fold=fold, repeat=repeat, seed=seed),
            split=place,
            blueprint=Blueprint(layers=(layer,)),
            training=training,
        )
        for place, (fold, repeat, seed) in enumerate(problem.places)
    ]
    found: dict[int, Array] = {}
    for outcome in FusedEngine(probes=False).train(jobs, problem.splits):
        for job, failure, raw in zip(outcome.jobs, outcome.failures, outcome.validation_predictions, strict=True):
            predicted = in_users_units(problem.splits[job.split], np.asarray(raw, dtype=np.float64))
            if failure or not np.isfinite(predicted).all():
                raise TrainingError(failure or "it diverged")
            found[job.split] = predicted
    return [found[place] for place in range(len(jobs))]


def boosting_cost(problem: Problem) -> float:
    """An estimate in core seconds of boosting on all folds: trees for each class, over all numbers of the rows."""
    numbers: int = sum(int(split.x_train.size) for split in problem.splits)
    trees: int = TREES * (problem.dataset.n_classes if problem.dataset.task == "multiclass" else 1)
    return float(trees * (numbers * TREE_NUMBER_S + len(problem.splits) * TREE_S))


def _boosted_fold(problem: Problem, place: int, split: Split) -> Array:
    """What scikit-learn's histogram gradient boosting predicts for the validation rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    data, fold = problem.dataset, problem.folds[place]
    classes = data.task != "regression"
    model: BaseEstimator = (HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor)(
        random_state=problem.seed
    )
    y = data.y[fold.train]
    # Its threads wait for each other by spinning: on a machine that does other things, too, two were 100 times slower.
    with threadpool_limits(limits=1, user_api="openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a constant feature, say: nothing that a user of networks could act on
        model.fit(split.x_train, y if classes else y[:, 0], sample_weight=training_weights(data, fold.train))
        if not classes:
            return np.asarray(model.predict(split.x_val), dtype=np.float64)[:, None]
        shares = model.predict_proba(split.x_val)
    # A fold may lack a class.
    whole = np.zeros((len(shares), data.n_classes))
    whole[:, model.classes_.astype(int)] = shares
    return whole[:, 1:] if data.task == "binary" else whole
