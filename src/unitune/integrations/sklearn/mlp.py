"""The dense family as estimators: `KerasMLPClassifier` and `KerasMLPRegressor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from unitune.data.dataset import Dataset
from unitune.data.targets import as_plain
from unitune.errors import DataError, OptionError, SpaceError
from unitune.integrations.sklearn.base import KerasBase, Predictor, classes_of, numbers_of, one
from unitune.models import activations, initializers, optimizers, schedules
from unitune.models.dense import MAX_LAYERS, blueprint, training
from unitune.models.heads import head
from unitune.records import Array
from unitune.tuner.loop import Network

_PARAMETERS = """
    The parameters have the names and the meaning of the hyperparameters of `unitune.tune`, one value each.

    Args:
        units: Width of the hidden layers, from 1; a list or tuple gives each its own.
        activation: Of the hidden layers: a name that Keras knows, a layer or a function; a list gives each its own.
        layers: Number of hidden layers, 1 to 8; by default as many as `units` or `activation` have, else 1.
        optimizer: The name of a Keras optimizer, with arguments if need be: `"sgd(momentum=0.9)"`.
        learning_rate: Above 0; None is the optimizer's own.
        schedule: `"constant"`, `"exponential"`, `"cosine"`, `"warmup_cosine"`, `"step"` or `"plateau"`.
        dropout: Share of a hidden layer's outputs that is dropped, from 0 to below 1.
        weight_decay: Decoupled, as in AdamW, from 0; None is the optimizer's own.
        l1, l2: Penalties on the kernels, from 0.
        batch_normalization: Whether each hidden layer is normalised.
        initializer: The name of a Keras initializer; `"auto"` suits the activation.
        batch_size: Rows per step, from 1.
        epochs: Passes over the rows, from 1.
        patience: Stop after so many epochs without improvement of the loss on rows that are held out, keeping the best
            weights; None trains all epochs on all rows.
        validation_fraction: The share of the rows that is held out, where `patience` or `"plateau"` needs some.
        normalize: Whether features are normalised inside the model; `"auto"`: where they need it.
        engine: How `fit` trains: `"auto"` by a compiled program where there is one for the network (the second fit of
            the same shapes compiles nothing), else by Keras's own `fit`; `"fused"`: by a program or not at all;
            `"solo"`: by Keras's own `fit`. Results agree to rounding.
        random_state: Decides initial weights, row order and dropout."""

_ATTRIBUTES = """
    Attributes:
        weights_: The trained weights, in the order of `keras.Model.get_weights()`.
        history_: From `"loss"` and the other metrics to a list with the value of each epoch.
        n_iter_: Epochs trained.
        engine_: What trained it: `"fused"`, `"vmapped"` or `"solo"`.
        n_features_in_, feature_names_in_: As in scikit-learn."""


class Classifier(ClassifierMixin, Predictor):  # type: ignore[misc]
    """Predictions of classes."""

    classes_: Array

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The likeliest class of each row, `(row,)`.

        Args:
            X: `(row, feature)`.
        """
        outputs = self._outputs(X)
        return np.asarray(self.classes_[outputs.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Probabilities `(row, class)`, in the order of `classes_`.

        Args:
            X: `(row, feature)`.
        """
        return self._outputs(X)

    def predict_log_proba(self, X: Any) -> Array:  # noqa: N803
        """Logarithms of the probabilities, `(row, class)`.

        Args:
            X: `(row, feature)`.
        """
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._outputs(X)))

    def _target(self, y: Any) -> dict[str, Any]:
        given = y
        y = as_plain(y, "y") if np.asarray(y).dtype == object else y  # scikit-learn's own words are of type comparisons
        check_classification_targets(given)  # numbers among objects, which no score of scikit-learn's takes
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            raise DataError(
                "`y` must be one label for each row",
                f"it has {np.shape(y)[1]} columns",
                "For one-hot labels give `y.argmax(axis=1)`; for several labels of a row use "
                "`sklearn.multioutput.MultiOutputClassifier`.",
            )
        target = classes_of(column_or_1d(y, warn=True))
        self.classes_ = target["classes"]
        return target


class Regressor(RegressorMixin, Predictor):  # type: ignore[misc]
    """Predictions of numbers."""

    _one_dimensional: bool

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The predicted numbers, in the shape of `y`: `(row,)` or `(row, output)`.

        Args:
            X: `(row, feature)`.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one_dimensional else outputs

    def _target(self, y: Any) -> dict[str, Any]:
        target = numbers_of(y)
        self._one_dimensional = np.ndim(y) == 1
        return target

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@dataclass(eq=False, repr=False)
class _Dense(KerasBase):
    """The network of a configuration of the dense family."""

    units: Any = 64
    activation: Any = "relu"
    _: KW_ONLY
    layers: int | None = None
    optimizer: Any = "adam"
    learning_rate: float | None = None
    schedule: str = "constant"
    dropout: float = 0.0
    weight_decay: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    batch_normalization: bool = False
    initializer: Any = "auto"
    batch_size: int = 32
    epochs: int = 10
    patience: int | None = None
    validation_fraction: float = 0.1
    normalize: Any = "auto"
    engine: str = "auto"
    random_state: Any = None

    def _network(self, data: Dataset, n_features: tuple[int, ...]) -> Network:
        configuration = self._configuration()
        task_head = head(data.task, n_classes=data.n_classes or None, n_outputs=data.n_outputs)
        patience = one("patience", self.patience, "int", low=0, none=True)
        return Network(
            blueprint=blueprint(configuration, task_head),
            training=training(configuration, task_head, patience=patience),
        )

    def _configuration(self) -> dict[str, Any]:
        given = {"units": self.units, "activation": self.activation}
        lengths = {len(value) for value in given.values() if _is_list(value)}
        depth = one("layers", self.layers, "int", low=1, none=True) or max(lengths, default=1)
        if lengths - {depth} or depth > MAX_LAYERS:
            raise SpaceError(
                f"`layers` goes from 1 to {MAX_LAYERS}, and lists in `units` and `activation` have one value for each",
                f"got layers={self.layers!r}, units={self.units!r}, activation={self.activation!r}",
            )
        configuration: dict[str, Any] = {"layers": depth}
        for name, value in given.items():
            rules: dict[str, Any] = {"kind": "int", "low": 1} if name == "units" else {"check": activations.check}
            if _is_list(value):
                own = [one(name, item, **rules) for item in value]
                configuration |= {f"{name}_{number}": item for number, item in enumerate(own, start=1)}
            else:
                configuration[name] = one(name, value, **rules)
        return configuration | {
            "optimizer": one("optimizer", self.optimizer, check=optimizers.check),
            "learning_rate": one("learning_rate", self.learning_rate, "float", above=0, none=True),
            "schedule": one("schedule", self.schedule, check=schedules.check),
            "dropout": one("dropout", self.dropout, "float", low=0, below=1),
            "weight_decay": one("weight_decay", self.weight_decay, "float", low=0, none=True),
            "l1": one("l1", self.l1, "float", low=0),
            "l2": one("l2", self.l2, "float", low=0),
            "batch_normalization": one("batch_normalization", self.batch_normalization, "bool"),
            "initializer": one("initializer", self.initializer, check=initializers.check),
            "batch_size": one("batch_size", self.batch_size, "int", low=1),
            "epochs": one("epochs", self.epochs, "int", low=1),
        }

    def _rows(self) -> dict[str, Any]:
        if self.normalize not in (True, False, "auto"):
            raise OptionError('`normalize` must be True, False or "auto"', f"got {self.normalize!r}")
        return {"normalize": self.normalize}


@dataclass(kw_only=True, eq=False, repr=False)
class KerasMLPClassifier(Classifier, _Dense):  # noqa: D101
    __doc__ = f"""A dense Keras network that predicts classes.
{_PARAMETERS}
        class_weight: From a class to its weight in training, or `"balanced"`.
{_ATTRIBUTES}
        classes_: The labels, sorted.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(80, 3))
        >>> model = KerasMLPClassifier(units=8, learning_rate=0.05, random_state=0).fit(x, x[:, 0] > 0)
        >>> model.predict_proba(x).shape, bool(model.score(x, x[:, 0] > 0) > 0.8)
        ((80, 2), True)
    """

    class_weight: Any = None

    def _rows(self) -> dict[str, Any]:
        return super()._rows() | {"class_weight": class_weights(self.class_weight, self.classes_)}


class KerasMLPRegressor(Regressor, _Dense):  # noqa: D101
    __doc__ = f"""A dense Keras network that predicts numbers; targets are standardised inside.
{_PARAMETERS}
{_ATTRIBUTES}

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(80, 3))
        >>> model = KerasMLPRegressor(units=8, learning_rate=0.05, random_state=0).fit(x, x[:, 0])
        >>> model.predict(x).shape, bool(model.score(x, x[:, 0]) > 0.5)
        ((80,), True)
    """


def class_weights(given: Any, classes: Array) -> Any:
    """Class weights as `Dataset` has them: `"balanced"`, or one number for each class; None where none are given.

    Raises:
        DataError: An unknown class, or no number.
    """
    if given is None or given == "balanced":
        return given
    if not isinstance(given, Mapping):
        raise DataError('`class_weight` must be a dict or "balanced"', f"got {given!r}")
    labels = classes.tolist()
    unknown = [label for label in given if label not in labels]
    if unknown:
        raise DataError("`class_weight` must name classes of y", f"got {unknown[0]!r}", f"The classes are {labels}.")
    return np.array([one("class_weight", given.get(label, 1.0), "float", low=0) for label in labels])


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)
