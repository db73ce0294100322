"""What each output of a compiled model is trained for, by the rules of `keras.Model.compile`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unitune.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class CompiledOutput:
    """An output: its name (empty where it is the only one), loss, weight, and metrics as they were given."""

    name: str
    loss: Any
    weight: float | None
    metrics: tuple[Any, ...]


def output_names(model: Any) -> tuple[str, ...]:
    """The names under which `fit` logs what belongs to the outputs, in the order of `model.outputs`.

    Those of a dictionary of outputs are its keys, any others are those of the layers that they come out of.
    """
    if gives_dictionary(model):
        return tuple(sorted(model._outputs_struct))
    return tuple(getattr(model, "_functional", model).output_names)  # a Sequential has them inside


def gives_dictionary(model: Any) -> bool:
    """Whether the outputs of a model come as a dictionary."""
    return isinstance(getattr(model, "_outputs_struct", None), Mapping)


def compiled_outputs(model: Any) -> tuple[CompiledOutput, ...]:
    """The outputs of a compiled model, in the order of `model.outputs`; it is built, unless it has one output.

    Raises:
        OptionError: Losses, weights or metrics do not fit the outputs.
    """
    given = compile_arguments(model)
    misplaced = misplaced_metrics(model)
    metrics = given.get("metrics") or misplaced
    weights = None if misplaced else given.get("loss_weights")
    if not all(isinstance(one, int | float) for one in _flat(weights)):
        raise OptionError("`loss_weights` must be numbers", f"got {weights!r}")
    outputs = getattr(model, "outputs", None) or [None]
    if len(outputs) == 1:
        losses = [("", *pair) for pair in _only(model.loss, weights)]
        per_output = [[*_flat(metrics), *_flat(given.get("weighted_metrics"))]]
    else:
        names = output_names(model)
        losses = list(zip(names, _losses(model.loss, names), _weights(weights, model.loss, names), strict=True))
        per_output = _metrics(metrics, names)
    return tuple(
        CompiledOutput(
            name=name, loss=loss, weight=None if weight is None else float(weight), metrics=tuple(_flat(own))
        )
        for (name, loss, weight), own in zip(losses, per_output, strict=True)
    )


def compile_arguments(model: Any) -> Mapping[str, Any]:
    """The arguments of `compile`, as they were given."""
    # `get_compile_config` would serialise the optimizer and the loss, too.
    given = getattr(getattr(model, "_compile_config", None), "config", None)
    found: Mapping[str, Any] = given if given is not None else model.get_compile_config() or {}
    return found


def misplaced_metrics(model: Any) -> list[str] | None:
    """Names of metrics that were given to `compile` as its third argument, which was theirs in Keras 2.

    In Keras 3 it is `loss_weights`, where names make `fit` fail.
    """
    config = compile_arguments(model)
    found = config.get("loss_weights")
    names = isinstance(found, list | tuple) and bool(found) and all(isinstance(one, str) for one in found)
    return found if names and not config.get("metrics") else None


def put_metrics_in_place(model: Any) -> None:
    """Compiles a model again whose metrics are misplaced, so that `fit` can train it."""
    misplaced = misplaced_metrics(model)
    if misplaced:
        model.compile(optimizer=model.optimizer, loss=model.loss, metrics=misplaced)


def _only(loss: Any, weights: Any) -> list[tuple[Any, Any]]:
    losses, own = _flat(loss), _flat(weights)
    if len(losses) != 1:
        raise OptionError("a model with one output must have one loss", f"got {len(losses)}")
    if len(own) > 1:
        raise OptionError("a model with one output has one loss weight", f"got {weights!r}")
    return [(losses[0], own[0] if own else None)]


def _losses(loss: Any, names: Sequence[str]) -> list[Any]:
    if isinstance(loss, Mapping):
        if set(loss) != set(names):
            raise OptionError("`loss` must have a loss for each output", f"got {sorted(loss)}", _those(names))
        return [loss[name] for name in names]
    if isinstance(loss, list | tuple):
        if len(loss) != len(names):
            raise OptionError("`loss` must have a loss for each output", f"got {len(loss)}", _those(names))
        return list(loss)
    return [loss] * len(names)


def _weights(given: Any, loss: Any, names: Sequence[str]) -> list[Any]:
    if given is None:
        return [None] * len(names)
    if not isinstance(loss, Mapping | list | tuple):
        # One loss for all outputs takes one weight for all.
        if isinstance(given, Mapping | list | tuple):
            raise OptionError(
                "`loss_weights` must match the losses", f"got {given!r} for one loss", "Give a loss for each output."
            )
        return [given] * len(names)
    if isinstance(given, Mapping) and isinstance(loss, Mapping):
        if set(given) != set(names):
            raise OptionError("`loss_weights` must have a weight for each loss", f"got {sorted(given)}", _those(names))
        return [given[name] for name in names]
    # Keras takes a dictionary beside a list of losses in the order of its keys, whatever the outputs are called.
    weights = _flat(given)
    if len(weights) != len(names):
        raise OptionError("`loss_weights` must have a weight for each loss", f"got {given!r}", _those(names))
    return list(weights)


def _metrics(given: Any, names: Sequence[str]) -> list[Any]:
    if not given:
        return [None] * len(names)
    if isinstance(given, Mapping) and set(given) <= set(names):
        return [given.get(name) for name in names]
    if isinstance(given, list | tuple) and len(given) == len(names):
        return list(given)
    raise OptionError("`metrics` must have an entry for each output", f"got {given!r}", _those(names))


def _those(names: Sequence[str]) -> str:
    return f"The outputs are {', '.join(names)}."


def _flat(given: Any) -> list[Any]:
    """The leaves of nested lists and dictionaries in the order in which Keras comes to them."""
    if given is None:
        return []
    if isinstance(given, Mapping) and not ("class_name" in given and "config" in given):
        return [leaf for key in sorted(given) for leaf in _flat(given[key])]
    if isinstance(given, list | tuple):
        return [leaf for one in given for leaf in _flat(one)]
    return [given]  # which may be an object, serialised
