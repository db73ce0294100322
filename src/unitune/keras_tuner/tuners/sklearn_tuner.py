"""A search over scikit-learn's estimators."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from unitune.keras_tuner.engine.base_tuner import BaseTuner
from unitune.keras_tuner.engine.oracle import Oracle
from unitune.keras_tuner.engine.trial import Trial


class SklearnTuner(BaseTuner):
    """Searches over estimators by cross-validation; the score is the mean over the folds.

    Args:
        oracle: Proposes the trials; the objective is usually `Objective("score", "max")`.
        hypermodel: A function of `hp` that returns an estimator or a pipeline.
        scoring: A scorer `f(estimator, x, y, sample_weight=...)`; the estimator's own `score` if not given.
        metrics: A function `f(y_true, y_predicted)`, or several, reported under their names.
        cv: A splitter; five folds, shuffled, if not given.
        **kwargs: As for `BaseTuner`.

    Example:
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from unitune.keras_tuner import Objective
        >>> from unitune.keras_tuner.oracles import RandomSearchOracle
        >>> def build(hp):
        ...     return DecisionTreeClassifier(max_depth=hp.Int("depth", 1, 2), random_state=0)
        >>> x, y = load_iris(return_X_y=True)
        >>> oracle = RandomSearchOracle(Objective("score", "max"), max_trials=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tuner = SklearnTuner(oracle, build, directory=folder)
        ...     tuner.search(x, y)  # doctest: +ELLIPSIS
        <BLANKLINE>
        Trial 1 of 2 begins
        ...
        >>> tuner.get_best_hyperparameters()[0].values
        {'depth': 2}
    """

    def __init__(
        self,
        oracle: Oracle,
        hypermodel: Any,
        scoring: Any = None,
        metrics: Any = None,
        cv: Any = None,
        **kwargs: Any,
    ) -> None:
        if sklearn is None:
            raise ImportError("Please install sklearn before using the `SklearnTuner`.")
        super().__init__(oracle=oracle, hypermodel=hypermodel, **kwargs)
        self.scoring = scoring
        if metrics is None or callable(metrics):
            metrics = [] if metrics is None else [metrics]
        self.metrics: Sequence[Any] = metrics
        if cv is None:
            from sklearn.model_selection import KFold

            cv = KFold(5, shuffle=True, random_state=oracle.seed % 2**32)
        self.cv = cv

    def search(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> None:  # noqa: N803
        """Searches for the best hyperparameters.

        Args:
            X: Rows, an array or a frame.
            y: Targets.
            sample_weight: `(row,)` weights.
            groups: `(row,)` labels; splitters that know groups keep them together.

        Raises:
            RuntimeError: Something has no `shape`.
        """
        for value in (X, y, sample_weight, groups):
            if value is not None and not hasattr(value, "shape"):
                raise RuntimeError(f"Expected the data to be numpy arrays or frames, but got a {type(value).__name__}.")
        super().search(X, y, sample_weight=sample_weight, groups=groups)

    def run_trial(self, trial: Trial, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:  # noqa: N803
        """Cross-validates the estimator of a trial, and keeps the one of the last fold.

        Args:
            trial: The trial.
            X: `(row, feature)`: an array or a frame.
            y: `(row,)`.
            sample_weight: `(row,)`; all alike if not given.
            groups: `(row,)`, for the splitter.
        """
        from sklearn.pipeline import Pipeline

        scores: dict[str, list[float]] = {}
        for rows, held_out in self.cv.split(X, y, groups):
            model = self.hypermodel.build(trial.hyperparameters)
            weights: dict[str, Any] = {}
            if sample_weight is not None and not isinstance(model, Pipeline) and _takes_weights(model.fit):
                weights = {"sample_weight": np.asarray(sample_weight)[rows]}
            elif sample_weight is not None and isinstance(model, Pipeline):
                name, last = model.steps[-1]
                if _takes_weights(last.fit):
                    weights = {f"{name}__sample_weight": np.asarray(sample_weight)[rows]}
            model.fit(_rows(X, rows), _rows(y, rows), **weights)
            mine = None if sample_weight is None else np.asarray(sample_weight)[held_out]
            x_test, y_test = _rows(X, held_out), _rows(y, held_out)
            score = model.score if self.scoring is None else _bound(self.scoring, model)
            extra = (
                {}
                if mine is None or (self.scoring is None and isinstance(model, Pipeline))
                else {"sample_weight": mine}
            )
            scores.setdefault(self.oracle.objective.name, []).append(float(score(x_test, y_test, **extra)))
            for metric in self.metrics:
                value = metric(y_test, model.predict(x_test), **({} if mine is None else {"sample_weight": mine}))
                scores.setdefault(metric.__name__, []).append(float(value))
        self.save_model(trial.trial_id, model)
        return {name: float(np.mean(values)) for name, values in scores.items()}

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Pickles the estimator of a trial.

        Args:
            trial_id: The trial's id.
            model: Its estimator.
            step: Ignored.
        """
        with open(self._path(trial_id), "wb") as file:
            pickle.dump(model, file)

    def load_model(self, trial: Trial) -> Any:
        """The estimator of a trial.

        Args:
            trial: A trial of the oracle.
        """
        with open(self._path(trial.trial_id), "rb") as file:
            return pickle.load(file)

    def _path(self, trial_id: str) -> Path:
        return Path(self.get_trial_dir(trial_id)) / "model.pickle"


def _rows(data: Any, rows: Any) -> Any:
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]


def _takes_weights(fit: Any) -> bool:
    return "sample_weight" in inspect.signature(fit).parameters


def _bound(scorer: Any, model: Any) -> Any:
    return lambda x, y, **extra: scorer(model, x, y, **extra)
