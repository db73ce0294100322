"""What all estimators share: rows in, a member trained, predictions out."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from unitune.adoption.fit_arguments import training_with
from unitune.data.arrays import Split
from unitune.data.dataset import Dataset
from unitune.data.folds import Fold
from unitune.data.frames import encode_table, to_frame
from unitune.data.targets import as_plain
from unitune.engine.choose import choose_engine
from unitune.engine.contract import Job
from unitune.engine.solo import predict as predict_solo
from unitune.engine.solo import quiet_arrays
from unitune.errors import DataError, SpaceError, TrainingError
from unitune.integrations.sklearn.shared import current
from unitune.integrations.sklearn.training import Trained, train
from unitune.models import backend, preprocessing
from unitune.models.build import bare_model
from unitune.models.forward import forward, is_simple
from unitune.models.preprocessing import Preprocessor
from unitune.models.splits import split_arrays
from unitune.records import Array, Member
from unitune.result import probabilities
from unitune.space import Fixed
from unitune.space.parse import domain
from unitune.tuner.loop import Network
from unitune.tuner.problem import unscaled

if TYPE_CHECKING:
    import keras


MOST_DENSE_BYTES = 2**32


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A trained network, as numbers: what predictions need and a pickle can hold.

    Attributes:
        network: Its layers and training; its initial weights are left out.
        preprocessor: How raw rows are prepared, without the rows it was learnt on.
        task: `binary`, `multiclass` or `regression`.
        y_scale, y_offset, y_log: As in `Split`.
    """

    network: Network
    preprocessor: Preprocessor
    task: str
    y_scale: Array | None = None
    y_offset: Array | None = None
    y_log: bool = False


class Predictor(BaseEstimator):  # type: ignore[misc]
    """Predicts with a network that is held as weights and a blueprint."""

    _fitted: Fitted
    weights_: list[Array]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    @property
    def model_(self) -> keras.Model:
        """The trained network as a plain `keras.Model` that takes raw rows, made anew at each access.

        It predicts probabilities (or logits, where the loss takes them), or numbers in the units of `y`.
        """
        check_is_fitted(self)
        fitted = self._fitted
        return preprocessing.assemble(
            fitted.preprocessor, self._core(), fitted.y_scale, fitted.y_offset, y_log=fitted.y_log
        )

    def _core(self) -> Any:
        model = bare_model(self._fitted.network.blueprint, self._fitted.preprocessor.output_shape)
        with quiet_arrays():
            model.set_weights(self.weights_)
        return model

    def _outputs(self, X: Any) -> Array:  # noqa: N803
        """`(row, output)` float64: of classes `(row, class)` probabilities, of a regression the user's units."""
        check_is_fitted(self)
        fitted = self._fitted
        schema = fitted.preprocessor.dataset.schema
        if schema is None:
            prepared = fitted.preprocessor.transform(dense_rows(validate_data(self, X, reset=False, **self._accepts())))
        else:
            frame, _ = to_frame(validate_data(self, X, reset=False, skip_check_array=True))
            if frame is None:
                names = ", ".join(schema.names[:8])
                raise DataError("rows must be a table, as those of `fit` were", "got an array", f"Columns: {names}.")
            prepared = fitted.preprocessor.transform(encode_table(schema, frame))
        blueprint = fitted.network.blueprint
        if is_simple(blueprint):
            raw = forward(blueprint, self.weights_, prepared)
        else:
            raw = predict_solo(self._core(), prepared).astype(np.float64)
        if fitted.task == "regression":
            if fitted.y_scale is not None and fitted.y_offset is not None:
                raw = raw * fitted.y_scale + fitted.y_offset
            return np.exp(raw) if fitted.y_log else raw
        values = probabilities(raw[None], fitted.task, np.array([fitted.network.logits]))[0]  # type: ignore[arg-type]
        return np.concatenate([1.0 - values, values], axis=1) if values.shape[1] == 1 else values

    def _accepts(self) -> dict[str, Any]:
        return {"dtype": [np.float64, np.float32], "accept_sparse": ("csr", "csc", "coo")}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class KerasBase(Predictor):
    """Trains one network in `fit`. A subclass says what the rows and the network are."""

    as_given = False
    """Whether rows reach the network as they are."""

    batch_size: int
    validation_fraction: float
    engine: str
    random_state: Any

    def _network(self, data: Dataset, n_features: tuple[int, ...]) -> Network:
        raise NotImplementedError

    def _target(self, y: Any) -> dict[str, Any]:
        raise NotImplementedError

    def _rows(self) -> dict[str, Any]:
        return {"normalize": False}

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, callbacks: Any = None) -> KerasBase:  # noqa: N803
        """Trains the network.

        Args:
            X: Numbers `(row, feature)`.
            y: The target, `(row,)`; of a regression also `(row, output)`.
            sample_weight: `(row,)`, 0 or more.
            callbacks: A list of `keras.callbacks.EarlyStopping` and `ReduceLROnPlateau`, as Keras's own `fit` takes it.
                What looks at validation rows gets the share `validation_fraction` of the rows.

        Returns:
            The estimator itself.

        Raises:
            ValueError: The rows or a parameter break a rule.
            TrainingError: The network diverged.
        """
        backend.ensure()
        data = self._dataset(X, y, sample_weight)
        seed = self._seed()
        prepared_shape = tuple(data.x.shape[1:])  # type: ignore[union-attr]
        network = self._network(data, prepared_shape)
        if callbacks is not None:
            network = replace(network, training=training_with(network.training, callbacks))
        fold = self._fold(data, network, seed)
        preprocessor = preprocessing.fit(data, fold.train, flatten=not self.as_given)
        split = split_arrays(data, fold, preprocessor)
        if self.as_given:
            split = unscaled(split)
        job = Job(
            member=Member(trial=0, fold=0, repeat=0, seed=seed),
            split=0,
            blueprint=network.blueprint,
            training=network.training,
            initial_weights=network.initial_weights,
        )
        trained = self._train(job, split)
        if trained.failure:
            raise TrainingError(f"The network could not be trained: {trained.failure}.")
        self._fitted = Fitted(
            network=replace(network, initial_weights=None),
            preprocessor=without_rows(preprocessor),
            task=data.task,
            y_scale=split.y_scale,
            y_offset=split.y_offset,
            y_log=split.y_log,
        )
        self.n_iter_ = trained.n_epochs
        self.history_ = trained.history
        self.engine_ = trained.engine
        self.weights_ = list(trained.weights)
        return self

    def _train(self, job: Job, split: Split) -> Trained:
        shared = current()
        if shared is not None:
            found = shared.take(job, split, seeded=self.random_state is not None)
            if found is not None:
                return found
        ((_, trained),) = train(choose_engine(self.engine, probes=False), [job], [split])
        return trained

    def _dataset(self, X: Any, y: Any, sample_weight: Any) -> Dataset:  # noqa: N803
        x, y = validate_data(self, X, y, multi_output=True, y_numeric=False, **self._accepts())
        x = dense_rows(x)
        target = self._target(y)
        return Dataset(x=x, sample_weight=weights_of(sample_weight, x, target), **target, **self._rows())

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _fold(self, data: Dataset, network: Network, seed: int) -> Fold:
        """All rows train, unless training looks at validation rows to stop or to slow down."""
        rows = np.arange(data.n_rows)
        if not any(monitor.startswith("val_") for monitor in network.training.watched):
            return Fold(fold=0, repeat=0, train=rows, validation=rows[:1])  # which nothing looks at
        share = one("validation_fraction", self.validation_fraction, "float", above=0, below=1)
        kept = np.bincount(data.y).min() > 1 if data.classes is not None else False
        train_rows, validation = train_test_split(
            rows, test_size=share, random_state=seed, stratify=data.y if kept else None
        )
        return Fold(fold=0, repeat=0, train=np.sort(train_rows), validation=np.sort(validation))


def one(name: str, value: Any, kind: Any = "any", **rules: Any) -> Any:
    """A parameter that takes one value, checked by the rules of the search space.

    Raises:
        SpaceError: It breaks a rule, or there are several values.

    Example:
        >>> one("learning_rate", 0.01, "float", above=0)
        0.01
    """
    read = domain(name, value, kind, **rules)
    if not isinstance(read, Fixed):
        raise SpaceError(
            f"`{name}` must be one value", f"got {value!r}", "Search over several with `FusedGridSearchCV`."
        )
    return read.value


def dense_rows(x: Any) -> Any:
    """Rows as an array, also where they came as a sparse matrix.

    Raises:
        DataError: They would not fit.
    """
    if not hasattr(x, "toarray"):
        return x
    n_bytes = x.shape[0] * x.shape[1] * x.dtype.itemsize
    if n_bytes > MOST_DENSE_BYTES:
        raise DataError(
            f"sparse rows are made dense here, up to {MOST_DENSE_BYTES // 2**30} GiB",
            f"these would take {n_bytes / 2**30:.1f} GiB",
            "Make fewer columns first: `sklearn.decomposition.TruncatedSVD`, or `max_features` of a vectorizer.",
        )
    return x.toarray()


def without_rows(preprocessor: Preprocessor) -> Preprocessor:
    """Of the rows only their shape: an estimator is not to carry its training data about."""
    return replace(preprocessor, dataset=preprocessor.dataset.take(np.arange(0)))


def weights_of(sample_weight: Any, x: Array, target: dict[str, Any]) -> Array | None:
    """Sample weights `(row,)`, checked; None where none are given.

    Raises:
        ValueError: They break a rule, or leave a classifier fewer than two classes.
    """
    if sample_weight is None:
        return None
    weight: Array = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("Sample weights must not be zero in every row.")
    if target.get("classes") is not None and len(np.unique(target["y"][weight > 0])) < 2:
        raise ValueError("A classifier needs rows of two classes or more with a `sample_weight` above 0.")
    return weight


def classes_of(y: Any) -> dict[str, Any]:
    """The target of a classifier as `Dataset` has it."""
    y = as_plain(y, "y") if np.asarray(y).dtype == object else y
    classes, encoded = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"A classifier needs rows of two classes or more; y has 1 class: {classes.tolist()}.")
    task = "binary" if len(classes) == 2 else "multiclass"
    return {"y": encoded.astype(np.int32).reshape(-1), "task": task, "classes": classes}


def numbers_of(y: Any) -> dict[str, Any]:
    """The target of a regression as `Dataset` has it."""
    values = np.asarray(y, dtype=np.float64)
    return {"y": values[:, None] if values.ndim == 1 else values, "task": "regression"}


def accepts(function: Any) -> tuple[dict[str, Any], bool]:
    """A function's named parameters with their defaults (`inspect.Parameter.empty`: none), and if it takes any."""
    parameters = inspect.signature(function).parameters.values()
    named = {p.name: p.default for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return named, any(p.kind == p.VAR_KEYWORD for p in parameters)
