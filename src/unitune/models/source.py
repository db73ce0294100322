"""Where a network of the user's own comes from: the model that was compiled, or the function that builds it.

A blueprint is what was read of such a network. What it could not read is trained by `fit` on the user's own object, and
what it did read is held against that object (`unitune.engine.agreement`), so a source gives the object itself.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.models import backend
from unitune.models.compiled import put_metrics_in_place
from unitune.models.initial import seeded
from unitune.models.shapes import as_shapes
from unitune.models.subclassed import has_own_call, make_weights

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

_FITTED = ("history", "stop_training")  # what `fit` leaves on a model beside the values of its variables


class BuiltModel:
    """A model that a function of the user's own builds anew each time.

    Args:
        build: Gives a compiled model.
        input_shape: Of one row, for a model that does not say what it takes.
        callbacks: Gives the callbacks of the user's own for a model.
    """

    ships = True

    def __init__(
        self,
        build: Callable[[], Any],
        input_shape: tuple[Any, ...],
        callbacks: Callable[[Any], list[Any]] | None = None,
    ) -> None:
        self._build = build
        self._input_shape = input_shape
        self._callbacks = callbacks

    @contextmanager
    def lent(self, seed: int) -> Iterator[keras.Model]:
        """A new model."""
        model = seeded(self._build, seed)
        _build(model, self._input_shape)
        yield model

    def callbacks(self, model: keras.Model) -> list[Any]:
        """Those that the user's function gives."""
        return [] if self._callbacks is None else self._callbacks(model)

    def kept(self, model: keras.Model) -> keras.Model:
        """The model itself."""
        return model


class LiveModel:
    """A model that the user holds: what is done to it while it is lent is undone afterwards.

    Args:
        model: Compiled.
        input_shape: As of `BuiltModel`.
    """

    ships = False  # Keras pickles a model by its configuration, which need not say all

    def __init__(self, model: keras.Model, input_shape: tuple[Any, ...]) -> None:
        self._model = model
        self._input_shape = input_shape
        self._handed_over: list[Any] | None = None

    @contextmanager
    def lent(self, seed: int) -> Iterator[keras.Model]:
        """The model, in the state in which the user left it."""
        model = self._model
        _build(model, self._input_shape)
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        before = [(variable, np.array(variable)) for variable in (*model.variables, *_of_optimizer(model))]
        left = {name: vars(model)[name] for name in _FITTED if name in vars(model)}
        self._handed_over = None
        try:
            yield model
        finally:
            for variable, value in before:
                variable.assign(value)
            model.reset_metrics()
            for name in _FITTED:
                vars(model).pop(name, None)
            vars(model).update(left)
            if self._handed_over is not None:
                model.set_weights(self._handed_over)

    def callbacks(self, model: keras.Model) -> list[Any]:
        """None."""
        return []

    def kept(self, model: keras.Model) -> keras.Model:
        """A copy; or the user's own model, where none computes the same, which is then left with these weights."""
        weights, rows = model.get_weights(), _some_rows(model, self._input_shape)
        # A file also holds what is no weight and in no config, as the vocabulary of an adapted `TextVectorization`.
        for copied in (_cloned, _by_file) if not _holds_text(model) else (_by_file,):
            try:
                copy = copied(model)
                pairs = zip(_outputs(copy, rows), _outputs(model, rows), strict=True)
                if all(np.allclose(one, other, equal_nan=True) for one, other in pairs):
                    return copy
                reason = "a copy of it computes something else"
            except Exception as error:
                first = (str(error).strip().splitlines() or [""])[0]
                reason = f"it cannot be copied ({type(error).__name__}: {first})"
        logger.warning("`%s` itself is handed over, with the weights of its training: %s", model.name, reason)
        self._handed_over = weights
        return model


class KeptModel(LiveModel):
    """A model that a function of the user's own has built, and would build the same again: lent as it is.

    Args:
        model: Gives the model.
        input_shape: As of `BuiltModel`.
    """

    ships = True

    def __init__(self, model: Callable[[], keras.Model], input_shape: tuple[Any, ...]) -> None:
        super().__init__(None, input_shape)
        self._get = model

    @contextmanager
    def lent(self, seed: int) -> Iterator[keras.Model]:
        """The model, in the state in which the function left it."""
        self._model = self._get()
        with super().lent(seed) as model:
            yield model


def _build(model: Any, input_shape: tuple[Any, ...]) -> None:
    """Makes the model ready for `fit`: built, with metrics where Keras 3 takes them."""
    put_metrics_in_place(model)
    if len(as_shapes(input_shape)) == 1 or has_own_call(model):
        make_weights(model, input_shape)


def _of_optimizer(model: Any) -> list[Any]:
    return [] if model.optimizer is None else list(model.optimizer.variables)


def _cloned(model: Any) -> Any:
    copy = backend.ensure().models.clone_model(model)
    copy.set_weights(model.get_weights())
    for layer in copy._flatten_layers(include_self=False):
        if hasattr(layer, "finalize_state"):  # numbers that follow from weights, as in `Normalization`
            layer.finalize_state()
    return copy


def _by_file(model: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        # The user's own model, written a moment ago: what it holds is not foreign.
        return backend.ensure().models.load_model(f"{folder}/model.keras", compile=False, safe_mode=False)


def _holds_text(model: Any) -> bool:
    return any(str(one.dtype) == "string" for one in getattr(model, "inputs", None) or ())


def _some_rows(model: Any, input_shape: tuple[Any, ...]) -> list[Any]:
    """Two rows for each input of a model."""
    keras = backend.ensure()
    rng = np.random.default_rng(0)
    rows = []
    for one in getattr(model, "inputs", None) or [keras.Input(shape) for shape in as_shapes(input_shape)]:
        shape, kind = (2, *(3 if size is None else size for size in one.shape[1:])), str(one.dtype)
        if kind == "string":
            rows.append(backend.as_keras_takes(np.full(shape, "", dtype=object)))
            continue
        values = rng.normal(size=shape) if "float" in kind else np.zeros(shape)
        rows.append(keras.ops.convert_to_tensor(values.astype("float64" if "float" in kind else "int32"), dtype=kind))
    return rows


def _outputs(model: Any, rows: list[Any]) -> list[Any]:
    keras = backend.ensure()
    found = model(rows[0] if len(rows) == 1 else rows, training=False)
    return [keras.ops.convert_to_numpy(one) for one in keras.tree.flatten(found)]
