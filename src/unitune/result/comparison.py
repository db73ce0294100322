"""The recommended trials of two runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from unitune.errors import OptionError, RunFolderError
from unitune.records import Score, sign_of
from unitune.result.search_result import Result
from unitune.stats import corrected_t_test


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """The recommended trials of two runs side by side.

    Attributes:
        objective, direction: Of the first run.
        scores: The recommended trial's score of each run, with the interval of `Result.estimate`.
        configurations: Labels of their configurations.
        difference: Second mean minus first mean.
        p: Two-sided p value of the difference, paired over folds; NaN where the runs are not paired.
        paired: Whether both saw the same rows, folds and seeds.
        verdict: A sentence.
    """

    objective: str
    direction: str
    scores: tuple[Score, Score]
    configurations: tuple[Mapping[str, Any], Mapping[str, Any]]
    difference: float
    p: float
    paired: bool
    verdict: str

    def table(self) -> pd.DataFrame:
        """A row for each run: mean, interval, training score, and the settings that differ."""
        first, second = self.configurations
        differing = [
            name for name in dict.fromkeys([*first, *second]) if first.get(name, None) != second.get(name, None)
        ]
        rows = [
            {
                "run": number,
                "mean": score.mean,
                "low": score.low,
                "high": score.high,
                "std": score.std,
                "train": score.train,
                **{name: configuration.get(name) for name in differing},
            }
            for number, (score, configuration) in enumerate(zip(self.scores, self.configurations, strict=True), 1)
        ]
        return pd.DataFrame(rows)

    def summary(self) -> dict[str, Any]:
        """The comparison as a tree of JSON values; NaN becomes None."""

        def number(value: float) -> float | None:
            return None if math.isnan(value) else value

        return {
            "objective": self.objective,
            "direction": self.direction,
            "runs": [
                {
                    "mean": number(score.mean),
                    "interval": [number(score.low), number(score.high)],
                    "std": number(score.std),
                    "train": number(score.train),
                    "configuration": dict(configuration),
                }
                for score, configuration in zip(self.scores, self.configurations, strict=True)
            ],
            "difference": number(self.difference),
            "p": number(self.p),
            "paired": self.paired,
            "verdict": self.verdict,
        }


def compare_runs(first: Result, second: Result) -> RunComparison:
    """Puts the recommended trials of two runs side by side, by the objective of the first.

    Where both runs saw the same rows, folds and seeds, the corrected resampled t-test (`unitune.stats.paired`) says
    whether they differ. It compares trials that were chosen among many, and so is too quick to see a difference.

    Raises:
        OptionError: The second run did not score the objective of the first.
    """
    run, other = first.run, second.run
    if run.objective not in other.metrics:
        raise OptionError(
            "Runs can be compared where both scored the same metric",
            f"the first has {run.objective}, the second {', '.join(other.metrics)}",
        )
    scores = (_score(first, run.objective), _score(second, run.objective))
    paired = (
        run.data["fingerprint"] == other.data["fingerprint"]
        and run.seed == other.seed
        and dict(run.folds) == dict(other.folds)
        and len(scores[0].values) == len(scores[1].values)
    )
    difference, p = scores[1].mean - scores[0].mean, math.nan
    if paired:
        p = corrected_t_test(
            np.array(scores[1].values), np.array(scores[0].values), validation_ratio=run.folds["validation_ratio"]
        ).p_two_sided
    better = difference * sign_of(run.direction) > 0
    which = "second" if better else "first"
    if difference == 0:
        verdict = f"Both reach the same {run.objective}."
    elif not paired:
        verdict = f"The {which} run is ahead, but the runs saw other rows or folds, so this may be luck of the split."
    elif math.isnan(p):
        verdict = f"The {which} run is ahead; a single split cannot say whether that is luck."
    elif p < 0.05:
        verdict = f"The {which} run is better beyond the noise of the folds (p = {p:.2g})."
    else:
        verdict = f"The {which} run is ahead, but within the noise of the folds (p = {p:.2g})."
    return RunComparison(
        objective=run.objective,
        direction=run.direction,
        scores=scores,
        configurations=(
            run.space.labels(first.recommended.configuration),
            other.space.labels(second.recommended.configuration),
        ),
        difference=difference,
        p=p,
        paired=paired,
        verdict=verdict,
    )


def _score(result: Result, metric: str) -> Score:
    """The recommended trial's score with the one interval that it has."""
    score = result.recommended.scores[metric]
    try:
        one = result.estimates[metric]
    except (RunFolderError, KeyError):
        return replace(score, low=math.nan, high=math.nan)
    return replace(score, low=one.low, high=one.high)
