"""The metrics that `fit` logs of a model: their names, what programs call them, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unitune.engine.lift.base import Unfusable
from unitune.engine.metrics import metric_name
from unitune.models.blueprint import MetricSpec, Training
from unitune.models.compiled import compiled_outputs
from unitune.models.compiled_metrics import read_metric


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A metric that `fit` logs.

    Attributes:
        engine_name: The name under which programs give it back.
        more_is_better: What Keras takes for better where it is not told; None where it wants to be told, as for what
            belongs to one of several outputs.
    """

    engine_name: str
    more_is_better: bool | None


def logged_by(training: Training) -> dict[str, Logged]:
    """What `fit` logs of a training, by its name, where programs know it by the same."""
    found = {name: Logged(engine_name=name, more_is_better=None) for name in training.metric_names}
    for one in () if training.outputs else training.metrics:
        name, more = (one, one == "accuracy") if isinstance(one, str) else (one.name, one.more_is_better)
        found[name] = Logged(engine_name=name, more_is_better=more)
    return found


def logged_of(model: Any) -> dict[str, Logged]:
    """What `fit` logs of a compiled model, by its name; the loss as a whole is always logged."""
    found: dict[str, Logged] = {}
    outputs = compiled_outputs(model)
    for output in outputs:
        prefix = f"{output.name}_" if len(outputs) > 1 else ""
        if prefix:
            found[f"{prefix}loss"] = Logged(engine_name=f"{prefix}loss", more_is_better=None)
        for given in output.metrics:
            name, metric, more = read_metric(given)
            own = prefix + engine_name(metric)
            found[prefix + name] = Logged(engine_name=own, more_is_better=None if prefix else more)
    return found


def engine_name(metric: str | MetricSpec) -> str:
    """The name by which programs know a metric."""
    try:
        return metric_name(metric)
    except Unfusable:  # the engine may have another way to train it
        return metric if isinstance(metric, str) else metric.name


def monitored(callback: Any, logged: Mapping[str, Logged], validates: bool) -> tuple[str, bool]:
    """What a callback looks at, by the name that programs know, and whether more of it is better."""
    callback_name = type(callback).__name__
    prefix = "val_" if callback.monitor.startswith("val_") else ""
    name = callback.monitor.removeprefix("val_")
    if name not in ("loss", *logged):
        raise Unfusable(f"`{callback_name}` on `{callback.monitor}`, which no program logs, has no fused form")
    if prefix and not validates:
        raise Unfusable(f"`{callback_name}` without validation rows has no fused form")
    more = False if name == "loss" else logged[name].more_is_better
    if callback.mode != "auto":
        more = callback.mode == "max"
    if more is None:
        raise Unfusable(f"`{callback_name}` on `{callback.monitor}` must be told its `mode`")
    return prefix + ("loss" if name == "loss" else logged[name].engine_name), more
