"""Everything that a report shows, as one record: the report knows no `Result`, and a test can make it by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from unitune.records import Finding, Trial
from unitune.report.prepared.architecture import Layer


class Estimate(Protocol):
    """What the report reads of an estimate: the score to expect, its 95 % interval, and the mean over the folds."""

    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def mean(self) -> float: ...  # noqa: D102
    @property
    def low(self) -> float: ...  # noqa: D102
    @property
    def high(self) -> float: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def naive(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """What a run found.

    Attributes:
        name: Of the run.
        objective, direction, task: What ranked the trials, and what they predict.
        table: A row for each trial, from best to worst, with the fixed hyperparameters and all metrics.
        trials: By number.
        labels: From a trial's number to what is its own: "units 64, activation gelu".
        settings: The names of the hyperparameters that vary.
        best, recommended: Numbers of trials; None where every trial failed.
        credible: Numbers of the trials of which one is the best with 95 %, likeliest first; empty if unknown.
        conclusion: Three sentences.
        estimates: From a metric to what to expect of the recommended trial; empty where nothing tells.
        no_estimate: Why there is none, as a sentence; empty if there is nothing to say.
        test_scores: From a metric to the recommended trial's score on test rows; empty without test rows.
        history, probes: Of a trial, by its number, in long form.
        best_epoch: Of the folds, to which the final model is trained; by a trial's number.
        kinds: The kinds of findings about a trial, by its number; None where nothing was diagnosed.
        fitting: Numbers of the trials that fit well.
        findings: What was diagnosed; None where nothing was.
        next_space: The next search as code; empty where there is none.
        interplay: Columns `term`, `share`, `low`, `high`; None where it is not known, and `no_interplay` says why.
        marginals: For each hyperparameter that varies its marginals, as `Result.marginals` has them.
        trial_health: Columns `trial`, `dead_units`, `saturated` (shares in the worst layer at the end) and
            `gradient_flow` (norm in the first over that in the last dense layer); None where nothing was measured.
        references: A row for each simpler model on the same folds, as `Result.references` has them.
        layers: Of the recommended trial's network; empty where they are not known.
        standardised: Whether losses are in standard deviations of the target.
        how: What is needed to repeat the run: from a heading to names and values.
        notes: What was inferred and decided, as sentences.
    """

    name: str
    objective: str
    direction: str
    task: str
    table: pd.DataFrame
    trials: Mapping[int, Trial]
    labels: Mapping[int, str]
    settings: tuple[str, ...]
    best: int | None
    recommended: int | None
    credible: tuple[int, ...]
    conclusion: tuple[str, ...]
    history: Callable[[int], pd.DataFrame]
    probes: Callable[[int], pd.DataFrame]
    best_epoch: Callable[[int], int]
    kinds: Callable[[int], Collection[str] | None] = lambda number: None
    fitting: Collection[int] = ()
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    no_estimate: str = ""
    test_scores: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] | None = None
    next_space: str = ""
    interplay: pd.DataFrame | None = None
    no_interplay: str = ""
    marginals: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    trial_health: pd.DataFrame | None = None
    references: pd.DataFrame | None = None
    layers: tuple[Layer, ...] = ()
    standardised: bool = False
    how: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
