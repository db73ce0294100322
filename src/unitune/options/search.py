"""How a space is searched, what that may cost, and what trains the networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from unitune.errors import OptionError
from unitune.options.base import Options
from unitune.options.flags import AtLeast, Flag
from unitune.records import Direction, Trial, sign_of

if TYPE_CHECKING:
    from unitune.result import Result
    from unitune.search import Strategy

PANEL = "How it is searched"


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchOptions(Options):
    """How a space is searched.

    Args:
        strategy: `"grid"`, `"random"`, `"qmc"`, `"tpe"`, `"gp"`, `"cmaes"`, `"nsga2"`, `"nsga3"`, `"racing"`,
            `"halving"`, `"hyperband"`, `"one-at-a-time"`, or a `unitune.strategy.Strategy`; `"auto"` chooses by space
            and budget, and says why.
        baseline: Values of the first trial, from which `"one-at-a-time"` starts; what is left out is in the middle of
            its domain.
        enqueue: Configurations that are trained next, or parts of them.
        warm_start: A result or run folder on the same rows: its trials are known to the strategy, and its best is
            trained again.
    """

    panel: ClassVar[str] = PANEL

    strategy: Annotated[
        "str | Strategy",
        Flag("grid, random, qmc, tpe, gp, cmaes, nsga2, racing, halving, ...; chosen by itself."),
    ] = "auto"
    baseline: Annotated[Mapping[str, Any] | None, Flag("Values of the first trial: units=64,activation=relu.")] = None
    enqueue: Annotated[
        Sequence[Mapping[str, Any]] | None,
        Flag("A configuration that is trained first, like --baseline; may be given several times.", many=True),
    ] = None
    warm_start: Annotated[
        "Result | str | Path | None",
        Flag("A run folder on the same rows, whose trials the strategy learns from.", Path),
    ] = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Budget(Options):
    """What a search may use; None for no limit.

    Args:
        trials: Trials at most; if nothing limits a search of endlessly many configurations, 100.
        member_limit: Networks at most.
        epoch_limit: Epochs at most, over all networks; no trial is started that could exceed them.
        time_limit_s: Seconds at most; of a run that is kept, with the refit and the report. No trial is started that is
            not expected to end in time, and what is half-trained then is given up. The first trial is always trained to
            its end; without `epochs`, networks train no longer than leaves room for a few of them.
        target_score: Begin no further trials once one has reached this mean score in the objective.
        spend: `"repeats"`: what the search leaves of the budget (a third is kept where it would use all) goes to
            repeats of the trials for which they are worth most, until the expected loss is within the tolerance.
    """

    panel: ClassVar[str] = PANEL

    trials: Annotated[int | None, Flag("Trials at most.", int), AtLeast(1, whole=True)] = None
    member_limit: Annotated[int | None, Flag("Networks at most.", int), AtLeast(1, whole=True)] = None
    epoch_limit: Annotated[int | None, Flag("Epochs at most, over all networks.", int), AtLeast(1, whole=True)] = None
    target_score: Annotated[
        float | None, Flag("Begin no further trials once one has reached this score.", float), AtLeast(float("-inf"))
    ] = None
    time_limit_s: Annotated[
        float | None,
        Flag("Seconds at most; nothing is started that cannot end in time.", float, ("--time-limit",)),
        AtLeast(0),
    ] = None
    spend: Annotated[
        str | None, Flag("repeats: what is left of the budget goes to repeats of those that may be the best.")
    ] = None

    def __post_init__(self) -> None:
        """Refuses numbers that are out of range, and what is no way to spend.

        Raises:
            OptionError: `spend` is not `"repeats"`, nor `"ties"`, as it was called; or as in all groups.
        """
        super().__post_init__()
        if self.spend not in (None, "repeats", "ties"):
            raise OptionError('`spend` must be "repeats"', f"got {self.spend!r}", "Leave it out to search only.")

    @property
    def ends(self) -> bool:
        """Whether anything but the number of trials ends a search."""
        return any(limit is not None for limit in (self.time_limit_s, self.member_limit, self.epoch_limit))

    def trials_of(self, n_members: int) -> int | None:
        """How many trials of so many members the limit of members allows.

        Raises:
            OptionError: None.
        """
        if self.member_limit is None:
            return None
        if self.member_limit < n_members:
            raise OptionError(
                "`member_limit` must allow one trial", f"got {self.member_limit}, and a trial has {n_members} networks"
            )
        return self.member_limit // n_members

    def n_fitting(self, epochs: Sequence[int], n_members: int, spent: int) -> int:
        """How many trials fit into the epochs that are left, from the first on, if all run to their end.

        Args:
            epochs: Of a member of each trial.
            n_members: Members of a trial.
            spent: Epochs that were trained.

        Raises:
            OptionError: Not even the first trial of the search fits.

        Example:
            >>> Budget(epoch_limit=100).n_fitting([8, 8, 8], n_members=5, spent=10)
            2
        """
        if self.epoch_limit is None:
            return len(epochs)
        fitting = int(np.searchsorted(np.cumsum(epochs) * n_members, self.epoch_limit - spent, side="right"))
        if not fitting and not spent:
            raise OptionError(
                "`epoch_limit` must allow one trial",
                f"got {self.epoch_limit:,}, and a trial has {n_members} × {epochs[0]:,} epochs",
            )
        return fitting

    def is_reached(self, best: Trial | None, metric: str, direction: Direction) -> bool:
        """Whether the best trial is as good as the target."""
        if self.target_score is None or best is None or best.state != "complete":
            return False
        return sign_of(direction) * (best.scores[metric].mean - self.target_score) >= 0


@dataclass(frozen=True, kw_only=True, eq=False)
class BesideOptions(Options):
    """What is trained beside the trials.

    Args:
        nested: Outer folds of nested cross-validation, from 2: the whole search again inside each, its winner trained
            on the outer training rows and scored on the others. `Result.estimate` is then this, at `nested` times the
            cost; a time limit is shared, and other limits hold for each search.
        references: Simpler models that are shown beside the trials, on the same folds (`Result.references`):
            `"majority"` (of numbers the mean), `"linear"`, `"boosting"`; False for none. `"auto"`: all three for dense
            networks, boosting only up to 100,000 rows and where it takes no longer than the search.
    """

    panel: ClassVar[str] = PANEL

    nested: Annotated[
        int | None, Flag("Nested cross-validation with so many outer folds.", int), AtLeast(2, whole=True)
    ] = None
    references: Annotated[
        Any, Flag("Simpler models to show beside the trials: majority,linear,boosting, auto or none.")
    ] = "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingOptions(Options):
    """What trains the networks, and how much of their score may be given away.

    Args:
        tolerance: What may be given away, in units of the objective, for a cheaper trial (`Result.recommended`), 0 or
            more; a quarter of the standard error of a score if not given. 0 takes the trial of the smallest expected
            loss.
        engine: `"auto"` (the fastest for each network: plain `fit` where there are too few to compile a program for),
            `"fused"` (programs for all; an error where a network has no fused form) or `"solo"` (`fit` for all); in
            tests a `unitune.testing.FakeEngine`.
        executor: Where members are trained: `"threads"` of this process if not given; `"ray"`, or a `unitune.Ray(...)`
            that says how, for the workers of a Ray cluster.
    """

    panel: ClassVar[str] = PANEL

    tolerance: Annotated[
        float | None,
        Flag("What may be given away for a cheaper network, in units of the objective; 0: nothing.", float),
        AtLeast(0),
    ] = None
    engine: Annotated[Any, Flag("auto, fused or solo.")] = "auto"
    executor: Any = None

    def __post_init__(self) -> None:
        """Refuses a tolerance without end.

        Raises:
            OptionError: It has none; or as in all groups.
        """
        super().__post_init__()
        if self.tolerance == float("inf"):
            raise OptionError(
                "`tolerance` must be finite", f"got {self.tolerance!r}", "Give it in units of the objective."
            )
