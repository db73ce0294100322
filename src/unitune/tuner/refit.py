"""The winner once more, on all rows, with its preprocessing inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.data.arrays import Split
from unitune.data.dataset import Dataset
from unitune.data.folds import Fold
from unitune.engine.contract import Job
from unitune.engine.solo import fit_member, member_model, quiet_arrays
from unitune.errors import TrainingError
from unitune.models import preprocessing
from unitune.models.metrics import evaluate
from unitune.models.splits import split_arrays
from unitune.records import Array, Member, Trial
from unitune.result import probabilities
from unitune.tuner.loop import Network, jobs_of
from unitune.tuner.problem import Problem, member_seed

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True, eq=False)
class Refitter:
    """Trains a configuration on all rows, training and validation, and tests it.

    Attributes:
        problem: The rows and folds of the search.
        network: From a configuration to its network.
        test_data: Rows that nothing has looked at, or None.
    """

    problem: Problem
    network: Callable[[Mapping[str, Any]], Network]
    test_data: Dataset | None = None

    def members(self, trial: Trial) -> tuple[list[Job], Sequence[Split]]:
        """The jobs of the trial's members as the search had them, and their rows."""
        return jobs_of(self.problem, [self.network(trial.configuration)], [trial.number]), self.problem.splits

    def model(self, trial: Trial, epochs: int, learning_rates: Array) -> keras.Model:
        """The trial's network, trained on all rows for some epochs; it takes raw rows.

        Args:
            trial: The trial.
            epochs: For how long.
            learning_rates: `(epoch,)`, which replace what reduce-on-plateau cannot decide without validation rows.

        Raises:
            TrainingError: Training on all rows failed or diverged.
        """
        dataset, as_given = self.problem.dataset, self.problem.as_given
        rows = np.arange(dataset.n_rows)
        # A split has validation rows; these are not looked at.
        fold = Fold(fold=0, repeat=0, train=rows, validation=rows[:1])
        prepared = preprocessing.fit(dataset, rows, flatten=not as_given)
        split = split_arrays(dataset, fold, preprocessor=prepared)
        network = self.network(trial.configuration)
        job = Job(
            member=Member(trial=trial.number, fold=0, repeat=0, seed=member_seed(self.problem.seed, -1, 0)),
            split=0,
            blueprint=network.blueprint,
            training=network.training,
            initial_weights=network.initial_weights,
        )
        rates = learning_rates if network.training.plateau is not None and len(learning_rates) else None
        try:
            with quiet_arrays(), member_model(job, split) as model:
                fitted = fit_member(model, job, split, epochs=epochs, learning_rates=rates, validate=False)
                weights = model.get_weights()
                source = job.blueprint.source
                trained = model if source is None else source.kept(model)
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            raise TrainingError(
                f"Trial {trial.number} could not be refitted on all rows ({type(error).__name__}: {first})."
            ) from error
        if fitted.failure or not all(np.isfinite(weight).all() for weight in weights):
            raise TrainingError(
                f"Trial {trial.number} could not be refitted on all rows: {fitted.failure or 'it diverged'}."
            )
        return preprocessing.assemble(prepared, trained, split.y_scale, split.y_offset)

    def test_scores(self, trial: Trial, model: Callable[[], keras.Model]) -> dict[str, float]:
        """The model's score on the test rows in each metric; empty without test rows, and then no model is made."""
        data = self.test_data
        if data is None:
            return {}
        predictions = self.predictions(trial, model(), data)
        values = evaluate(self.problem.metrics, data.y, predictions, data.sample_weight, task=data.task)
        return {name: float(values[name][0]) for name in self.problem.metrics}

    def predictions(self, trial: Trial, model: keras.Model, data: Dataset) -> Array:
        """What a model of the trial predicts for rows, `(1, row, output)` as metrics take them."""
        raw = preprocessing.predict(model, _inputs(data)).astype(np.float64)
        raw = raw.reshape(1, len(raw), -1)  # an output of several axes is made flat
        return probabilities(raw, data.task, np.array([self.network(trial.configuration).logits]))


def _inputs(data: Dataset) -> Array | dict[str, Array] | list[Array]:
    """Rows of a dataset as the inputs of an assembled model."""
    if isinstance(data.x, tuple):
        return list(data.x)
    if data.schema is None or not isinstance(data.x, dict):
        return np.asarray(data.x)
    kinds = {"number": np.float32, "date": np.int32}
    return {
        column.input: data.x[column.name].astype(kinds.get(column.kind, object))[:, None]
        for column in data.schema.columns
    }
