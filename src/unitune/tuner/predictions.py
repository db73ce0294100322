"""The out-of-fold predictions of a search, as statistics take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unitune.data.folds import Fold
from unitune.records import Trial
from unitune.stats import OutOfFold
from unitune.store import MemberBlock, gather
from unitune.tuner.problem import Problem


@dataclass(kw_only=True, eq=False)
class Searched:
    """What the loop leaves behind: trials and members, the numbers of trials with logits, and how it ended.

    `more_folds` are those of repeats beyond the problem's, which `spend="repeats"` trained. `proposing_s` are the
    seconds that the strategy took, `waited_s` those of them in which nothing was trained.
    """

    trials: list[Trial] = field(default_factory=list)
    blocks: list[MemberBlock] = field(default_factory=list)
    logits: list[int] = field(default_factory=list)
    more_folds: list[Fold] = field(default_factory=list)
    left_out: str = ""
    interrupted: bool = False
    proposing_s: float = 0.0
    waited_s: float = 0.0


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
