"""The metrics that were given to `compile`, by the rules of Keras: names, objects, classes, functions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from unitune.models import backend
from unitune.models.blueprint import MetricSpec
from unitune.models.identity import NotPlain, defaults, function_name, read

# Names that need no object of Keras's to be known.
_PLAIN = frozenset({"mae", "mse", "mean_absolute_error", "mean_squared_error"})


def read_metric(given: Any) -> tuple[str, str | MetricSpec, bool | None]:
    """One of the metrics that were given to `compile`.

    Args:
        given: A name, an object, its class or its configuration, or a function.

    Returns:
        The name under which `fit` logs it, the metric, and what Keras takes for better: more (True), less (False), or
        None where it wants to be told. What is not plain, or a function, stays in the spec as it is, with the reason.

    Example:
        >>> read_metric("acc")
        ('acc', 'accuracy', True)
        >>> name, spec, more = read_metric("AUC")
        >>> name, spec.class_name, more
        ('AUC', 'AUC', True)
    """
    keras = backend.ensure()
    if isinstance(given, str) and given.lower() in ("acc", "accuracy"):
        return given, "accuracy", True
    if isinstance(given, str) and given in _PLAIN:
        return given, given, False
    try:
        found = keras.metrics.get(dict(given) if isinstance(given, Mapping) else given)
    except (ValueError, TypeError):
        found = given  # `fit` will say what is wrong with it
    if isinstance(found, keras.metrics.Metric):
        name = given if isinstance(given, str) else str(found.name)
        spec = _spec(found, name)
    else:
        name = given if isinstance(given, str) else str(getattr(found, "__name__", type(found).__name__))
        spec = _of_function(found, name)
    return name, spec, spec.more_is_better


def _spec(metric: Any, name: str) -> MetricSpec:
    kind: Any = type(metric)
    direction = {"up": True, "down": False}.get(getattr(metric, "_direction", None) or "")
    try:
        settings = {**defaults(kind), **read(metric, "metrics", "metric")}
        config = tuple(sorted((key, _frozen(item)) for key, item in settings.items() if key != "name"))
        hash(config)
    except NotPlain as told:
        return MetricSpec(class_name="", name=name, given=metric, reason=str(told), more_is_better=direction)
    except TypeError:
        reason = f"the metric `{name}` has no fused form"
        return MetricSpec(class_name="", name=name, given=metric, reason=reason, more_is_better=direction)
    config = tuple((key, item) for key, item in config if key != "dtype" or item is not None)
    return MetricSpec(class_name=kind.__name__, name=name, config=config, more_is_better=direction)


def _of_function(function: Any, name: str) -> MetricSpec:
    """A function that Keras wraps; one of Keras's own is the class that wraps it, where there is one."""
    keras = backend.ensure()
    own = function_name(function, "metrics") or function_name(function, "losses")
    if own is None:
        what = "a function" if inspect.isroutine(function) else f"a {type(function).__name__}"
        return MetricSpec(class_name="", name=name, given=function, reason=f"the metric `{name}` is {what} of your own")
    try:
        wrapper = keras.metrics.get(own)
    except ValueError:  # not all functions have a class: `huber`
        wrapper = None
    if getattr(wrapper, "_fn", None) is function:
        return _spec(wrapper, name)
    return MetricSpec(class_name="", name=name, given=function, reason=f"the metric `{name}` has no fused form")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
