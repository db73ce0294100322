"""The winner once more, on all rows, with its preprocessing inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.data.arrays import Split
from unitune.data.dataset import Dataset
from unitune.data.folds import Fold
from unitune.engine.contract import Engine, Job
from unitune.engine.fused import FusedEngine
from unitune.engine.solo import SoloEngine, fit_member, member_model, quiet_arrays
from unitune.errors import TrainingError
from unitune.models import preprocessing
from unitune.models.blueprint import OptimizerSpec
from unitune.models.metrics import evaluate
from unitune.models.splits import split_arrays
from unitune.records import Array, Member, Trial
from unitune.result import Reference, Source, probabilities
from unitune.tuner.loop import Network, jobs_of
from unitune.tuner.problem import Problem, member_seed
from unitune.tuner.references import train_references

if TYPE_CHECKING:
    import keras


AVERAGED = 1 / 8
"""The share of the steps over which weights are averaged."""


def averaging(optimizer: OptimizerSpec, steps: int) -> OptimizerSpec:
    """The optimizer with an exponential moving average of the weights over about an eighth of so many steps.

    Example:
        >>> averaging(OptimizerSpec(class_name="Adam", learning_rate=0.001), 800).config["ema_momentum"]
        0.99
    """
    momentum = 1 - 1 / max(1.0, steps * AVERAGED)
    return replace(optimizer, config={"use_ema": True, "ema_momentum": momentum, **optimizer.config})


@dataclass(kw_only=True, eq=False)
class Refitter(Source):
    """Trains a configuration on all rows, training and validation, and tests it.

    Attributes:
        problem: The rows and folds of the search.
        network: From a configuration to its network.
        test_data: Rows that nothing has looked at, or None.
        solo: Whether networks are trained by plain `fit`.
        engine: The user's own, which then trains here, too.
        averages: Whether the weights are averaged over the last steps. In the folds the validation rows choose the best
            of epochs that waver; here nothing does, and an average wavers less than the last step.
        kinds, all_kinds, search_s, ends: Of references, as `train_references` takes them.
    """

    problem: Problem
    network: Callable[[Mapping[str, Any]], Network]
    test_data: Dataset | None = None
    solo: bool = False
    engine: Engine | None = None
    averages: bool = False
    kinds: tuple[str, ...] = ()
    all_kinds: bool = False
    search_s: float = 0.0
    ends: float = math.inf

    def _engine(self, trial: Trial) -> Engine:
        """Trains one network in this process, as the search trained it."""
        if self.engine is not None:
            return self.engine
        return SoloEngine() if self.solo or trial.engine == "solo" else FusedEngine(probes=False)

    def references(self) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
        """Simpler models on the same folds, and sentences on those that were left out."""
        return train_references(
            self.problem, self.kinds, search_s=self.search_s, all_of_them=self.all_kinds, ends=self.ends
        )

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
        training = network.training
        if self.averages:
            steps = epochs * math.ceil(dataset.n_rows / training.batch_size)
            training = replace(training, optimizer=averaging(training.optimizer, steps))
        job = Job(
            member=Member(trial=trial.number, fold=0, repeat=0, seed=member_seed(self.problem.seed, -1, 0)),
            split=0,
            blueprint=network.blueprint,
            training=training,
            initial_weights=network.initial_weights,
        )
        try:
            with quiet_arrays():
                by_fit = network.training.plateau is not None and len(learning_rates) > 0
                found, failure = ([], "") if by_fit else self._as_a_member(self._engine(trial), job, split, epochs)
                with member_model(job, split) as model:
                    if by_fit:
                        # At the rates that reduce-on-plateau had in the folds.
                        fitted = fit_member(
                            model, job, split, epochs=epochs, learning_rates=learning_rates, validate=False
                        )
                        failure = fitted.failure
                    elif not failure:
                        model.set_weights(found)
                        if model.optimizer is not None:  # as after `fit`: a file with a bare one cannot be read
                            model.optimizer.build(model.trainable_variables)
                    weights = model.get_weights()
                    source = job.blueprint.source
                    trained = model if source is None else source.kept(model)
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            raise TrainingError(
                f"Trial {trial.number} could not be refitted on all rows ({type(error).__name__}: {first})."
            ) from error
        if failure or not all(np.isfinite(weight).all() for weight in weights):
            raise TrainingError(f"Trial {trial.number} could not be refitted on all rows: {failure or 'it diverged'}.")
        return preprocessing.assemble(prepared, trained, split.y_scale, split.y_offset, y_log=split.y_log)

    def _as_a_member(self, engine: Engine, job: Job, split: Split, epochs: int) -> tuple[list[Array], str]:
        """Trains the job as the search trains its members: no early stopping, and schedules run as they did there."""
        training = replace(
            job.training,
            early_stopping=None,
            further_stopping=(),
            plateau=None,
            epochs=max(job.training.epochs, epochs),
        )
        outcome = next(iter(engine.train([replace(job, training=training, until=epochs)], [split])))
        return list(outcome.weights[0]), outcome.failures[0]

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
