"""A run as one record, and its trials as one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from unitune.models.metrics import METRICS
from unitune.records import Direction, Score, Task, Trial, sign_of
from unitune.space import Space

TRIAL_PARTS = ("number", "state", "n_parameters", "elapsed_s", "engine", "engine_reason", "failure")
"""What is recorded of a trial as it is, beside its configuration and its scores."""
SCORE_PARTS = ("mean", "std", "low", "high", "train")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run was, apart from its trials and members.

    Attributes:
        objective, direction: What ranks the trials.
        metrics: Every metric that was scored, the objective first.
        task: The task.
        space: What could vary.
        strategy, engine: Their names, as they were chosen.
        seed: The seed of everything random.
        folds: How the rows were split: `n_folds`, `repeats`, `validation_ratio`, and `kind` in words.
        data: `n_rows`, `n_features`, `target`, `classes`, `schema` (how raw rows are read), `fingerprint`.
        elapsed_s: Seconds for each phase.
        versions: Versions of what computed the results.
        plans: How the engine trained each batch of trials: programs, tiles, padding, expected time.
        command: The command or call that started it.
        call: The arguments of `tune` that a file can hold; the names of the others under `"not_recorded"`.
        notes: Sentences for the user.
        left_out: What a limit kept from being trained, as a sentence; empty if nothing.
        interrupted: Whether the user stopped it.
        test_scores: The refitted winner's score on the test rows in each metric; empty without test rows.
        logits: Numbers of trials whose models predict logits.
        changes: What each change of a one-at-a-time search did, as rows of a table.
        spent: What `spend="repeats"` did: `rounds`, `members`, and `reason`, a sentence; empty if nothing.
        nested: From a metric to the estimate of nested cross-validation (`mean`, `low`, `high`, `method`, `naive`);
            empty without `nested`.
        objectives: All objectives with their directions, where there are several; the first ranks the trials.
        tolerance: What may be given away for a cheaper trial, in units of the objective; None for the usual.
        recommended: The number of the trial whose model was saved; None before.
        references: Simpler models on the same folds, each as a tree (`unitune.result.Reference`).
    """

    objective: str
    direction: Direction
    metrics: tuple[str, ...]
    task: Task
    space: Space
    strategy: str
    engine: str
    seed: int
    folds: Mapping[str, Any]
    data: Mapping[str, Any]
    elapsed_s: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    plans: tuple[str, ...] = ()
    command: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left_out: str = ""
    interrupted: bool = False
    test_scores: Mapping[str, float] = field(default_factory=dict)
    changes: tuple[Mapping[str, Any], ...] = ()
    logits: tuple[int, ...] = ()
    spent: Mapping[str, Any] = field(default_factory=dict)
    nested: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    objectives: tuple[tuple[str, Direction], ...] = ()
    tolerance: float | None = None
    recommended: int | None = None
    references: tuple[Mapping[str, Any], ...] = ()

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Its trials from best to worst; those that were repeated further come first, as `ranked` says why."""
        searched = int(self.folds["n_folds"]) * int(self.folds["repeats"])
        return ranked(trials, self.objective, self.direction, searched=searched if self.spent.get("members") else 0)

    def to_json(self) -> dict[str, Any]:
        """The record as a tree of JSON values."""
        tree = {name: getattr(self, name) for name in self.__dataclass_fields__}
        tree["space"] = self.space.to_json()
        return tree

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Run:
        """The record that `to_json` wrote."""
        values = {name: tree[name] for name in cls.__dataclass_fields__ if name in tree}
        values["space"] = Space.from_json(tree["space"])
        for name in ("metrics", "notes", "changes", "logits", "plans", "references"):
            values[name] = tuple(values.get(name, ()))
        values["objectives"] = tuple((name, direction) for name, direction in values.get("objectives", ()))
        return cls(**values)


def ranked(trials: Sequence[Trial], objective: str, direction: Direction, *, searched: int = 0) -> list[Trial]:
    """The trials from best to worst: by mean score, then fewer parameters, then number; failed ones last.

    Where some trials were repeated, those with no more than the `searched` members come after them: they were not worth
    it, and the luck that chose the first was averaged out of the repeated ones alone.
    """
    sign = -sign_of(direction)

    def place(trial: Trial) -> tuple[bool, bool, float, int, int]:
        mean = trial.scores[objective].mean if trial.state == "complete" else math.nan
        missing = math.isnan(mean)
        once = not missing and len(trial.scores[objective].values) <= searched
        return missing, once, 0.0 if missing else sign * mean, trial.n_parameters, trial.number

    return sorted(trials, key=place)


def trials_of(
    entries: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    scores: Mapping[int, Mapping[str, Mapping[str, float]]],
    members: pd.DataFrame,
) -> tuple[Trial, ...]:
    """Trials as they were recorded, whether in a store or in the files of a run folder.

    Args:
        entries: Of each trial what it has beside its scores.
        metrics: Their order.
        scores: From the number of a trial and a metric to `mean`, `std`, `low`, `high`, `train`.
        members: As `member_table` has them; their scores are the values of a trial's.
    """
    by_trial = dict(tuple(members.groupby("trial"))) if len(members) else {}
    trials = []
    for entry in entries:
        own = scores.get(entry["number"], {}) if entry["state"] != "failed" else {}
        kept = {}
        for metric in metrics:
            if metric in own:
                values = tuple(float(value) for value in by_trial[entry["number"]][f"validation_{metric}"])
                kept[metric] = Score(metric=metric, values=values, **own[metric])
        trials.append(Trial(**entry, scores=kept))
    return tuple(trials)


def varying(space: Space) -> list[str]:
    """The names of the hyperparameters that have more than one value."""
    return [name for name in space.names if space[name].domain.size > 1]


def gap(train: float, validation: float, direction: Direction) -> float:
    """How much worse the validation score is than the training score; positive means worse.

    Example:
        >>> round(gap(0.99, 0.95, "maximize"), 2), round(gap(0.1, 0.3, "minimize"), 2)
        (0.04, 0.2)
    """
    sign = sign_of(direction)
    return sign * train - sign * validation


def trials_table(
    trials: Sequence[Trial], run: Run, *, metric: str | None = None, everything: bool = False
) -> pd.DataFrame:
    """A row for each trial, from best to worst by the objective, failed ones last.

    Args:
        trials: The trials.
        run: The run that they belong to.
        metric: The metric to show; the objective if not given. The order of the rows is always the objective's.
        everything: Also the fixed hyperparameters, and the scores in all metrics.

    Returns:
        Columns `rank`, `trial`, `mean`, `low`, `high` (95 % interval), `std`, `train`, `gap`, the hyperparameters that
        vary, `parameters`, `seconds`, `engine`, where any trial could not be fused `engine_reason`, where any was
        stopped early `state`, and where any trial failed or was stopped `failure`. Trials that were not trained to
        their end have neither rank nor scores.
    """
    shown = metric or run.objective
    names = list(run.space.names) if everything else varying(run.space)
    order = run.ranked(trials)
    nothing = Score(metric=shown, mean=math.nan, std=math.nan, low=math.nan, high=math.nan, train=math.nan, values=())
    columns: dict[str, list[Any]] = {
        name: [] for name in ("rank", "trial", "mean", "low", "high", "std", "train", "gap")
    }
    settings: dict[str, list[Any]] = {name: [] for name in names}
    for rank, trial in enumerate(order, 1):
        complete = trial.state == "complete"
        score = trial.scores.get(shown, nothing) if complete else nothing
        row = (
            rank if complete else None,
            trial.number,
            score.mean,
            score.low,
            score.high,
            score.std,
            score.train,
            gap(score.train, score.mean, METRICS[shown].direction),
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
        for name in names:
            active = name in trial.configuration
            settings[name].append(run.space.label(name, trial.configuration[name]) if active else math.nan)
    frame = pd.DataFrame({**columns, **{name: setting_column(values) for name, values in settings.items()}})
    frame["rank"] = frame["rank"].astype("Int64")
    frame["parameters"] = [trial.n_parameters for trial in order]
    frame["seconds"] = [trial.elapsed_s for trial in order]
    frame["engine"] = [trial.engine for trial in order]
    if any(trial.engine_reason for trial in order):
        frame["engine_reason"] = [trial.engine_reason for trial in order]
    if everything:
        for other in run.metrics:
            for part in SCORE_PARTS:
                frame[f"{other}_{part}"] = [getattr(t.scores.get(other, nothing), part) for t in order]
        frame["state"] = [trial.state for trial in order]
    elif any(trial.state == "stopped" for trial in order):
        frame["state"] = [trial.state for trial in order]
    if everything or any(trial.failure for trial in order):
        frame["failure"] = [trial.failure for trial in order]
    return frame


def setting_column(values: list[Any]) -> Any:
    """Whole numbers stay whole beside missing values, and beside text the value None is not what is missing (NaN)."""
    present = [value for value in values if not pd.isna(value)]
    if present and len(present) < len(values) and all(type(value) is int for value in present):
        return pd.array([None if pd.isna(value) else value for value in values], dtype="Int64")
    if None in values and any(isinstance(value, str | bool) for value in present):
        return pd.Series(values, dtype=object)
    return values
