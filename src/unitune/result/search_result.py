"""What a search returns: table, best, histories, models, predictions; saved to a folder and loaded again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from unitune.data.arrays import Split
from unitune.diagnosis import Evidence, diagnose, next_space
from unitune.engine.contract import Job
from unitune.errors import DataError, OptionError, RunFolderError, SaveError, TrainingError
from unitune.models.metrics import METRICS
from unitune.records import Array, Findings, Sentences, Trial
from unitune.result.certainty import Certainty
from unitune.result.conclusion import conclude
from unitune.result.effects import interplay, marginals
from unitune.result.engines import not_fused
from unitune.result.evidence import evidence_of
from unitune.result.files import pictures_of, rows_of, saving, tables_of, trees_of
from unitune.result.kept import Kept, KeptModels
from unitune.result.new_rows import Predicted, predict_rows
from unitune.result.references import Reference, reference_table, with_references
from unitune.result.shown import html_of, with_certainty
from unitune.result.summary import summary_of
from unitune.result.verification import Verification, verify_members
from unitune.stats import Estimate, OutOfFold
from unitune.store import Run, check_folder, probe_table, save_beside, save_files, trials_table
from unitune.store.folder import write_bytes
from unitune.store.run import gap, varying

if TYPE_CHECKING:
    import keras

    from unitune.result.plots import Plots

BEST_MODEL = "best.keras"
REPORT = "report.html"


class Source(Protocol):
    """Where trained models and test scores come from."""

    def model(self, trial: Trial, epochs: int, learning_rates: Array) -> keras.Model:
        """The trial's network, trained on all rows, taking raw rows."""
        ...

    def test_scores(self, trial: Trial, model: Callable[[], keras.Model]) -> dict[str, float]:
        """Its scores on the test rows, empty where there are none."""
        ...

    def members(self, trial: Trial) -> tuple[Sequence[Job], Sequence[Split]]:
        """The jobs of its members as the search had them, and their rows."""
        ...

    def references(self) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
        """Simpler models on the same folds, and sentences on those that were left out."""
        ...


class Result:
    """What a search found. `unitune.tune`, `unitune.compare` and `unitune.load` make it.

    Attributes:
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

    def with_source(self, source: Source) -> Result:
        """This result with trained models from elsewhere."""
        return Result(
            run=self._run,
            trials=self._trials,
            members=self._make_members,
            histories=self._make_histories,
            probes=self._make_probes,
            predictions=self._get_predictions,
            source=source,
            folder=self._folder,
        )

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

        Example:
            print(result.next_space())
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
        from unitune.result.facts import label

        settings = tuple(varying(self._run.space))
        return Sentences(conclude(self._certainty, lambda trial: label(self, trial, settings)))

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
        from unitune.result.pareto import pareto_table

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
        """A row for each member of a trial (of the recommended, if not given): scores, epochs, seconds, failure."""
        number = self._find(trial).number
        return self._members[self._members["trial"] == number].reset_index(drop=True)

    def weights(self, trial: Trial | int | None = None) -> dict[tuple[int, int], list[Array]]:
        """The weights of a trial's members, of a search with `keep=`.

        Args:
            trial: A trial or its number; the best if not given.

        Returns:
            From a fold and repeat to the member's weights, in the order of `keras.Model.get_weights()` of its network
            without preprocessing.

        Raises:
            OptionError: They were not kept.
        """
        from unitune.store.unfinished import weights_of

        chosen = self.best if trial is None else self._find(trial)
        found = {} if self._folder is None else weights_of(self._folder, chosen.number)
        if not found:
            raise OptionError(
                "Weights are kept of the best trials of a search with `keep`",
                f"those of trial {chosen.number} were not",
                "Raise `keep`, and search again.",
            )
        return found

    @property
    def changes(self) -> pd.DataFrame:
        """What each change of a one-at-a-time search did; empty for other strategies."""
        return pd.DataFrame(list(self._run.changes))

    def model(self, trial: Trial | int | None = None) -> keras.Model:
        """The trained network of a trial, a plain `keras.Model` that takes raw rows.

        It is trained on all rows, training and validation, for the median of the epochs that were best in the folds;
        where how long to train followed from the rows, for as many steps, which are fewer epochs of more rows.
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

    def predict(self, rows: Any, trial: Trial | int | None = None, **reading: Any) -> pd.DataFrame:
        """Predictions for raw rows.

        Args:
            rows: As `x` of `unitune.tune`: an array, a frame, or the path or address of a table.
            trial: A trial or its number; the recommended one if not given.
            reading: `separator`, `decimal`, `encoding` and `header` of a CSV file, where they are not those of the run.

        Returns:
            A row for each row. For classes, `prediction` (the likeliest class) and `probability_CLASS` for each class;
            for regression `prediction`, or `prediction_1`, `prediction_2`, ... for several outputs. Before them stand
            the columns that `tune(id=...)` named.
        """
        return self.predicted(rows, trial, **reading).table

    def evaluate(self, rows: Any, trial: Trial | int | None = None, **reading: Any) -> dict[str, float]:
        """The scores of a model on raw rows of a table that has the target, in every metric of the task.

        Args:
            rows, trial, reading: As in `predict`.

        Raises:
            DataError: The table has no target, or other classes.
        """
        found = self.predicted(rows, trial, **reading)
        if not found.scores:
            received = found.no_scores or f"there is no column `{self._run.data['target']}`"
            raise DataError("Rows are scored by their target", received, "Use `predict` for rows without one.")
        return dict(found.scores)

    def predicted(self, rows: Any, trial: Trial | int | None = None, **reading: Any) -> Predicted:
        """Both: predictions, and scores where the rows have the target."""
        logits = self._find(trial).number in self._run.logits
        return predict_rows(self._run, lambda: self.model(trial), rows, logits=logits, reading=reading)

    @cached_property
    def test_scores(self) -> pd.DataFrame | None:
        """Train, validation and test score of the recommended trial in each metric; None without `test_data`.

        Train and validation scores are means over the folds, the test score is of `model()`. The gaps are positive
        where the score gets worse: from train to validation, and from validation to test.
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

    def verify(self, trial: Trial | int | None = None) -> Verification:
        """Trains a trial again with plain `fit`, on the same folds and seeds, and compares every epoch.

        Args:
            trial: A trial or its number; the recommended one if not given.

        Raises:
            RunFolderError: The run was loaded, so its rows are not at hand; `unitune.verify` takes them.
        """
        chosen = self._find(trial)
        return verify_members(*self._source.members(chosen), self.history(chosen), trial=chosen.number)

    @property
    def plot(self) -> Plots:
        """The figures of the report, one by one: `result.plot.heatmap()`, `.learning_curves()`, ..."""
        from unitune.result.plots import Plots

        return Plots(self)

    def report(self, path: str | Path = "report.html") -> Path:
        """Writes the report: one page of HTML that needs nothing else, not even a network.

        Args:
            path: Where; an existing file is replaced.

        Returns:
            The path.

        Raises:
            SaveError: It cannot be written.
        """
        from unitune.report.page import page
        from unitune.result.facts import facts_of

        place = Path(path)
        try:
            place.write_text(page(facts_of(self)), encoding="utf-8")
        except OSError as error:
            raise SaveError(f"The report cannot be written to `{place}`: {error.strerror or error}.") from error
        return place

    def summary(self) -> dict[str, Any]:
        """The run in one tree: what `summary.json` holds."""
        return summary_of(self, self._members, epochs=self._refit_epochs(self.recommended))

    def save(self, folder: str | Path | None = None, *, overwrite: bool = False) -> Path:
        """Saves the run, the model of the recommended trial (`best.keras`) and its pictures.

        Where that trial cannot be trained on all rows, the rest is saved, and the notes say why.

        Args:
            folder: The run folder; a new one in `runs/`, named by date and time, if not given.
            overwrite: Whether an older run may be replaced.

        Returns:
            The run folder.

        Raises:
            RunFolderError: The folder exists, or cannot be written; nothing was written.
            SaveError: A file could not be written (a full disk, say); those before it are kept.
        """
        place = Path(folder) if folder is not None else Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
        check_folder(place, overwrite=overwrite)
        save_files(place, self._writers(place), overwrite=overwrite)
        self._folder = place
        return place

    def save_beside_store(self, folder: Path) -> None:
        """As `save`, into the folder of the run's own store, which stays.

        Raises:
            SaveError: A file could not be written; those before it are kept.
        """
        save_beside(folder, self._writers(folder))
        self._folder = folder

    def _writers(self, place: Path) -> dict[str, Callable[[Path], None]]:
        """What a run folder holds, the most valuable first."""
        model = self._model_or_note()
        tests = self.test_scores
        page = self._report_or_note(place.name)
        run = replace(self._run, recommended=self.recommended.number)
        run = run if tests is None else replace(run, test_scores=tests["test"].to_dict())
        return {
            **tables_of(self, self._members, self._histories, self._probes),
            **trees_of(run, self._trials, self.summary()),
            **rows_of(run, self._trials, self._certainty.predictions, self.changes),
            **({} if model is None else {BEST_MODEL: saving(model)}),
            **pictures_of(self, title=self._title(), epochs=self._median_best_epoch(self.recommended)),
            **({REPORT: write_bytes(page.encode())} if page else {}),
        }

    def _report_or_note(self, name: str) -> str:
        """The report as HTML. A run outlives a report that cannot be drawn: it can be drawn again, the run cannot."""
        from unitune.report.page import page
        from unitune.result.facts import facts_of

        try:
            return page(replace(facts_of(self), name=name))
        except Exception as error:
            note = f"There is no {REPORT}: {type(error).__name__}: {error}"
            if note not in self._run.notes:
                self._run = replace(self._run, notes=(*self._run.notes, note))
            return ""

    def _model_or_note(self) -> keras.Model | None:
        try:
            return self.model()
        except (TrainingError, RunFolderError) as error:
            note = f"There is no {BEST_MODEL}: {error}"
            if note not in self._run.notes:
                self._run = replace(self._run, notes=(*self._run.notes, note))
            return None

    def _title(self) -> str:
        chosen = self.recommended
        shown = [name for name in varying(self._run.space) if name in chosen.configuration]
        settings = [f"{name} {self._run.space.label(name, chosen.configuration[name])}" for name in shown]
        return ", ".join(settings) or f"trial {chosen.number}"

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return html_of(self)

    def __repr__(self) -> str:
        try:
            chosen = self.recommended
        except TrainingError:
            return f"<Result: {len(self._trials):,} trials, all failed>"
        mean = chosen.scores[self._run.objective].mean
        return (
            f"<Result: {len(self._trials):,} trials, recommended is trial {chosen.number} "
            f"({self._title()}) with {self._run.objective} {mean:.4g}>"
        )

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

    def _median_best_epoch(self, trial: Trial) -> int:
        epochs = self._members.loc[self._members["trial"] == trial.number, "best_epoch"]
        return max(1, round(float(epochs.median())))

    def _refit_epochs(self, trial: Trial) -> int:
        """The epochs of the refit: those that were best in the folds, or those that make as many steps."""
        epochs = self._median_best_epoch(trial)
        fold_rows = self._run.data.get("fold_rows")
        if fold_rows is None:
            return epochs
        batch_size = int(trial.configuration.get("batch_size", 32))
        steps, all_steps = (-(-int(rows) // batch_size) for rows in (fold_rows, self._run.data["n_rows"]))
        return max(1, round(epochs * steps / all_steps))

    def _median_rates(self, trial: Trial) -> Array:
        """The median over folds of the learning rate in each epoch."""
        history = self.history(trial)
        rates = history[history["metric"] == "learning_rate"].groupby("epoch")["value"].median()
        return np.asarray(rates)
