"""How sure a search is, by one model of all its scores: what may be best, what to take, what to expect of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from unitune.errors import OptionError, RunFolderError, TrainingError
from unitune.models.metrics import ATTAINABLE, METRICS
from unitune.records import Array, Direction, Trial
from unitune.space import Space
from unitune.stats import (
    Estimate,
    OutOfFold,
    Posterior,
    RowNoise,
    Worth,
    design_of,
    model_scores,
    repeats_to_settle,
    row_noise,
)
from unitune.store import Run
from unitune.store.run import varying

MODELLED = 5_000  # best trials; those behind them are not part of the model
OTHERS = 200  # of which other metrics than the objective are modelled
METHOD = "model of all scores"
RACING = "racing"
COLUMNS = ("expected", "low", "high", "p_best", "expected_loss")


class Certainty:
    """Statistics of a run, each computed when it is first asked for.

    Args:
        run: The run.
        trials: Its trials.
        predictions: Gives the out-of-fold predictions, or None where they were not kept.
    """

    def __init__(self, run: Run, trials: Sequence[Trial], predictions: Callable[[], OutOfFold | None]) -> None:
        self.run = run
        self.ranked = [one for one in run.ranked(trials) if one.state == "complete"]
        stopped = [one for one in trials if one.state == "stopped"]
        self.n_stopped = len(stopped)
        self.raced = [one for one in stopped if _is_judged(one, run)] if run.strategy == RACING else []
        self._get_predictions = predictions
        self._posteriors: dict[str, Posterior] = {}

    @cached_property
    def predictions(self) -> OutOfFold | None:
        """The out-of-fold predictions that were kept."""
        return self._get_predictions()

    @property
    def modelled(self) -> list[Trial]:
        """The trials of the model, in its order: the complete ones, best first, then those that racing stopped.

        A stopped trial's scores are those of the folds that it was trained on, and count as such: why it was stopped is
        in the scores. Halving's are of fewer epochs, another quantity, and are left out.
        """
        return [*self.complete, *self.raced[: MODELLED - len(self.complete)]]

    @property
    def complete(self) -> list[Trial]:
        """The complete trials of the model, best first."""
        if not self.ranked:
            raise TrainingError("All trials failed, so none is the best.")
        return self.ranked[:MODELLED]

    @property
    def n_unknown(self) -> int:
        """How many trials were stopped after fewer epochs than the others, so that the model does not have them."""
        return self.n_stopped - len(self.raced)

    @cached_property
    def is_known(self) -> bool:
        """Whether anything tells luck from quality: several scores of a trial, or predictions."""
        several = any(len(one.scores[self.run.objective].values) > 1 for one in self.modelled)
        return several or self.predictions is not None

    @property
    def posterior(self) -> Posterior:
        """What is known of the true scores of `modelled` in the objective."""
        return self._posterior_of(self.run.objective)

    def _posterior_of(self, metric: str) -> Posterior:
        if metric not in self._posteriors:
            run = self.run
            self._posteriors[metric] = posterior_of(
                self._of_metric(metric),
                self.predictions,
                metric,
                METRICS[metric].direction,
                space=run.space,
                n_folds=int(run.folds["n_folds"]),
                validation_ratio=float(run.folds["validation_ratio"]),
                seed=run.seed,
            )
        return self._posteriors[metric]

    def _of_metric(self, metric: str) -> list[Trial]:
        trials = self.modelled
        if metric == self.run.objective:
            return trials
        chosen = self.recommended
        return trials[:OTHERS] + ([chosen] if chosen not in trials[:OTHERS] else [])

    @property
    def tolerance(self) -> float:
        """What is given away for a cheaper trial, in units of the objective."""
        return self.posterior.tolerance if self.run.tolerance is None else self.run.tolerance

    @cached_property
    def credible(self) -> tuple[int, ...]:
        """Numbers of the trials of which one is the truly best with 95 %, likeliest first; all, where nothing tells."""
        trials = self.modelled
        places = self.posterior.credible() if self.is_known else range(len(trials))
        return tuple(trials[place].number for place in places)

    @cached_property
    def recommended(self) -> Trial:
        """The cheapest trial whose expected loss is within the tolerance of the smallest (`Posterior.recommend`).

        The one that was recommended when the run was saved; the best where nothing tells luck from quality.
        """
        trials = self.complete
        saved = next((one for one in self.ranked if one.number == self.run.recommended), None)
        if saved is not None:
            return saved
        if not self.is_known or len(trials) == 1:
            return trials[0]
        sizes, times = [one.n_parameters for one in trials], [_seconds(one) for one in trials]
        return trials[self.posterior.recommend(sizes, times, self.run.tolerance)]

    @cached_property
    def is_settled(self) -> bool:
        """Whether the trial of the smallest expected loss is as good as the best, within the tolerance."""
        return float(self.posterior.expected_loss[: len(self.complete)].min()) <= self.margin

    @cached_property
    def to_settle(self) -> Worth | None:
        """The repeats after which it would be settled; None where fifty would not do."""
        return repeats_to_settle(
            self.posterior, members=int(self.run.folds["n_folds"]), tolerance=self.margin, seed=self.run.seed
        )

    @property
    def margin(self) -> float:
        """Differences up to this do not matter: the tolerance, or where it is 0, within which nothing is ever settled,
        the usual one."""
        return self.tolerance or self.posterior.tolerance

    @property
    def place(self) -> int:
        """Where the recommended trial stands in the model."""
        return self.modelled.index(self.recommended)

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """What to expect of the recommended trial in each metric.

        Raises:
            RunFolderError: Nothing tells: one score of each trial, whose predictions were not kept.
        """
        run, chosen = self.run, self.recommended
        if run.nested:
            return {
                name: Estimate(metric=name, **_numbers({**one, "naive": chosen.scores[name].mean}))
                for name, one in run.nested.items()
            }
        if not self.is_known:
            raise RunFolderError(
                "An estimate needs folds, or out-of-fold predictions",
                "this run has one score of each trial",
                "Use `folds=5`.",
            )
        found = {}
        for metric in run.metrics:
            if not math.isfinite(chosen.scores[metric].mean):
                continue
            posterior, place = self._posterior_of(metric), self._of_metric(metric).index(chosen)
            low, high = posterior.interval()
            found[metric] = Estimate(
                metric=metric,
                mean=float(posterior.mean[place]),
                low=float(low[place]),
                high=float(high[place]),
                method=METHOD,
                naive=chosen.scores[metric].mean,
            )
        return found

    def columns(self, metric: str | None = None) -> pd.DataFrame:
        """What the model says of each trial, by number; NaN where nothing can be said.

        Args:
            metric: The objective if not given.

        Returns:
            Columns `expected`, `low`, `high` in the metric; `p_best`, `expected_loss` in the objective.
        """
        metric = metric or self.run.objective
        index = [one.number for one in self.modelled]
        if not self.is_known:
            return pd.DataFrame(math.nan, index=index, columns=list(COLUMNS))
        posterior, trials = self._posterior_of(metric), self._of_metric(metric)
        low, high = posterior.interval()
        scores = pd.DataFrame(
            {"expected": posterior.mean, "low": low, "high": high}, index=[one.number for one in trials]
        )
        best = {"p_best": self.posterior.probability_best, "expected_loss": self.posterior.expected_loss}
        return scores.reindex(index).join(pd.DataFrame(best, index=index))


def posterior_of(
    trials: Sequence[Trial],
    predictions: OutOfFold | None,
    metric: str,
    direction: Direction,
    *,
    space: Space,
    n_folds: int,
    validation_ratio: float,
    seed: int,
) -> Posterior:
    """What is known of the true scores of some trials, in their order.

    Args:
        trials: The trials; those that were repeated have more scores than others, those that racing stopped fewer.
        predictions: Their out-of-fold predictions, or None where they were not kept.
        metric, direction: What is scored.
        space: In which they lie.
        n_folds: Folds of a repeat.
        validation_ratio: As in `unitune.stats.summarise`.
        seed: Of the draws.
    """
    numbers = [trial.number for trial in trials]
    values = values_of(trials, metric)
    if not np.isfinite(values).any():
        raise OptionError(f"{metric} can be judged where a trial has a score in it", "none has")
    places = np.arange(values.shape[1])
    return model_scores(
        values,
        direction,
        fold=places % max(1, n_folds),
        repeat=places // max(1, n_folds),
        validation_ratio=validation_ratio,
        design=design_of(space, [trial.configuration for trial in trials]) if varying(space) else None,
        attainable=ATTAINABLE.get(metric, (-math.inf, math.inf)),
        rows=_luck_of_rows(predictions, numbers, metric, seed),
        seed=seed,
    )


def _luck_of_rows(predictions: OutOfFold | None, numbers: Sequence[int], metric: str, seed: int) -> RowNoise | None:
    """What predictions tell of the luck of rows; NaN for trials without: a run folder keeps those of the best."""
    kept = set() if predictions is None else set(predictions.numbers.tolist())
    places = [place for place, number in enumerate(numbers) if number in kept]
    if predictions is None or not places:
        return None
    found = row_noise(predictions.only([numbers[place] for place in places]), metric, seed=seed)
    scores = np.full((len(found.scores), len(numbers)), np.nan)
    scores[:, places] = found.scores
    return replace(found, scores=scores)


def _is_judged(trial: Trial, run: Run) -> bool:
    return run.objective in trial.scores and bool(np.isfinite(trial.scores[run.objective].values).any())


def values_of(trials: Sequence[Trial], metric: str) -> Array:
    """`(trial, member)` scores; NaN where a trial has fewer members than others."""
    each = [trial.scores[metric].values for trial in trials]
    values = np.full((len(each), max(map(len, each))), np.nan)
    for row, one in zip(values, each, strict=True):
        row[: len(one)] = one
    return values


def _seconds(trial: Trial) -> float:
    """Per member: some trials may have been repeated, others not."""
    return trial.elapsed_s / max(1, len(next(iter(trial.scores.values())).values))


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's null is NaN again."""
    return {key: math.nan if value is None else value for key, value in entry.items()}


def with_certainty(frame: pd.DataFrame, certainty: Certainty | None, metric: str | None) -> pd.DataFrame:
    """A table of trials with what the model says of each.

    Args:
        frame: As `trials_table` has it.
        certainty: Of the run; None where no trial is complete.
        metric: Of the table; the objective if None.
    """
    rest = frame.drop(columns=["low", "high"])
    place = int(rest.columns.get_loc("mean")) + 1
    found = pd.DataFrame(columns=list(COLUMNS), dtype=float) if certainty is None else certainty.columns(metric)
    found = found.reindex(frame["trial"])
    for offset, name in enumerate(COLUMNS):
        rest.insert(place + offset, name, found[name].to_numpy(dtype=float))
    credible: tuple[int, ...] = ()
    picks: dict[int, str] = {}
    if certainty is not None:
        credible, picks = certainty.credible, {certainty.modelled[0].number: "best"}
        chosen = certainty.recommended.number
        picks[chosen] = "best, recommended" if chosen in picks else "recommended"
    place = int(rest.columns.get_loc("gap")) + 1
    rest.insert(place, "credible", rest["trial"].isin(credible))
    rest.insert(place + 1, "pick", [picks.get(number, "") for number in rest["trial"]])
    return rest
