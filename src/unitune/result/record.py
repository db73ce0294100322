"""What is known of a search: its trials and tables, which is best and how sure that is, what limits them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unitune.diagnosis import Evidence, diagnose, next_space
from unitune.errors import OptionError, TrainingError
from unitune.models.metrics import METRICS
from unitune.records import Array, Findings, Sentences, Trial
from unitune.result.certainty import Certainty, with_certainty
from unitune.result.conclusion import conclude, label
from unitune.result.effects import interplay, marginals
from unitune.result.engines import not_fused
from unitune.result.epochs import LONGER, best_epoch
from unitune.result.evidence import evidence_of
from unitune.result.kept import Kept, KeptModels
from unitune.result.pareto import pareto_table
from unitune.result.references import Reference, reference_table, with_references
from unitune.result.source import Source
from unitune.stats import Estimate, OutOfFold
from unitune.store import Run, probe_table, trials_table
from unitune.store.run import gap

if TYPE_CHECKING:
    import keras


class Record:
    """What is known of a search.

    Args:
        run, trials: What it was, and its finished trials.
        members, histories, probes: Their tables, made when they are asked for.
        predictions: Those on validation rows.
        source: Where trained models, test scores and references come from.
        folder: Where it was saved or loaded from; None if neither.
    """

    def __init__(
        self,
        *,
        run: Run,
        trials: Sequence[Trial],
        members: Callable[[], pd.DataFrame],
        histories: Callable[[], pd.DataFrame],
        source: Source,
        probes: Callable[[], pd.DataFrame] = lambda: probe_table([]),
        predictions: Callable[[], OutOfFold | None] = lambda: None,
        folder: Path | None = None,
    ) -> None:
        self._run = run
        self._trials = tuple(trials)
        self._make_members = members
        self._make_histories = histories
        self._make_probes = probes
        self._get_predictions = predictions
        self._source = source
        self._folder = folder
        self._models: dict[int, keras.Model] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: the tables, and the models that were made; not the rows of the search."""
        return {
            "_run": self._run,
            "_trials": self._trials,
            "_folder": self._folder,
            "_make_members": Kept(self._members),
            "_make_histories": Kept(self._histories),
            "_make_probes": Kept(self._probes),
            "_get_predictions": Kept(self._get_predictions()),
            "_source": self._source if isinstance(self._source, KeptModels) else KeptModels(self._models),
            "_models": {},
        }

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All finished trials, by number."""
        return self._trials

    @property
    def objective(self) -> str:
        """The metric that ranks the trials."""
        return self._run.objective

    @property
    def direction(self) -> str:
        """Whether the objective is minimised or maximised."""
        return self._run.direction

    @property
    def run(self) -> Run:
        """What the run was, apart from its trials."""
        return self._run

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped the search."""
        return self._run.interrupted

    @property
    def folder(self) -> Path | None:
        """The run folder that it was saved to or loaded from; None if neither."""
        return self._folder

    @property
    def notes(self) -> tuple[str, ...]:
        """What was inferred, decided and left out, as sentences."""
        left_out = [self._run.left_out] if self._run.left_out else []
        return Sentences((*self._run.notes, *not_fused(self._trials), *left_out))

    @property
    def findings(self) -> Findings:
        """What limits the candidates and what to try: warnings first, then advice, then what is good to know."""
        return self._findings

    def next_space(self) -> str:
        """The next search as Python source: the space widened, narrowed and changed by what was found.

        It defines `space` and `search(x, y)`, and says the reason of each change in a comment.
        """
        return next_space(self._evidence, self.findings)

    @cached_property
    def _findings(self) -> Findings:
        return Findings(diagnose(self._evidence))

    @cached_property
    def _evidence(self) -> Evidence:
        # Where every trial failed nothing is certain, and why they failed is a finding.
        certainty = self._certainty if any(trial.state == "complete" for trial in self._trials) else None
        tables = (self._members, self._histories, self._probes)
        return evidence_of(self._run, self._trials, *tables, certainty, self._references)

    @property
    def references(self) -> pd.DataFrame:
        """What simpler models score on the same folds, in the objective: no trial, and never ranked among them.

        The largest class (of numbers the mean), a linear model (a network without hidden layers, trained as the others)
        and scikit-learn's `HistGradientBoosting` with its defaults; `references=` of `tune` chooses. They are trained
        once, when they are asked for or the run is saved.

        Returns:
            Columns `reference`, `mean`, `low`, `high` (95 % interval), `std`, `seconds`; empty where there are none.
        """
        return reference_table(self._references, self._run.objective)

    @cached_property
    def _references(self) -> tuple[Reference, ...]:
        if not self._run.references:
            found, notes = self._source.references()
            trees = tuple(one.to_json() for one in found)
            self._run = replace(self._run, references=trees, notes=(*self._run.notes, *notes))
        return tuple(Reference.from_json(tree) for tree in self._run.references)

    @property
    def best(self) -> Trial:
        """The trial with the best mean score; of equals, the one with the fewest parameters.

        Raises:
            TrainingError: Every trial failed.
        """
        first = self._run.ranked(self._trials)[0]
        if first.state != "complete":
            raise TrainingError.of_all(len(self._trials), first.failure)
        return first

    @property
    def credible(self) -> tuple[int, ...]:
        """Numbers of the trials of which one is the truly best with 95 %, the likeliest first: the smallest such set.

        By one model of all scores together (docs/explanation/statistics.md). All, where nothing tells.
        """
        return self._certainty.credible

    tied = credible  # The name that it had; what was tied then was only not shown to be worse.

    @property
    def recommended(self) -> Trial:
        """The cheapest trial that gives nothing away: the fewest parameters, then the least time.

        Of those whose *expected loss* is within `tolerance` of the smallest. The expected loss is how much worse than
        the truly best a trial is, on average over what is not known, by one model of all scores together
        (docs/explanation/statistics.md). Times that differ by less than a factor of two, or less than a second a
        member, count as equal. `model()`, `predict()`, the saved `best.keras` and the estimators of `unitune.sklearn`
        are this trial's.
        """
        return self._certainty.recommended

    @property
    def tolerance(self) -> float:
        """What may be given away for a cheaper trial, in units of the objective: as `tune(tolerance=...)` said, or a
        quarter of the standard error of a score. With 0 the recommended trial has the smallest expected loss.
        """
        return self._certainty.tolerance

    @property
    def estimate(self) -> Estimate:
        """What the recommended trial can be expected to score on new rows in the objective.

        Its own mean score is a little too good, because it was chosen for it. `mean` and the 95 % interval from `low`
        to `high` are by the model of all scores, `method` says so or names nested cross-validation, and `naive` is the
        score as it was. `low` and `high` are NaN where nothing tells them.

        Raises:
            RunFolderError: Each trial has one score, and its predictions were not kept.
        """
        return self.estimates[self._run.objective]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """What to expect of the recommended trial in every metric, as `estimate`."""
        return dict(self._certainty.estimates)

    @cached_property
    def conclusion(self) -> tuple[str, ...]:
        """The answer in three sentences: which trial to take, what to expect of it, and what is open."""
        return Sentences(conclude(self._certainty, lambda trial: label(self._run, trial)))

    def interplay(self) -> pd.DataFrame:
        """How much of the variation in score is due to each hyperparameter, to pairs of them, to folds and seeds.

        By functional analysis of variance of the draws of the model of all scores: over the trials of a complete grid,
        otherwise over a sample of the space.

        Returns:
            Columns `term` (`"units"`, `"units x activation"`, ..., `"folds"`, `"seeds and the rest"`), `share` (they
            add up to 1), and its 95 % interval `low`, `high`.

        Raises:
            OptionError: Nothing varied, or each trial has one score and its predictions were not kept.
        """
        return interplay(self._certainty)

    def marginals(self, name: str) -> pd.DataFrame:
        """What a hyperparameter does, over the others and with the best of the others.

        Args:
            name: A hyperparameter that varied.

        Returns:
            A row for each value (eight bins of many numbers), with columns `value`, `n_trials`; `mean`, `low`, `high`:
            the true score to expect with this value and its 95 % interval, over all its trials on a complete grid, and
            otherwise over a sample of the space, the same for all values; `best_trial`, `best_mean`, `best_low`,
            `best_high` of the best of its trials.

        Raises:
            OptionError: It did not vary, or as in `interplay`.
        """
        return marginals(self._certainty, name)

    @cached_property
    def _certainty(self) -> Certainty:
        return Certainty(self._run, self._trials, self._get_predictions)

    def table(self, *, metric: str | None = None, everything: bool = False, references: bool = False) -> pd.DataFrame:
        """A row for each trial, from best to worst by the objective, failed ones last.

        Args:
            metric: The metric to show; the objective if not given.
            everything: Also fixed hyperparameters, and the scores in all metrics.
            references: Also simpler models, below the trials, without a rank, and named in a column `reference`.

        Returns:
            Columns `rank`, `trial`, `mean` over the folds; by the model of all scores `expected`, the true score to
            expect, with its 95 % interval from `low` to `high`, `p_best`, the probability that the trial is the best,
            and `expected_loss`, how much worse than the best it is on average; `std` over the folds, `train`, `gap`
            (positive: worse on validation rows than on training rows), `credible` (whether it is in `Result.credible`),
            `pick` (`"best"`, `"recommended"`, both or neither), the hyperparameters that vary, `parameters`, `seconds`,
            `engine` (`"fused"`, `"vmapped"` or `"solo"`), and `engine_reason` where any trial could not be fused. What
            is not known is NaN.

        Raises:
            OptionError: A metric that was not scored.
        """
        if metric is not None and metric not in self._run.metrics:
            raise OptionError(
                "`metric` must be one of those that were scored",
                f"got {metric!r}",
                f"Use one of {', '.join(self._run.metrics)}.",
            )
        frame = trials_table(self._trials, self._run, metric=metric, everything=everything)
        complete = any(trial.state == "complete" for trial in self._trials)
        frame = with_certainty(frame, self._certainty if complete else None, metric)
        return with_references(frame, self._references, metric or self._run.objective) if references else frame

    def pareto(self, objectives: Sequence[str] | None = None) -> pd.DataFrame:
        """The trials that no other beats in all objectives, the best in the first one first.

        Args:
            objectives: Metrics, `"parameters"` or `"seconds"`; those of the search if not given, or where it had one,
                that and the parameters.

        Returns:
            Rows of `table()`, with a column for each further metric.

        Raises:
            OptionError: Fewer than two objectives, or one that was not scored.
        """
        own = [name for name, _ in self._run.objectives] or [self._run.objective, "parameters"]
        return pareto_table(self.table(), self._trials, list(objectives or own))

    def history(self, trial: Trial | int | None = None) -> pd.DataFrame:
        """The histories of a trial's members, in long form.

        Args:
            trial: A trial or its number; the recommended one if not given.

        Returns:
            Columns `trial`, `fold`, `repeat`, `epoch`, `metric`, `split`, `value`.
        """
        number = self._find(trial).number
        table = self._histories
        return table[table["trial"] == number].reset_index(drop=True)

    def probes(self, trial: Trial | int | None = None) -> pd.DataFrame:
        """What was measured inside a trial's networks, in long form; empty for members that were trained one by one.

        Args:
            trial: A trial or its number; the recommended one if not given.

        Returns:
            Columns `trial`, `fold`, `repeat`, `epoch`, `layer`, `probe`, `value`. Epochs and layers count from 1. Of
            hidden layers, on the validation rows after each epoch: `dead_units` (the share that is zero on every row),
            `saturated` (the share of outputs beyond 95 % of a bounded activation's range), `mean_activation`. Of dense
            layers, at the epoch's last step: `gradient_norm`, `weight_norm`, `update_ratio` (the norm of the update
            over that of the weights).
        """
        number = self._find(trial).number
        table = self._probes[self._probes["trial"] == number]
        keys = ["trial", "fold", "repeat", "epoch", "layer"]
        long = table.melt(id_vars=keys, var_name="probe", value_name="value").dropna(subset=["value"])
        return long.reset_index(drop=True)

    def members(self, trial: Trial | int | None = None) -> pd.DataFrame:
        """A row for each member of a trial (of the recommended, if not given): scores, epochs, seconds, failure.

        Args:
            trial: A trial or its number.
        """
        number = self._find(trial).number
        return self._members[self._members["trial"] == number].reset_index(drop=True)

    @property
    def changes(self) -> pd.DataFrame:
        """What each change of a one-at-a-time search did; empty for other strategies."""
        return pd.DataFrame(list(self._run.changes))

    def model(self, trial: Trial | int | None = None) -> keras.Model:
        """The trained network of a trial, a plain `keras.Model` that takes raw rows.

        It is trained on all rows, training and validation, for the median of the epochs that were best in the folds.
        Where how long to train followed from the rows, it is trained for a quarter more steps than the folds had taken
        when the mean of their validation losses was smallest.
        Preprocessing is inside. A trial is trained once and then kept.

        Args:
            trial: A trial or its number; the recommended one if not given.

        Raises:
            TrainingError: The trial failed, or cannot be trained on all rows.
            RunFolderError: The run was loaded, and only the model of the recommended trial was saved.
        """
        chosen = self._find(trial)
        if chosen.state != "complete":
            what = "was " if chosen.state == "stopped" else "failed: "
            raise TrainingError(f"Trial {chosen.number} {what}{chosen.failure}.")
        if chosen.number not in self._models:
            self._models[chosen.number] = self._source.model(
                chosen, self._refit_epochs(chosen), self._median_rates(chosen)
            )
        return self._models[chosen.number]

    @cached_property
    def test_scores(self) -> pd.DataFrame | None:
        """Train, validation and test score of the recommended trial in each metric; None without `test_data`.

        The first two are means over the folds, the test score is of `model()`. Gaps are positive where it gets worse.
        """
        try:
            scores = dict(self._run.test_scores) or self._source.test_scores(self.recommended, self.model)
        except TrainingError:  # the trial cannot be refitted: `save` says so
            scores = {}
        if not scores:
            return None
        chosen = self.recommended
        rows = {}
        for metric in self._run.metrics:
            score, test = chosen.scores[metric], scores[metric]
            direction = METRICS[metric].direction
            rows[metric] = {
                "train": score.train,
                "validation": score.mean,
                "test": test,
                "gap_validation": gap(score.train, score.mean, direction),
                "gap_test": gap(score.mean, test, direction),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")

    @cached_property
    def _members(self) -> pd.DataFrame:
        return self._make_members()

    @cached_property
    def _histories(self) -> pd.DataFrame:
        return self._make_histories()

    @cached_property
    def _probes(self) -> pd.DataFrame:
        return self._make_probes()

    def _find(self, trial: Trial | int | None) -> Trial:
        if trial is None:
            return self.recommended
        number = trial.number if isinstance(trial, Trial) else trial
        for known in self._trials:
            if known.number == number:
                return known
        numbers = [known.number for known in self._trials]
        raise OptionError(
            "`trial` must be the number of a trial",
            f"got {number!r}",
            f"They go from {min(numbers)} to {max(numbers)}.",
        )

    def _best_epoch(self, trial: Trial) -> int:
        return best_epoch(self.members(trial), self.history(trial), until_learnt="fold_rows" in self._run.data)

    def _refit_epochs(self, trial: Trial) -> int:
        """The epochs of the refit: those of the folds, or those that make a quarter more steps."""
        epochs = self._best_epoch(trial)
        fold_rows = self._run.data.get("fold_rows")
        if fold_rows is None:
            return epochs
        batch_size = int(trial.configuration.get("batch_size", 32))
        steps, all_steps = (-(-int(rows) // batch_size) for rows in (fold_rows, self._run.data["n_rows"]))
        return max(1, round(LONGER * epochs * steps / all_steps))

    def _median_rates(self, trial: Trial) -> Array:
        """The median over folds of the learning rate in each epoch."""
        history = self.history(trial)
        rates = history[history["metric"] == "learning_rate"].groupby("epoch")["value"].median()
        return np.asarray(rates)
