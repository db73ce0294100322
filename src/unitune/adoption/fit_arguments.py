"""What a `HyperModel` of the user's own decides on in `fit`: batch size, epochs, shuffling and callbacks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from unitune.adoption.callbacks import read_callbacks
from unitune.adoption.hypermodel import HyperModel
from unitune.adoption.logged import Logged
from unitune.adoption.user_fit import UserFit
from unitune.engine.lift.base import Unfusable
from unitune.errors import OptionError
from unitune.models.blueprint import Training
from unitune.space.hyperparameters import HyperParameters

FIT_ARGUMENTS = ("batch_size", "epochs", "shuffle", "callbacks", "verbose")


def fit_arguments(
    hypermodel: HyperModel, hp: HyperParameters, model: Any, x: Any, y: Any, *, validation: Any, epochs: int = 10
) -> dict[str, Any]:
    """The arguments with which a `HyperModel` calls `model.fit`, whose rows must be those it was given.

    Its `fit` is given `x` and `y`, and what it takes of `validation_data`, `callbacks`, `epochs` and `verbose`.

    Raises:
        OptionError: It does not call it, fails before, wants something else, or changes the rows.
    """
    args, kwargs = _offered(hypermodel, hp, model, x, y, validation, epochs)
    user = UserFit(model, lambda: _call(hypermodel.fit, args, kwargs))
    user.start()
    error, request = user.error, user.request
    user.abandon()
    if isinstance(error, Exception):
        first = (str(error).strip().splitlines() or [""])[0]
        raise OptionError(
            "`HyperModel.fit` must come to its call of `model.fit`",
            f"before it raised {type(error).__name__}: {first}",
            "It is given `x`, `y`, `validation_data` and `callbacks`. `unitune.RandomSearch` gives it all that is "
            "given to `search`.",
        ) from error
    if error is not None:
        raise error
    if request is None:
        raise OptionError("`HyperModel.fit` must call `model.fit`", "it did not", "Use `unitune.RandomSearch` for it.")
    found = dict(zip(("x", "y", "batch_size", "epochs", "verbose", "callbacks"), request[0], strict=False)) | request[1]
    held_out = found.pop("validation_data", None)
    same = held_out is None or held_out is validation
    if found.pop("x", None) is not x or found.pop("y", None) is not y or not same:
        raise OptionError(
            "`HyperModel.fit` must pass its rows on as they are, so that they can be split into folds",
            "it changes them",
            "Put what changes them into the model as a layer, or use `unitune.RandomSearch`.",
        )
    unknown = sorted(set(found) - set(FIT_ARGUMENTS))
    if unknown:
        raise OptionError("`HyperModel.fit` may decide on batch size, epochs and callbacks", f"got `{unknown[0]}`")
    return found


def _call(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Calls a user's `fit`; what it gives to `model.fit` itself beside `**kwargs` is left out of these."""
    while True:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            twice = re.search(r"multiple values for keyword argument '(\w+)'", str(error))
            if twice is None or twice[1] not in kwargs:
                raise
            kwargs = {name: value for name, value in kwargs.items() if name != twice[1]}


def _offered(
    hypermodel: HyperModel, hp: HyperParameters, model: Any, x: Any, y: Any, validation: Any, epochs: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a user's `fit`, as far as it takes them.

    Raises:
        OptionError: It asks for something else.
    """
    signature = inspect.signature(hypermodel.fit)
    names = {name for name, one in signature.parameters.items() if one.kind is not inspect.Parameter.POSITIONAL_ONLY}
    more = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature.parameters.values())
    # What goes on to `model.fit` with others must not be given twice: only what every search passes on.
    extra = {"validation_data": validation, "callbacks": []}
    extra = {name: value for name, value in extra.items() if more or name in names}
    extra |= {name: value for name, value in {"epochs": epochs, "verbose": 0}.items() if name in names}
    reason = ""
    for args, rows in (((hp, model, x, y), {}), ((hp, model), {"x": x, "y": y})):
        try:
            signature.bind(*args, **rows, **extra)
        except TypeError as error:
            reason = reason or str(error)
        else:
            return args, {**rows, **extra}
    raise OptionError(
        "`HyperModel.fit` must take `(hp, model, x, y, ...)` here, and may take `validation_data`, `callbacks`, "
        "`epochs` and `verbose`",
        f"calling it so fails: {reason}",
        "Give other arguments defaults, or use `unitune.RandomSearch`, which passes on what is given to `search`.",
    )


def as_fitted(
    arguments: Mapping[str, Any],
    training: Training,
    steps: int | None = None,
    logged: Mapping[str, Logged] | None = None,
) -> Training:
    """A training with the arguments of `fit` in it; `steps` are those of an epoch, where they are known.

    Raises:
        Unfusable: A callback needs the model while it is trained.
    """
    settings = {
        name: arguments[name] for name in ("batch_size", "epochs", "shuffle") if arguments.get(name) is not None
    }
    return read_callbacks(arguments.get("callbacks"), replace(training, **settings), steps, logged=logged)[0]


def training_with(training: Training, callbacks: Any) -> Training:
    """A training with callbacks of `fit` in it.

    Raises:
        OptionError: They are no list of Keras callbacks, or one is not `EarlyStopping` or `ReduceLROnPlateau` on what
            is logged.
    """
    if callbacks is not None and not isinstance(callbacks, list | tuple):
        raise OptionError("`callbacks` must be a list of Keras callbacks", f"got {callbacks!r}")
    try:
        return as_fitted({"callbacks": callbacks}, training)
    except Unfusable as told:
        raise OptionError(
            "`callbacks` of `fit` may be `EarlyStopping` and `ReduceLROnPlateau` on what is logged",
            str(told),
            f"Logged are {', '.join(('loss', *training.metric_names))}, and those with `val_`.",
        ) from None
