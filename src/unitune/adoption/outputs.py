"""The rows that networks of the user's own take, and what they put out and their losses take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from unitune.data.dataset import Dataset
from unitune.data.fitting import why_misfit
from unitune.data.given import Kind, Output
from unitune.data.load import dataset
from unitune.errors import OptionError
from unitune.models import backend
from unitune.models.adopt import input_keys, logits_of
from unitune.records import Array

KINDS: dict[Kind, tuple[str, ...]] = {
    "sparse": ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy"),
    "categorical": (
        *("categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge"),
        *("kl_divergence", "kullback_leibler_divergence", "kldivergence", "kld"),
    ),
    "binary": ("binary_crossentropy", "bce", "binary_focal_crossentropy"),
    "hinge": ("hinge", "squared_hinge"),
    "numbers": (
        *("mse", "mae", "mape", "msle", "huber", "log_cosh", "logcosh", "poisson"),
        *("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"),
        *("mean_squared_logarithmic_error", "cosine_similarity", "dice", "tversky"),
    ),
}
"""The losses of Keras by what they take."""


def loss_name(loss: Any) -> str:
    """The name of a loss, whether it was given as a name, a function or an object."""
    # Not the attribute `name` of a loss object, which the user may choose.
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def kind_of(loss: Any) -> Kind:
    """What a loss takes; `own` where it is not Keras's."""
    if isinstance(loss, str):
        name = loss_name(loss)
    else:
        named = loss if hasattr(loss, "__name__") else type(loss)
        if not str(getattr(named, "__module__", "")).startswith("keras."):
            return "own"
        name = loss_name(named.__name__)
    return next((kind for kind, names in KINDS.items() if name in names), "own")


def outputs_of(models: Iterable[Any], input_shape: tuple[Any, ...] | None) -> list[Output]:
    """What each of some compiled models with one output puts out and takes, on rows of this shape."""
    found = []
    for model in models:
        loss = model.loss
        found.append(
            Output(
                kind=kind_of(loss),
                row=output_row(model, input_shape),
                loss=loss_name(loss),
                logits=logits_of(loss),
                ignored=getattr(loss, "ignore_class", None),
            )
        )
    return found


def output_row(model: Any, input_shape: tuple[Any, ...] | None) -> tuple[int | None, ...] | None:
    """The shape of a row of a model's output, also of one that is not built; None where Keras cannot tell."""
    shape: Any = None
    try:
        if getattr(model, "outputs", None):
            shape = model.outputs[0].shape
        elif model.layers:
            # The rows of a table become one axis whose length is learnt, and rarely decides how many outputs there are.
            shape = model.compute_output_shape((None, *(input_shape or (1,))))
    except Exception:  # a layer of the user's own
        return None
    return None if shape is None else tuple(None if size is None else int(size) for size in shape[1:])


def why_not(model: Any, input_shape: tuple[Any, ...], given: Array | None) -> str:
    """Why a model cannot learn these targets, as a clause; empty where nothing speaks against it."""
    if given is None:
        return ""
    (output,) = outputs_of([model], input_shape)
    return "" if output.kind == "own" else why_misfit(given, output.row, output.loss, ignored=output.ignored)


def read_rows(models: Mapping[str, Any], x: Any, y: Any, *, normalize: Any, **reading: Any) -> Dataset:
    """Rows as some models take them, each with one output.

    Args:
        models: The models, by what they are called in errors.
        x, y, normalize, **reading: As `unitune.data.load.dataset` takes them.

    Raises:
        InputError: The models do not go together, or the rows break a rule.
    """
    check_one_output(models)
    return dataset(
        x,
        y,
        normalize=normalize,
        inputs=inputs_of(models),
        outputs=partial(outputs_of, models.values()),
        takes_text=takes_text(models.values()),
        **reading,
    )


def check_one_output(models: Mapping[str, Any]) -> None:
    """Refuses models with several outputs, for which there is no task and no score yet.

    Raises:
        OptionError: One has.
    """
    for model in models.values():
        outputs = getattr(model, "outputs", None) or ()
        if len(outputs) > 1:
            raise OptionError(
                "a model must have one output here",
                f"`{model.name}` has {len(outputs)}",
                "Search models with several outputs with `unitune.keras_tuner`: its tuners train them together, too.",
            )


def takes_text(models: Iterable[Any]) -> bool:
    """Whether some model reads text itself: an input of strings, or a first layer that looks strings up."""
    keras = backend.ensure()
    readers = (keras.layers.TextVectorization, keras.layers.StringLookup)
    for model in models:
        first = next(iter(getattr(model, "layers", ())), None)
        if isinstance(first, readers) or any(one.dtype == "string" for one in getattr(model, "inputs", None) or ()):
            return True
    return False


def inputs_of(models: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of the inputs, where the models have several; else none.

    Raises:
        OptionError: Not all models have the same inputs.
    """
    keys = {model.name: input_keys(model) for model in models.values()}
    several = {name: own for name, own in keys.items() if len(own) > 1}
    if not several:
        return ()
    name, first = next(iter(several.items()))
    for other, own in keys.items():
        if own != first:
            raise OptionError(
                "all models must have the same inputs",
                f"`{name}` has {', '.join(first)}, and `{other}` has {', '.join(own) or 'one'}",
                "Give inputs the same names and order: `keras.Input(shape, name=...)`.",
            )
    return first
