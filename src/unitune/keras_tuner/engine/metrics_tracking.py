"""The metrics of a trial: observations by step, their best values, and the direction of a metric."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from unitune.errors import OptionError

_MAX = {
    *("accuracy", "acc", "auc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"),
    *("binary_io_u", "f1_score", "fbeta_score", "io_u", "mean_io_u", "one_hot_io_u", "one_hot_mean_io_u"),
    *("precision", "precision_at_recall", "r2_score", "recall", "recall_at_precision", "pr_auc"),
    *("sensitivity_at_specificity", "specificity_at_sensitivity", "sparse_top_k_categorical_accuracy"),
    *("top_k_categorical_accuracy", "true_negatives", "true_positives", "pearson_correlation"),
    *("concordance_correlation", "cosine_similarity"),
}
_MIN = {
    *("loss", "false_negatives", "false_positives", "crossentropy", "ce", "bce", "mae", "mse", "mape", "msle"),
    *("rmse", "kld", "logcosh", "log_cosh", "binary_crossentropy", "binary_focal_crossentropy"),
    *("categorical_crossentropy", "categorical_focal_crossentropy", "sparse_categorical_crossentropy"),
    *("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"),
    *("mean_squared_logarithmic_error", "root_mean_squared_error", "mean_relative_error", "huber"),
    *("kl_divergence", "poisson", "hinge", "squared_hinge", "categorical_hinge", "ctc", "dice", "tversky"),
    "circle",
}


def infer_metric_direction(metric: Any) -> str | None:
    """Whether less of a metric or loss of Keras is better.

    Args:
        metric: A name as it is logged (`"val_acc"`), a function or an object.

    Returns:
        `"min"`, `"max"`, or None where it is unknown.

    Example:
        >>> infer_metric_direction("val_weighted_binary_accuracy"), infer_metric_direction("MAE")
        ('max', 'min')
    """
    if not isinstance(metric, str):
        home = getattr(metric, "__module__", "") or type(metric).__module__
        own = str(home).split(".")[0] == "keras"
        if not own:
            return None
        # An object's own name may be the user's ("auc_3"); its class tells what it is.
        return _of_name(getattr(metric, "__name__", None) or type(metric).__name__)
    return _of_name(metric)


def _of_name(name: str) -> str | None:
    for prefix in ("val_", "weighted_"):
        name = name.removeprefix(prefix)
    lower = _snake(name)
    for known, direction in ((_MAX, "max"), (_MIN, "min")):
        if lower in known or name.lower() in known:
            return direction
    # Keras numbers what is not the first of its kind: "auc_1".
    stem, _, number = lower.rpartition("_")
    if stem and number.isdigit():
        return _of_name(stem)
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "losses"):
        is_loss = any(_snake(one) == lower for one in dir(keras.losses) if not one.startswith("_"))
        if is_loss:
            return "min"
    # Of several outputs Keras logs "a_accuracy". What a name begins with may also turn the metric round.
    first, _, rest = lower.partition("_")
    return _of_name(rest) if rest and first not in _TURNED else None


_TURNED = ("neg", "negative", "minus", "inverse", "inverted", "one")


def _snake(name: str) -> str:
    if name.isupper():
        return name.lower()
    text = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
    return text.replace("__", "_")


class MetricObservation:
    """The values of a metric at a step, one for each time that it was reported."""

    def __init__(self, value: Any, step: int) -> None:
        self.value: list[float] = list(value) if isinstance(value, list | tuple) else [value]
        self.step = step

    def append(self, value: Any) -> None:
        """Adds what was reported for the same step."""
        self.value += list(value) if isinstance(value, list | tuple) else [value]

    def mean(self) -> float:
        """The mean of the values."""
        return float(np.mean(self.value))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"value": [float(value) for value in self.value], "step": int(self.step)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MetricObservation:
        """The inverse of `get_config`."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MetricObservation) and (self.value, self.step) == (other.value, other.step)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MetricObservation(value={self.value}, step={self.step})"


class MetricHistory:
    """A metric over the steps of a trial.

    Args:
        direction: `"min"` or `"max"`.
    """

    def __init__(self, direction: str = "min") -> None:
        if direction not in ("min", "max"):
            raise OptionError('`direction` should be one of "min" and "max"', f"got {direction!r}")
        self.direction = direction
        self._observations: dict[int, MetricObservation] = {}

    def update(self, value: Any, step: int) -> None:
        """Adds a value."""
        if step in self._observations:
            self._observations[step].append(value)
        else:
            self._observations[step] = MetricObservation(value, step=step)

    def get_history(self) -> list[MetricObservation]:
        """The observations, by step."""
        return sorted(self._observations.values(), key=lambda one: one.step)

    def set_history(self, observations: Iterable[MetricObservation]) -> None:
        """Adds observations."""
        for one in observations:
            self.update(list(one.value), step=one.step)

    def get_best_value(self) -> float | None:
        """The best mean of any step; None where there is none."""
        means = [mean for mean in (one.mean() for one in self.get_history()) if not np.isnan(mean)]
        if not means:
            return None
        return max(means) if self.direction == "max" else min(means)

    def get_best_step(self) -> int | None:
        """The first step with the best mean."""
        best = self.get_best_value()
        return next((one.step for one in self.get_history() if best is not None and one.mean() == best), None)

    def get_statistics(self) -> dict[str, float]:
        """`min`, `max`, `mean`, `median`, `var` and `std` of all values; empty where there is none."""
        values = [value for one in self.get_history() for value in one.value]
        if not values:
            return {}
        return {name: float(getattr(np, name)(values)) for name in ("min", "max", "mean", "median", "var", "std")}

    def get_last_value(self) -> float | None:
        """The mean at the last step."""
        history = self.get_history()
        return history[-1].mean() if history else None

    def get_config(self) -> dict[str, Any]:
        """The direction and the observations."""
        return {"direction": self.direction, "observations": [one.get_config() for one in self.get_history()]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MetricHistory:
        """The inverse of `get_config`."""
        new = cls(config["direction"])
        new.set_history([MetricObservation.from_config(one) for one in config["observations"]])
        return new


class MetricsTracker:
    """The metrics of a trial, by name.

    Args:
        metrics: Keras metrics to begin with.
    """

    def __init__(self, metrics: Iterable[Any] | None = None) -> None:
        self.metrics: dict[str, MetricHistory] = {}
        for metric in metrics or ():
            self.register(metric.name, direction=infer_metric_direction(metric))

    def exists(self, name: str) -> bool:
        """Whether there is a metric of that name."""
        return name in self.metrics

    def register(self, name: str, direction: str | None = None) -> None:
        """Adds a metric; its direction is inferred, and `"min"` where it cannot be.

        Raises:
            OptionError: It is there already, or the direction is unknown.
        """
        if self.exists(name):
            raise OptionError("a metric must be registered once", f"`{name}` already exists")
        self.metrics[name] = MetricHistory(direction or infer_metric_direction(name) or "min")

    def update(self, name: str, value: Any, step: int = 0) -> float | None:
        """Adds a value; returns the best one if it is new."""
        if not self.exists(name):
            self.register(name)
        before = self.metrics[name].get_best_value()
        self.metrics[name].update(value, step=step)
        best = self.metrics[name].get_best_value()
        return best if best != before else None

    def _of(self, name: str) -> MetricHistory:
        if name not in self.metrics:
            raise OptionError(f"Unknown metric `{name}`", "", f"Known: {', '.join(sorted(self.metrics)) or 'none'}.")
        return self.metrics[name]

    def get_history(self, name: str) -> list[MetricObservation]:
        """The observations of a metric, by step."""
        return self._of(name).get_history()

    def set_history(self, name: str, observations: Iterable[MetricObservation]) -> None:
        """Adds observations of a metric."""
        if not self.exists(name):
            self.register(name)
        self.metrics[name].set_history(observations)

    def get_best_value(self, name: str) -> float | None:
        """The best value of a metric."""
        return self._of(name).get_best_value()

    def get_best_step(self, name: str) -> int | None:
        """The step with the best value of a metric."""
        return self._of(name).get_best_step()

    def get_statistics(self, name: str) -> dict[str, float]:
        """Statistics of all values of a metric."""
        return self._of(name).get_statistics()

    def get_last_value(self, name: str) -> float | None:
        """The value of a metric at its last step."""
        return self._of(name).get_last_value()

    def get_direction(self, name: str) -> str:
        """The direction of a metric."""
        return self._of(name).direction

    def get_config(self) -> dict[str, Any]:
        """All metrics as plain data."""
        return {"metrics": {name: history.get_config() for name, history in self.metrics.items()}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MetricsTracker:
        """The inverse of `get_config`."""
        new = cls()
        new.metrics = {name: MetricHistory.from_config(history) for name, history in config["metrics"].items()}
        return new
