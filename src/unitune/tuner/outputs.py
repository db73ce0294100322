"""What networks of the user's own put out and their losses take, and those whose targets do not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from unitune.data.arrays import Split
from unitune.data.fitting import why_misfit
from unitune.data.given import Kind, Output
from unitune.engine.around import Around
from unitune.engine.contract import Engine, Job, MemberState, Outcome
from unitune.engine.failed import failed_outcome
from unitune.models.adopt import logits_of
from unitune.models.blueprint import Blueprint
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


class Failures:
    """Networks that cannot be trained, with the reason: their members are failures, and take no others down."""

    def __init__(self) -> None:
        self._reasons: dict[int, tuple[Blueprint, str]] = {}  # which keeps the ids valid

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def add(self, blueprint: Blueprint, reason: str) -> None:
        """Notes why a network cannot be trained."""
        self._reasons[id(blueprint)] = (blueprint, reason)

    def before(self, engine: Engine) -> Engine:
        """An engine before which they are sorted out."""
        return _Sorting(engine, self._reasons)


class _Sorting(Around):
    def __init__(self, engine: Engine, failures: Mapping[int, tuple[Blueprint, str]]) -> None:
        super().__init__(engine)
        self._failures = failures

    def prepare(self, jobs: Sequence[Job], splits: Sequence[Split]) -> list[MemberState | None]:
        sound = [job for job in jobs if id(job.blueprint) not in self._failures]
        states = iter(super().prepare(sound, splits) if sound else ())
        return [None if id(job.blueprint) in self._failures else next(states) for job in jobs]

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Callable[[Sequence[Job]], Sequence[bool]] | None = None,
    ) -> Iterator[Outcome]:
        sound = [job for job in jobs if id(job.blueprint) not in self._failures]
        for job in jobs:
            if id(job.blueprint) in self._failures and (take is None or take([job])[0]):
                yield failed_outcome(job, splits[job.split], self._failures[id(job.blueprint)][1], engine="solo")
        if sound:
            yield from self.inner.train(sound, splits, should_stop=should_stop, take=take)
