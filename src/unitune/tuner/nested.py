"""Nested cross-validation: the whole search inside each outer fold, its winner scored on rows that it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.data.dataset import Dataset
from unitune.data.folds import make_folds
from unitune.engine.contract import Engine
from unitune.errors import OptionError
from unitune.models.metrics import ATTAINABLE, METRICS, evaluate
from unitune.records import Array
from unitune.search import Strategy
from unitune.space import Space
from unitune.stats import Cell, OutOfFold, model_scores, row_noise
from unitune.tuner.budget import Budget
from unitune.tuner.pose import check_number
from unitune.tuner.refit import Refitter
from unitune.tuner.run import run

if TYPE_CHECKING:
    from unitune.tuner.posed import Posed


def check_nested(nested: Any, *, cv: Any, validation_data: Any) -> None:
    """Refuses what nested cross-validation cannot do.

    Raises:
        OptionError: The number is below 2, or the inner splits are tied to certain rows.
    """
    if nested is None:
        return
    check_number("nested", nested, low=2, whole=True)
    if validation_data is not None:
        raise OptionError("`nested` cannot be combined with `validation_data`", "", "Use `folds` for the inner splits.")
    if cv is not None and not hasattr(cv, "split"):
        raise OptionError(
            "`nested` splits anew inside each outer fold", "`cv` holds row numbers", "Give a splitter, or use `folds`."
        )


def nested_estimates(
    data: Dataset,
    nested: int,
    *,
    pose: Callable[[Dataset], Posed],
    strategy: Callable[[], tuple[Strategy, int | None]],
    space: Space,
    engine: Engine,
    time_limit_s: float | None,
    time_ordered: bool,
    spend: str | None,
    tolerance: float | None,
    seed: int,
    budget: Budget | None = None,
) -> dict[str, dict[str, Any]]:
    """What a search can be expected to reach on new rows, by doing it on parts of the rows.

    Args:
        data: All rows.
        nested: Outer folds; stratified, grouped or in the order of time, as the inner ones.
        pose: From rows to the problem that a search is about.
        strategy: A new strategy, and its limit in trials.
        space, engine, spend, tolerance, seed, budget: Of the search.
        time_limit_s: Of each search.
        time_ordered: Whether outer folds, too, train on earlier rows.

    Returns:
        From each metric to `mean`, `low`, `high`, `method`: the outer folds as one trial of the model of scores. It is
        that of the procedure, and does not have the whole spread that other outer folds would give.

    Source: Varma and Simon, "Bias in error estimation when using cross-validation for model selection", BMC
        Bioinformatics 7 (2006).
    """
    cells: list[Cell] = []
    scores: list[Mapping[str, Array]] = []
    for fold in make_folds(data, folds=nested, time_ordered=time_ordered, seed=seed):
        inner, held_out = pose(data.take(fold.train)), data.take(fold.validation)
        chosen, limit = strategy()
        result = run(
            inner.problem,
            chosen,
            space=space,
            network=inner.network,
            engine=engine,
            limit=limit,
            time_limit_s=time_limit_s,
            started=time.perf_counter(),
            listeners=(),
            notes=(),
            tests=None,
            command="",
            folder=None,
            overwrite=False,
            spend=spend,
            tolerance=tolerance,
            budget=budget,
            by_steps=inner.by_steps,
        )
        refitter = Refitter(problem=inner.problem, network=inner.network, test_data=held_out, averages=inner.by_steps)
        predictions = refitter.predictions(result.recommended, result.model(), held_out)
        scores.append(evaluate(inner.problem.metrics, held_out.y, predictions, held_out.sample_weight, task=data.task))
        cells.append(
            Cell(fold=fold.fold, repeat=0, rows=fold.validation, trials=np.zeros(1, dtype=int), predictions=predictions)
        )
        if result.interrupted:
            raise KeyboardInterrupt
    groups = None if data.groups is None else np.unique(data.groups, return_inverse=True)[1]
    outer = OutOfFold(
        task=data.task,
        y=np.asarray(data.y),
        numbers=np.zeros(1, dtype=int),
        cells=tuple(cells),
        weight=data.sample_weight,
        groups=groups,
    )
    found = {}
    for metric in scores[0]:
        values = np.array([[float(one[metric][0]) for one in scores]])
        posterior = model_scores(
            values,
            METRICS[metric].direction,
            validation_ratio=1 / (nested - 1),
            attainable=ATTAINABLE.get(metric, (-np.inf, np.inf)),
            rows=row_noise(outer, metric, seed=seed),
            seed=seed,
        )
        low, high = posterior.interval()
        found[metric] = {"mean": float(posterior.mean[0]), "low": float(low[0]), "high": float(high[0])}
    method = f"nested cross-validation with {nested} outer folds"
    return {name: {**one, "method": method} for name, one in found.items()}
