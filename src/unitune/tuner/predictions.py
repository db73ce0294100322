"""The out-of-fold predictions of a search, as statistics take them."""

from __future__ import annotations

import numpy as np

from unitune.stats import OutOfFold
from unitune.store import gather
from unitune.tuner.loop import Searched
from unitune.tuner.problem import Problem


def out_of_fold(problem: Problem, found: Searched) -> OutOfFold | None:
    """The predictions of the complete trials on the rows held out from them; None where none were kept."""
    data = problem.dataset
    groups = None if data.groups is None else np.unique(data.groups, return_inverse=True)[1]
    return gather(
        found.blocks,
        [trial.number for trial in found.trials if trial.state == "complete"],
        rows={(fold.fold, fold.repeat): fold.validation for fold in (*problem.folds, *found.more_folds)},
        task=data.task,
        y=np.asarray(data.y),
        weight=data.sample_weight,
        groups=groups,
    )
