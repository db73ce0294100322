"""How sure a search is: the tied set, the recommended trial, the corrected estimates, what the score depends on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from unitune.errors import OptionError, RunFolderError, TrainingError
from unitune.models.metrics import ATTAINABLE
from unitune.records import Array, Direction, Trial
from unitune.space import Hyperparameter
from unitune.stats import (
    Axis,
    Estimate,
    OutOfFold,
    Posterior,
    Ties,
    corrected_estimates,
    design_of,
    forest_shares,
    is_complete,
    marginals,
    model_scores,
    nothing_known,
    row_noise,
    tied_by_rows,
    tied_with_best,
    variance_shares,
)
from unitune.stats.forest import MIN_TRIALS
from unitune.stats.ties import NOTHING
from unitune.store import Run
from unitune.store.run import ranked, varying

GRID_POINTS = 32
MODELLED = 2_000  # best trials, beyond which none is recommended
BINS = 8


class Certainty:
    """Statistics of a run, each computed when it is first asked for.

    Args:
        run: The run.
        trials: Its trials.
        predictions: Gives the out-of-fold predictions, or None where they were not kept.
    """

    def __init__(self, run: Run, trials: Sequence[Trial], predictions: Callable[[], OutOfFold | None]) -> None:
        self._run = run
        self._ranked = [one for one in ranked(trials, run.objective, run.direction) if one.state == "complete"]
        self._n_stopped = sum(one.state == "stopped" for one in trials)
        self._get_predictions = predictions

    @cached_property
    def predictions(self) -> OutOfFold | None:
        """The out-of-fold predictions that were kept."""
        return self._get_predictions()

    @cached_property
    def ties(self) -> Ties:
        """Which of the complete trials, from best to worst, are tied with the first."""
        run = self._run
        if not self._ranked:
            raise TrainingError("All trials failed, so none is the best.")
        ratio = float(run.folds["validation_ratio"])
        return ties_of(
            self._ranked, self.predictions, run.objective, run.direction, validation_ratio=ratio, seed=run.seed
        )

    @property
    def tied(self) -> tuple[int, ...]:
        """Numbers of the trials that are tied with the best, best first."""
        return tuple(trial.number for trial, tied in zip(self._ranked, self.ties.tied, strict=True) if tied)

    @cached_property
    def posterior(self) -> Posterior:
        """What is known of the true scores of the complete trials, best first: those that may be recommended."""
        run, trials = self._run, self._ranked[:MODELLED]
        numbers = [trial.number for trial in trials]
        values = _values(trials, run.objective)
        n_folds = max(1, int(run.folds["n_folds"]))
        places = np.arange(values.shape[1])
        known = self.predictions is not None and set(numbers) <= set(self.predictions.numbers.tolist())
        return model_scores(
            values,
            run.direction,
            fold=places % n_folds,
            repeat=places // n_folds,
            validation_ratio=float(run.folds["validation_ratio"]),
            design=design_of(run.space, [trial.configuration for trial in trials]) if varying(run.space) else None,
            attainable=ATTAINABLE.get(run.objective, (-math.inf, math.inf)),
            rows=row_noise(self.predictions.only(numbers), run.objective, seed=run.seed)
            if known and self.predictions is not None
            else None,
            seed=run.seed,
        )

    @cached_property
    def recommended(self) -> Trial:
        """The cheapest trial whose expected loss is within the tolerance of the smallest (`Posterior.recommend`).

        The best where there is nothing to compare: one trial, or one score a trial and no predictions.
        """
        if self.ties.method == NOTHING or len(self._ranked) == 1:
            return self._ranked[0]
        trials = self._ranked[:MODELLED]
        return trials[self.posterior.recommend([one.n_parameters for one in trials], [_seconds(one) for one in trials])]

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """The winner's corrected score in each metric.

        Raises:
            RunFolderError: The predictions that this needs were not kept.
        """
        run = self._run
        if run.nested:
            best = self._ranked[0]
            return {
                name: Estimate(metric=name, naive=best.scores[name].mean, **_numbers(one))
                for name, one in run.nested.items()
            }
        if self.predictions is None:
            raise RunFolderError(
                "A corrected estimate needs the out-of-fold predictions",
                "this run has none",
                "Run the search again with this version of Unitune.",
            )
        return corrected_estimates(self.predictions, run.metrics, run.direction, seed=run.seed)

    def interplay(self) -> pd.DataFrame:
        """How much of the variation in score is due to what, as `Result.interplay` has it."""
        factors = self._factors()
        values = self._first_values()
        if is_complete({name: codes for name, (codes, _) in factors.items()}) and len(values) > 1:
            shares = variance_shares({name: codes for name, (codes, _) in factors.items()}, values)
        elif len(values) >= MIN_TRIALS:
            shares = forest_shares({name: self._axis(name) for name in factors}, values, seed=self._run.seed)
        else:
            raise OptionError(
                f"`interplay` needs a complete grid or {MIN_TRIALS} trials",
                f"there are {len(values)} complete trials",
                "Train more trials.",
            )
        rows = [{"term": one.term, "share": one.share, "low": one.low, "high": one.high} for one in shares]
        return pd.DataFrame(rows, columns=["term", "share", "low", "high"])

    def marginals(self, name: str) -> pd.DataFrame:
        """What a hyperparameter does, as `Result.marginals` has it."""
        factors = self._factors()
        if name not in factors:
            raise OptionError(
                "`marginals` takes a hyperparameter that varies", f"got {name!r}", f"Those are {', '.join(factors)}."
            )
        codes, labels = factors[name]
        numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in labels)
        if numeric and len(labels) > 2 * BINS:
            codes, labels = _binned(codes, labels)
        found = marginals(
            codes,
            self._first_values(),
            self._run.direction,
            validation_ratio=float(self._run.folds["validation_ratio"]),
            attainable=ATTAINABLE.get(self._run.objective, (-np.inf, np.inf)),
        )
        columns = ("value", "n_trials", "mean", "low", "high", "best_trial", "best_mean", "best_low", "best_high")
        rows = [
            (
                labels[one.value],
                one.n_trials,
                one.mean,
                one.low,
                one.high,
                self._ranked[one.best].number,
                one.best_mean,
                one.best_low,
                one.best_high,
            )
            for one in found
        ]
        return pd.DataFrame(rows, columns=list(columns))

    def conclusion(self, name_of: Callable[[Trial], str]) -> tuple[str, str, str]:
        """Three sentences: what wins and ties, what to expect of it, and which to take."""
        return self._who(name_of), self._what_to_expect(), self._which_to_take(name_of)

    def _who(self, name_of: Callable[[Trial], str]) -> str:
        run, best = self._run, self._ranked[0]
        mean = best.scores[run.objective].mean
        n = len(self._ranked)
        if n == 1 and not self._n_stopped:
            return f"One trial was trained, {name_of(best)}: its {run.objective} is {mean:.4g}."
        many = f"{n:,} trials"
        if self._n_stopped:
            many = f"{n + self._n_stopped:,} trials, {self._n_stopped:,} of which were stopped early"
        head = f"Of {many}, {name_of(best)} (trial {best.number}) has the best {run.objective}, {mean:.4g}"
        others = len(self.tied) - 1
        if self.ties.method == NOTHING:
            return f"{head}; with one score for each trial, nothing tells it from luck."
        if not others:
            return f"{head}, and no other is statistically tied with it."
        if others == n - 1:
            everyone = f"all {n:,} that were trained to their end" if self._n_stopped else f"all {n:,}"
            return f"{head}, but {everyone} are statistically tied."
        return f"{head}; {others:,} {'other is' if others == 1 else 'others are'} statistically tied with it."

    def _what_to_expect(self) -> str:
        objective = self._run.objective
        try:
            one = self.estimates[objective]
        except RunFolderError:
            return f"This {objective} is that of a winner, and so likely a little better than on new rows."
        spread = "" if math.isnan(one.low) else f" (95 % interval {one.low:.4g} to {one.high:.4g})"
        whose = " from the best" if self.recommended.number != self._ranked[0].number else ""
        head = f"On new rows expect {_article(objective)} {objective} of {one.mean:.4g}{whose}{spread}"
        if self._run.nested:
            return f"{head}, by nested cross-validation."
        if len(self._ranked) == 1:
            return f"{head}."
        better = one.mean < one.naive if self._run.direction == "maximize" else one.mean > one.naive
        gain = abs(one.naive - one.mean)
        if better and gain >= 0.02 * (one.high - one.low):
            return f"{head}: the best score is {gain:.2g} too good, because it was chosen."
        return f"{head}; the choice among {len(self._ranked):,} has not flattered it."

    def _which_to_take(self, name_of: Callable[[Trial], str]) -> str:
        best, chosen = self._ranked[0], self.recommended
        spent = f" {self._run.spent['reason']}" if self._run.spent.get("reason") else ""
        if self.ties.method == NOTHING:
            return f"Take {name_of(best)}; folds (`folds=5`) would tell how sure this is."
        if len(self.tied) == 1:
            return f"Take {name_of(best)}.{spent}"
        place = self._ranked.index(chosen)
        head = f"Take {name_of(chosen)}"
        if place:
            head += f" (trial {chosen.number}, {self._run.objective} {chosen.scores[self._run.objective].mean:.4g}"
            if chosen.n_parameters != best.n_parameters:
                head += f", {chosen.n_parameters:,} parameters instead of {best.n_parameters:,}"
            head += ")"
        loss = self.posterior.loss_at_most(place)
        head += f": it is at most {loss:.2g} {self._run.objective} worse than the truly best, with 95 %."
        advice = "" if spent else ' To tell the tied apart, spend more repeats on them (`spend="ties"`).'
        return f"{head}{spent}{advice}"

    def _first_values(self) -> Array:
        """The objective on the folds and repeats that all trials have."""
        values = _values(self._ranked, self._run.objective)
        return values[:, np.isfinite(values).all(axis=0)]

    def _factors(self) -> dict[str, tuple[Array, list[Any]]]:
        """For each hyperparameter that varied, numbers of the trials' values (-1: not active) and their labels."""
        space = self._run.space
        numbers = [trial.number for trial in self._ranked]
        factors = {}
        for name in varying(space):
            given = [
                space.label(name, trial.configuration[name]) if name in trial.configuration else None
                for trial in self._ranked
            ]
            labels = _in_order([value for _, value in sorted(zip(numbers, given, strict=True), key=itemgetter(0))])
            place = {label: position for position, label in enumerate(labels)}
            codes = np.array([-1 if value is None else place[value] for value in given], dtype=np.int64)
            if len(np.unique(codes)) > 1:
                factors[name] = (codes, labels)
        if not factors:
            raise OptionError("The score can be divided where something varied", "every trial is the same")
        return factors

    def _axis(self, name: str) -> Axis:
        """The hyperparameter as positions on a line."""
        codes, labels = self._factors()[name]
        hyperparameter = self._run.space[name]
        domain = hyperparameter.domain
        numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in labels)
        if numeric and hasattr(domain, "low"):
            turn: Callable[[Any], Any] = np.log if getattr(domain, "log", False) else np.asarray
            at = turn(np.array(labels, dtype=np.float64))
            grid = turn(np.array(_grid_of(hyperparameter), dtype=np.float64))
        elif numeric:
            at = np.arange(len(labels), dtype=np.float64)
            grid = at
        else:
            # In the order of their mean scores the best split of categories is a threshold (Breiman et al. 1984).
            means = self._first_values().mean(axis=1)
            order = np.argsort([means[codes == code].mean() for code in range(len(labels))])
            at = np.empty(len(labels))
            at[order] = np.arange(len(labels))
            grid = at
        inactive = codes < 0
        x = np.where(inactive, at.min() - 1, at[np.maximum(codes, 0)])
        if inactive.any():
            grid = np.sort(x)[:: max(1, len(x) // (2 * GRID_POINTS))]
        return Axis(name=name, x=x, grid=grid)


def ties_of(
    trials: Sequence[Trial],
    predictions: OutOfFold | None,
    metric: str,
    direction: Direction,
    *,
    validation_ratio: float,
    seed: int,
) -> Ties:
    """Which of some complete trials, from best to worst, are tied with the first.

    Args:
        trials: The trials.
        predictions: Their out-of-fold predictions, or None where they were not kept.
        metric, direction: The objective.
        validation_ratio: As in `unitune.stats.summarise`.
        seed: Of the bootstrap.
    """
    numbers = [trial.number for trial in trials]
    if predictions is not None and set(numbers) <= set(predictions.numbers.tolist()):
        ours = predictions.only(numbers)
        return tied_by_rows(ours, metric, direction, best=0, validation_ratio=validation_ratio, seed=seed)
    values = _values(trials, metric)
    if values.shape[1] < 2:
        return nothing_known(len(trials))
    return tied_with_best(values, direction, best=0, validation_ratio=validation_ratio)


def _values(trials: Sequence[Trial], metric: str) -> Array:
    """`(trial, member)`; NaN where a trial has fewer members than others."""
    each = [trial.scores[metric].values for trial in trials]
    values = np.full((len(each), max(map(len, each))), np.nan)
    for row, one in zip(values, each, strict=True):
        row[: len(one)] = one
    return values


def _grid_of(hyperparameter: Hyperparameter) -> list[Any]:
    return [hyperparameter.domain.from_unit((point + 0.5) / GRID_POINTS) for point in range(GRID_POINTS)]


def _in_order(labels: Sequence[Any]) -> list[Any]:
    """The distinct labels: numbers by size, others as they come, which is in the order of the trials."""
    distinct = list(dict.fromkeys(one for one in labels if one is not None))
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in distinct):
        return sorted(distinct)
    return distinct


def _binned(codes: Array, labels: Sequence[Any]) -> tuple[Array, list[Any]]:
    """Values in eight bins with equally many trials; a bin is named by its median."""
    values = np.array(labels, dtype=np.float64)
    active = codes >= 0
    edges = np.quantile(values[codes[active]], np.arange(1, BINS) / BINS)
    bins = np.where(active, np.searchsorted(edges, values[np.maximum(codes, 0)], side="right"), -1)
    used = [number for number in range(BINS) if (bins == number).any()]
    names = [float(np.median(values[codes[bins == number]])) for number in used]
    place = {number: position for position, number in enumerate(used)}
    return np.array([place.get(int(number), -1) for number in bins]), names


def _seconds(trial: Trial) -> float:
    """Per member: tied trials may have been repeated, others not."""
    return trial.elapsed_s / max(1, len(next(iter(trial.scores.values())).values))


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's null is NaN again."""
    return {key: math.nan if value is None else value for key, value in entry.items()}


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" or word in ("rmse", "r2", "f1", "mae") else "a"
