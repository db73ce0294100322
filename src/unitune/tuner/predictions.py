"""The out-of-fold predictions of a search, as statistics take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unitune.data.folds import Fold
from unitune.stats import OutOfFold
from unitune.store import MemberBlock, gather
from unitune.tuner.problem import Problem

if TYPE_CHECKING:
    from unitune.tuner.loop import Searched


def out_of_fold(problem: Problem, found: Searched) -> OutOfFold | None:
    """The predictions of the complete trials on the rows held out from them; None where none were kept."""
    complete = [trial.number for trial in found.trials if trial.state == "complete"]
    return predictions_of(problem, found.blocks, complete, more_folds=found.more_folds)


def predictions_of(
    problem: Problem, blocks: Sequence[MemberBlock], numbers: Sequence[int], *, more_folds: Sequence[Fold] = ()
) -> OutOfFold | None:
    """The predictions of some trials on the rows held out from them, as far as they were trained and kept."""
    data = problem.dataset
    groups = None if data.groups is None else np.unique(data.groups, return_inverse=True)[1]
    return gather(
        blocks,
        numbers,
        rows={(fold.fold, fold.repeat): fold.validation for fold in (*problem.folds, *more_folds)},
        task=data.task,
        y=np.asarray(data.y),
        weight=data.sample_weight,
        groups=groups,
    )
