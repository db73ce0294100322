"""What a search returns: table, best, histories, models, predictions; saved to a folder and loaded again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from unitune.errors import DataError, OptionError, RunFolderError, SaveError, TrainingError
from unitune.records import Array, Trial, counted
from unitune.result.files import pictures_of, rows_of, saving, tables_of, trees_of
from unitune.result.new_rows import Predicted, predict_rows
from unitune.result.record import Record
from unitune.result.shown import html_of
from unitune.result.source import Source
from unitune.result.summary import summary_of
from unitune.result.verification import Verification, verify_members
from unitune.store import check_folder, save_beside, save_files
from unitune.store.folder import write_bytes
from unitune.store.run import varying

if TYPE_CHECKING:
    import keras

    from unitune.result.plots import Plots

BEST_MODEL = "best.keras"
REPORT = "report.html"


class Result(Record):
    """What a search found. `unitune.tune`, `unitune.compare` and `unitune.load` make it.

    Attributes:
        folder: Where it was saved or loaded from; None if neither.

    Example:
        >>> import numpy as np
        >>> import unitune
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> y = (x[:, 0] > 0).astype(int)
        >>> result = unitune.tune(x, y, units=[2, 4], activations="relu", epochs=1, folds=2, progress=False)
        >>> len(result.table()), result.recommended.configuration["activation"]
        (2, 'relu')
        >>> result.model().predict(x[:3], verbose=0).shape
        (3, 1)
    """

    def with_source(self, source: Source) -> Result:
        """This result with trained models from elsewhere.

        Args:
            source: What trains or loads models.
        """
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
        """Both: predictions, and scores where the rows have the target.

        Args:
            rows: As for `predict`.
            trial: A trial or its number; the recommended one if not given.
            **reading: How to read a file, as in `tune`: `separator`, `decimal`, `encoding`, `header`.
        """
        logits = self._find(trial).number in self._run.logits
        return predict_rows(self._run, lambda: self.model(trial), rows, logits=logits, reading=reading)

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

        Args:
            folder: The run folder.

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
            **pictures_of(self, title=self._title(), epochs=self._best_epoch(self.recommended)),
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
            return f"<Result: {counted(len(self._trials), 'trial')}, all failed>"
        mean = chosen.scores[self._run.objective].mean
        return (
            f"<Result: {counted(len(self._trials), 'trial')}, recommended is trial {chosen.number} "
            f"({self._title()}) with {self._run.objective} {mean:.4g}>"
        )
