"""`UnituneClassifier` and `UnituneRegressor`: estimators whose `fit` is `unitune.tune`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_y, check_consistent_length, column_or_1d, validate_data

from unitune.data.dataset import Dataset
from unitune.data.frames import to_frame
from unitune.data.load import dataset as read_dataset
from unitune.engine.solo import quiet_arrays
from unitune.integrations.sklearn.base import Fitted, Predictor, dense_rows, weights_of, without_rows
from unitune.integrations.sklearn.mlp import Classifier, Regressor
from unitune.models import backend, preprocessing
from unitune.models.dense import blueprint, training
from unitune.models.heads import head
from unitune.models.splits import target_scaling
from unitune.options import TuneOptions, description_of
from unitune.result import Result
from unitune.tuner import tune
from unitune.tuner.loop import Network

_ATTRIBUTES = """
    Attributes:
        result_: The whole answer, a `unitune.Result`: `result_.table()`, `result_.findings`, `result_.report()`, ...
        best_params_: The configuration of the recommended trial, whose network predicts: of those whose expected loss
            is within the tolerance the cheapest. It is trained on all rows.
        weights_: Its weights, in the order of `keras.Model.get_weights()`.
        model_: Its network as a plain `keras.Model`.
        n_features_in_, feature_names_in_: As in scikit-learn."""


@dataclass(kw_only=True, eq=False, repr=False)
class Tuned(Predictor):
    """Searches in `fit`, predicts with the recommended model."""

    units: Any = None
    activations: Any = None
    layers: Any = None
    per_layer: Any = None
    optimizers: Any = None
    learning_rates: Any = None
    schedules: Any = None
    dropouts: Any = None
    weight_decays: Any = None
    l1: Any = None
    l2: Any = None
    batch_normalization: Any = None
    initializers: Any = None
    batch_sizes: Any = None
    epochs: Any = None
    patience: Any = None
    objective: Any = None
    folds: Any = None
    repeats: int = 1
    cv: Any = None
    validation_split: float | None = None
    normalize: Any = "auto"
    strategy: str = "auto"
    trials: int | None = None
    time_limit_s: float | None = None
    spend: str | None = None
    tolerance: float | None = None
    engine: str = "auto"
    executor: Any = None
    progress: bool = False
    random_state: Any = None

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        callbacks: Any = (),
    ) -> Tuned:
        """Searches the space on the folds, and trains the recommended configuration on all rows.

        Args:
            X: Numbers `(row, feature)`, dense or sparse; or a frame, whose text, dates and gaps are read
                as `tune` reads them.
            y: The target, `(row,)`; of a regression also `(row, output)`.
            sample_weight: `(row,)`, 0 or more.
            groups: `(row,)` labels; rows of one group stay in one fold.
            callbacks: `unitune.Listener` objects, which are told how the search goes.

        Returns:
            The estimator itself.

        Raises:
            ValueError: The rows or a parameter break a rule.
            TrainingError: Every trial failed.
        """
        if _is_table(X):
            x, y = validate_data(self, X, skip_check_array=True), _check_y(y, multi_output=True)
            check_consistent_length(x, y)
        else:
            x, y = validate_data(self, X, y, multi_output=True, ensure_min_samples=2, **self._accepts())
            x = dense_rows(x)
        target = self._target(y)
        weight = weights_of(sample_weight, x, target)
        given = {name: value for name, value in self.get_params(deep=False).items() if value is not None}
        seed = given.pop("random_state", None)
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31 - 1)
        if isinstance(given.get("cv"), Integral):  # a number of folds, as everywhere in scikit-learn
            given["folds"] = int(given.pop("cv"))
        labels = y if target["task"] == "regression" else column_or_1d(y)
        given |= {"sample_weight": weight, "groups": groups, "seed": int(seed), "callbacks": callbacks or ()}
        result = tune(x, labels, task=target["task"], **given)
        if _is_table(X):
            self._take(result, read_dataset(x, labels, task=target["task"], normalize=self.normalize))
        else:
            self._take(result, Dataset(x=x, normalize=self.normalize, **target))
        return self

    def _take(self, result: Result, data: Dataset) -> None:
        """Keeps the recommended network as numbers."""
        backend.ensure()
        trial = result.recommended
        model = result.model(trial)
        rows = np.arange(data.n_rows)
        preprocessor = preprocessing.fit(data, rows)
        own_head = head(data.task, n_classes=data.n_classes or None, n_outputs=data.n_outputs)
        scale, offset = target_scaling(data, rows) if data.task == "regression" else (None, None)
        network = Network(
            blueprint=blueprint(trial.configuration, own_head), training=training(trial.configuration, own_head)
        )
        self._fitted = Fitted(
            network=network,
            preprocessor=without_rows(preprocessor),
            task=data.task,
            y_scale=scale,
            y_offset=offset,
        )
        self.best_params_ = dict(trial.configuration)
        self.result_ = result
        with quiet_arrays():
            self.weights_ = [np.asarray(weight) for weight in _core_of(model).get_weights()]


def _is_table(rows: Any) -> bool:
    """Whether rows are a frame that is more than numbers: text, dates, or gaps."""
    if not hasattr(rows, "columns") or hasattr(rows, "sparse"):
        return False
    frame, _ = to_frame(rows)
    return frame is not None and bool(
        frame.isna().any(axis=None) or frame.select_dtypes(["number", "bool"]).shape[1] < frame.shape[1]
    )


def _core_of(model: Any) -> Any:
    """The network inside a model that takes raw rows."""
    keras = backend.ensure()
    return next(layer for layer in model.layers if isinstance(layer, keras.Sequential))


_PARAMETERS = f"""
    The parameters have the names and the meaning of those of `unitune.tune`. A parameter that is None has the default
    of `unitune.tune`.

    Args:
{description_of(TuneOptions, [field.name for field in fields(Tuned)])}
        random_state: The seed of everything random."""


@dataclass(kw_only=True, eq=False, repr=False)
class UnituneClassifier(Classifier, Tuned):  # noqa: D101
    __doc__ = f"""Finds a dense Keras network for classes in `fit`, and predicts with it.
{_PARAMETERS}
{description_of(TuneOptions, ["class_weight"])}
{_ATTRIBUTES}
        classes_: The labels, sorted.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> model = UnituneClassifier(units=[2, 4], activations="relu", epochs=2, random_state=0).fit(x, x[:, 0] > 0)
        >>> model.predict_proba(x).shape, model.result_.recommended.configuration["units"] in (2, 4)
        ((60, 2), True)
    """

    class_weight: Any = None


class UnituneRegressor(Regressor, Tuned):  # noqa: D101
    __doc__ = f"""Finds a dense Keras network for numbers in `fit`, and predicts with it.
{_PARAMETERS}
{_ATTRIBUTES}

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> model = UnituneRegressor(units=[2, 4], activations="relu", epochs=2, random_state=0).fit(x, x[:, 0])
        >>> model.predict(x).shape
        (60,)
    """
