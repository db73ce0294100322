"""`KerasEstimator`: a function that builds a compiled Keras model, as an estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import Parameter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.metaestimators import available_if

from unitune.adoption.outputs import loss_name
from unitune.data.dataset import Dataset
from unitune.engine.solo import quiet_arrays
from unitune.errors import DataError, OptionError, suggest
from unitune.integrations.sklearn.base import Fitted, KerasBase, accepts, one
from unitune.integrations.sklearn.mlp import Classifier, Regressor, class_weights
from unitune.integrations.sklearn.shared import current
from unitune.integrations.sklearn.shipping import check_shippable
from unitune.models import backend
from unitune.models.adopt import adopt, predicts_logits
from unitune.models.blueprint import EarlyStopping
from unitune.models.source import BuiltModel
from unitune.records import Array
from unitune.tuner.loop import Network

if TYPE_CHECKING:
    import keras

TASKS = ("classification", "regression")


def _classifies(estimator: Any) -> bool:
    if estimator.task != "classification":
        raise AttributeError(f'it is for `task="classification"`, and this is {estimator.task!r}')
    return True


class KerasEstimator(KerasBase):
    """A network of your own: a function from named parameters to a compiled Keras model.

    The function's parameters are those of the estimator, so that a search varies them by name. Where the function has
    parameters `n_features` and `n_outputs` (classes, or columns of `y`) that are not given, it is told them.

    Args:
        build_fn: Returns a compiled `keras.Model` with one input and one output. A Sequential needs no `Input`.
        task: `"classification"` or `"regression"`.
        epochs: Passes over the rows, from 1.
        batch_size: Rows per step, from 1.
        patience: Stop after so many epochs without improvement of the loss on rows that are held out, keeping the best
            weights; None trains all epochs on all rows.
        validation_fraction: The share of the rows that is held out, where `patience` is given.
        class_weight: From a class to its weight in training, or `"balanced"`.
        keep_weights: Whether training starts at the weights that the model comes with, as in transfer learning;
            otherwise they are drawn from `random_state` by the layers' own initializers.
        engine: As in `KerasMLPClassifier`.
        random_state: Decides initial weights, row order and dropout.
        **parameters: Of `build_fn`.

    Attributes:
        weights_, history_, n_iter_, engine_, n_features_in_: As in `KerasMLPClassifier`.
        classes_: The labels, sorted; of a classification.

    Example:
        >>> import numpy as np
        >>> def build(units=8, activation="relu"):
        ...     import keras
        ...     model = keras.Sequential([keras.layers.Dense(units, activation), keras.layers.Dense(1, "sigmoid")])
        ...     model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
        ...     return model
        >>> x = np.random.default_rng(0).normal(size=(80, 3))
        >>> model = KerasEstimator(build, units=4, random_state=0).fit(x, x[:, 0] > 0)
        >>> model.get_params()["units"], bool(model.score(x, x[:, 0] > 0) > 0.8)
        (4, True)
    """

    as_given = True
    classes_: Array

    def __init__(
        self,
        build_fn: Callable[..., keras.Model] | None = None,
        *,
        task: str = "classification",
        epochs: int = 10,
        batch_size: int = 32,
        patience: int | None = None,
        validation_fraction: float = 0.1,
        class_weight: Any = None,
        keep_weights: bool = False,
        engine: str = "auto",
        random_state: Any = None,
        **parameters: Any,
    ) -> None:
        self.build_fn = build_fn
        self.task = task
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.keep_weights = keep_weights
        self.engine = engine
        self.random_state = random_state
        self._parameters = parameters

    # Parameters -------------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The estimator's own parameters and those of `build_fn`; one without a value and a default is None.

        Args:
            deep: Ignored: no parameter is an estimator.
        """
        own: dict[str, Any] = super().get_params(deep=deep)
        defaults = self._of_function().items()
        return own | {n: None if d is Parameter.empty else d for n, d in defaults} | self._parameters

    def set_params(self, **parameters: Any) -> KerasEstimator:
        """Sets parameters of the estimator and of `build_fn`.

        Args:
            **parameters: By name.

        Raises:
            ValueError: Neither has a parameter of this name.
        """
        if "build_fn" in parameters:
            self.build_fn = parameters["build_fn"]
        names = {*self._get_param_names()}
        known = {*self._of_function(), *self._parameters}
        anything = callable(self.build_fn) and accepts(self.build_fn)[1]
        theirs = {n: v for n, v in parameters.items() if n not in names and (n in known or anything)}
        self._parameters = self._parameters | theirs
        super().set_params(**{name: value for name, value in parameters.items() if name not in theirs})
        return self

    def __getattr__(self, name: str) -> Any:
        parameters = self.__dict__.get("_parameters", {})
        if name not in parameters:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return parameters[name]

    def _of_function(self) -> dict[str, Any]:
        """The parameters of `build_fn` that are neither the estimator's own nor told by the data."""
        if not callable(self.build_fn):
            return {}
        named, _ = accepts(self.build_fn)
        left_out = {*self._get_param_names(), "n_features", "n_outputs"}
        return {name: default for name, default in named.items() if name not in left_out}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.task == "regression":
            tags.estimator_type = "regressor"
            tags.regressor_tags = RegressorTags()
            tags.target_tags.multi_output = True
        else:
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags()
        return tags

    # Training ---------------------------------------------------------------------------------------------------

    def _target(self, y: Any) -> dict[str, Any]:
        if self.task not in TASKS:
            raise OptionError("`task` must be a known name", f"got {self.task!r}", suggest(str(self.task), TASKS))
        kind: Any = Classifier if self.task == "classification" else Regressor
        target: dict[str, Any] = kind._target(self, y)
        return target

    def _accepts(self) -> dict[str, Any]:
        return super()._accepts() | {"allow_nd": True}  # images, for networks that take them

    def _rows(self) -> dict[str, Any]:
        weights = class_weights(self.class_weight, self.classes_) if self.task == "classification" else None
        return {"normalize": False, "class_weight": weights}

    def _network(self, data: Dataset, shape: tuple[int, ...]) -> Network:
        shared = current()
        if shared is None:
            return self._build(data, shape)
        # A search asks for the network of a candidate once for each fold.
        told = repr(sorted(self.get_params(deep=False).items(), key=lambda item: item[0]))
        return shared.once((id(self.build_fn), told, shape, data.n_outputs), lambda: self._build(data, shape))

    def _build(self, data: Dataset, shape: tuple[int, ...]) -> Network:
        model = self._call(shape, self._n_outputs(data))
        blueprint, training, weights = adopt(model, shape)
        n_outputs = int(model.outputs[0].shape[-1])
        self._check_outputs(data, n_outputs, loss_name(training.loss))
        patience = one("patience", self.patience, "int", low=0, none=True)
        source = self._source(shape, self._n_outputs(data))
        blueprint = replace(blueprint, source=source, template=None if blueprint.layers else blueprint.template)
        training = replace(
            training,
            loss=sparse_loss(training.loss),
            batch_size=one("batch_size", self.batch_size, "int", low=1),
            epochs=one("epochs", self.epochs, "int", low=1),
            early_stopping=None if patience is None else EarlyStopping(patience=patience),
        )
        return Network(
            blueprint=blueprint,
            training=training,
            initial_weights=weights if self.keep_weights else None,
            logits=predicts_logits(training),
        )

    def _call(self, shape: tuple[int, ...], n_outputs: int) -> Any:
        """The model that `build_fn` gives."""
        if not callable(self.build_fn):
            raise OptionError(
                "`build_fn` must be a function that returns a compiled Keras model", f"got {self.build_fn!r}"
            )
        named, anything = accepts(self.build_fn)
        own = super().get_params(deep=False)
        arguments = {**{name: own[name] for name in named if name in own}, **self._parameters}
        for name, default in named.items():
            if name in arguments:
                continue
            if name in ("n_features", "n_outputs"):
                arguments[name] = n_outputs if name == "n_outputs" else int(np.prod(shape))
            elif default is Parameter.empty:
                raise OptionError(
                    f"`build_fn` needs `{name}`", "it was not given", f"Write `KerasEstimator(build_fn, {name}=...)`."
                )
        unknown = [name for name in arguments if name not in named]
        if unknown and not anything:
            raise OptionError(
                "parameters must be those of `build_fn`", f"got `{unknown[0]}`", suggest(unknown[0], named)
            )
        return self.build_fn(**arguments)

    def _n_outputs(self, data: Dataset) -> int:
        return data.n_outputs if data.classes is None else len(data.classes)

    def _check_outputs(self, data: Dataset, n_outputs: int, loss: str) -> None:
        expected = self._n_outputs(data)
        fits = n_outputs == expected or (expected == 2 and n_outputs == 1 and data.classes is not None)
        if not fits:
            what = "classes" if data.classes is not None else "columns"
            raise DataError(
                f"the model must have {expected} outputs, as many as y has {what}",
                f"it has {n_outputs}",
                "Give `build_fn` a parameter `n_outputs`: it is told the number.",
            )
        if data.classes is not None and loss.startswith("binary") and n_outputs != 1:
            raise DataError("a model with a binary loss has 1 output", f"it has {n_outputs}")

    # Predictions ------------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The likeliest class of each row, or the predicted numbers in the shape of `y`.

        Args:
            X: `(row, feature...)`, as in `fit`.
        """
        kind: Any = Classifier if self.task == "classification" else Regressor
        return np.asarray(kind.predict(self, X))

    @available_if(_classifies)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Probabilities `(row, class)`, in the order of `classes_`."""
        return self._outputs(X)

    @available_if(_classifies)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Array:  # noqa: N803
        """Logarithms of the probabilities, `(row, class)`."""
        return np.asarray(Classifier.predict_log_proba(self, X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """The accuracy of a classification, the R2 of a regression.

        Args:
            X: `(row, feature...)`, as in `fit`.
            y: The target, as in `fit`.
            sample_weight: `(row,)`; all alike if not given.
        """
        measure = accuracy_score if self.task == "classification" else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    def _core(self) -> Any:
        with self._source(self._shape, self._n_model_outputs).lent(0) as model, quiet_arrays():
            model.set_weights(self.weights_)
            return model

    def _source(self, shape: tuple[int, ...], n_outputs: int) -> BuiltModel:
        return BuiltModel(lambda: self._call(shape, n_outputs), shape)

    @property
    def _n_model_outputs(self) -> int:
        return len(self.classes_) if self.task == "classification" else self._n_numbers

    @property
    def _shape(self) -> tuple[int, ...]:
        return self._fitted.preprocessor.output_shape

    @property
    def _n_numbers(self) -> int:
        return int(self._fitted.preprocessor.dataset.y.shape[1])

    def __getstate__(self) -> Any:
        """Without the live model: its weights are kept, and `build_fn` builds it again."""
        check_shippable(self.build_fn)
        state = dict(super().__getstate__())
        fitted: Fitted | None = state.get("_fitted")
        if fitted is not None:
            network = replace(fitted.network, blueprint=replace(fitted.network.blueprint, template=None, source=None))
            state["_fitted"] = replace(fitted, network=network)
        return state


def sparse_loss(loss: Any) -> Any:
    """Categorical cross-entropy on class numbers: the same numbers without one-hot targets."""
    if loss_name(loss) != "categorical_crossentropy":
        return loss
    keras = backend.ensure()
    config: dict[str, Any] = getattr(loss, "get_config", dict)()
    if config.get("label_smoothing"):
        raise OptionError(
            "labels cannot be smoothed here",
            f"got label_smoothing={config['label_smoothing']}",
            "Use `keras.losses.CategoricalCrossentropy()` without it.",
        )
    return keras.losses.SparseCategoricalCrossentropy(from_logits=bool(config.get("from_logits", False)))
