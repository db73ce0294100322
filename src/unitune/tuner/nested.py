"""Nested cross-validation: the whole search inside each outer fold, its winner scored on rows that it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from unitune.data.dataset import Dataset
from unitune.data.folds import make_folds
from unitune.engine.contract import Engine
from unitune.models.metrics import ATTAINABLE, METRICS, evaluate
from unitune.options import TuneOptions
from unitune.records import Array
from unitune.search import Strategy
from unitune.stats import Cell, OutOfFold, model_scores, row_noise
from unitune.tuner.pose import Posed
from unitune.tuner.refit import Refitter
from unitune.tuner.run import run


def nested_estimates(
    data: Dataset,
    options: TuneOptions,
    *,
    pose: Callable[[Dataset], Posed],
    strategy: Callable[[], tuple[Strategy, int | None]],
    engine: Engine,
) -> dict[str, dict[str, Any]]:
    """What a search can be expected to reach on new rows, by doing it on parts of the rows.

    Args:
        data: All rows.
        options: Of the search. Its outer folds are stratified, grouped or in the order of time, as the inner ones; its
            time limit is shared.
        pose: From rows to the problem that a search is about.
        strategy: A new strategy, and its limit in trials.
        engine: Of the search.

    Returns:
        From each metric to `mean`, `low`, `high`, `method`: the outer folds as one trial of the model of scores. It is
        that of the procedure, and does not have the whole spread that other outer folds would give.

    Source: Varma and Simon, "Bias in error estimation when using cross-validation for model selection", BMC
        Bioinformatics 7 (2006).
    """
    nested, seed = options.nested, options.seed
    assert nested is not None
    share = None if options.time_limit_s is None else options.time_limit_s / (nested + 1)
    cells: list[Cell] = []
    scores: list[Mapping[str, Array]] = []
    for fold in make_folds(data, folds=nested, time_ordered=options.time_ordered, seed=seed):
        inner, held_out = pose(data.take(fold.train)), data.take(fold.validation)
        chosen, limit = strategy()
        result = run(
            replace(inner, tests=None, notes=()),
            chosen,
            engine=engine,
            budget=replace(options, trials=limit, time_limit_s=share),
            tolerance=options.tolerance,
            started=time.perf_counter(),
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
