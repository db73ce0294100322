"""Metrics: name -> the targets' key in `DATA` and arguments that are not the default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from catalogue.cases import Case, late, named, network, own_class
from catalogue.listing import public

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "AUC": ("column", {"num_thresholds": 7, "curve": "PR"}),
    "Accuracy": ("column", {"name": "acc"}),
    "BinaryAccuracy": ("column", {"threshold": 0.3, "name": "accuracy"}),
    "BinaryCrossentropy": ("column", {"label_smoothing": 0.2}),
    "BinaryIoU": ("column", {"target_class_ids": (0,), "threshold": 0.4}),
    "CategoricalAccuracy": ("onehot", {"name": "accuracy"}),
    "CategoricalCrossentropy": ("onehot", {"label_smoothing": 0.1}),
    "CategoricalHinge": ("onehot", {"name": "mse"}),
    "ConcordanceCorrelation": ("two", {"axis": 0}),
    "CosineSimilarity": ("two", {"axis": 0}),
    "F1Score": ("multilabel", {"average": "macro", "threshold": 0.4}),
    "FBetaScore": ("multilabel", {"average": "weighted", "beta": 2.0, "threshold": 0.4}),
    "FalseNegatives": ("column", {"thresholds": 0.4}),
    "FalsePositives": ("column", {"thresholds": 0.4}),
    "Hinge": ("column", {"name": "margin"}),
    "IoU": ("sparse", {"num_classes": 3, "target_class_ids": (0, 2), "sparse_y_pred": False}),
    "KLDivergence": ("onehot", {"name": "divergence"}),
    "LogCoshError": ("real_column", {"name": "mse"}),
    "MeanAbsoluteError": ("real_column", {"name": "error"}),
    "MeanAbsolutePercentageError": ("positive", {"name": "error"}),
    "MeanIoU": ("sparse", {"num_classes": 3, "ignore_class": 1, "sparse_y_pred": False}),
    "MeanSquaredError": ("real_column", {"name": "mae"}),
    "MeanSquaredLogarithmicError": ("positive", {"name": "rmse"}),
    "OneHotIoU": ("onehot", {"num_classes": 3, "target_class_ids": (0, 2)}),
    "OneHotMeanIoU": ("onehot", {"num_classes": 3, "ignore_class": 1}),
    "PearsonCorrelation": ("two", {"axis": 0}),
    "Poisson": ("positive", {"name": "rate"}),
    "Precision": ("multilabel", {"thresholds": 0.4, "class_id": 1}),
    "PrecisionAtRecall": ("column", {"recall": 0.6, "num_thresholds": 7}),
    "R2Score": ("two", {"class_aggregation": "variance_weighted_average"}),
    "Recall": ("multilabel", {"top_k": 2}),
    "RecallAtPrecision": ("column", {"precision": 0.6, "num_thresholds": 7}),
    "RootMeanSquaredError": ("real_column", {"name": "root"}),
    "SensitivityAtSpecificity": ("column", {"specificity": 0.6, "num_thresholds": 7}),
    "SparseCategoricalAccuracy": ("sparse", {"name": "hits"}),
    "SparseCategoricalCrossentropy": ("sparse", {"ignore_class": 1}),
    "SparseTopKCategoricalAccuracy": ("sparse", {"k": 2}),
    "SpecificityAtSensitivity": ("column", {"sensitivity": 0.6, "num_thresholds": 7}),
    "SquaredHinge": ("column", {"name": "squared_margin"}),
    "TopKCategoricalAccuracy": ("onehot", {"k": 2}),
    "TrueNegatives": ("column", {"thresholds": 0.4}),
    "TruePositives": ("column", {"thresholds": 0.4}),
}
FUNCTIONS = {
    "binary_accuracy": "column",
    "binary_crossentropy": "column",
    "binary_focal_crossentropy": "column",
    "categorical_accuracy": "onehot",
    "categorical_crossentropy": "onehot",
    "categorical_focal_crossentropy": "onehot",
    "categorical_hinge": "onehot",
    "concordance_correlation": "two",
    "hinge": "column",
    "huber": "real_column",
    "kl_divergence": "onehot",
    "log_cosh": "real_column",
    "mean_absolute_error": "real_column",
    "mean_absolute_percentage_error": "positive",
    "mean_squared_error": "real_column",
    "mean_squared_logarithmic_error": "positive",
    "pearson_correlation": "two",
    "poisson": "positive",
    "sparse_categorical_accuracy": "sparse",
    "sparse_categorical_crossentropy": "sparse",
    "sparse_top_k_categorical_accuracy": "sparse",
    "squared_hinge": "column",
    "top_k_categorical_accuracy": "onehot",
}
WITHOUT = {
    "Metric": "the base class",
    "Mean": "takes no predictions",
    "Sum": "takes no predictions",
    "MeanMetricWrapper": "wraps functions; each of those is here",
}


TABLE = ({name: config for name, (_, config) in ROWS.items()} | {name: {} for name in FUNCTIONS}, WITHOUT)
# Together in one network those that programs compute, and together what is left to Keras.
FUSED = (
    *("BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy", "RootMeanSquaredError"),
    *("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "BinaryCrossentropy", "CategoricalCrossentropy"),
    *("MeanAbsoluteError", "MeanSquaredError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError"),
    *("LogCoshError", "Poisson", "KLDivergence", "Hinge", "SquaredHinge", "CategoricalHinge"),
    *("AUC", "F1Score", "FBetaScore"),
)


def cases() -> Iterator[Case]:
    """Metrics change nothing in the training, so that those of one kind of targets share networks."""
    yield _flat()
    for data in dict.fromkeys([data for data, _ in ROWS.values()]):
        fused, left = {}, {}
        for name, one in _each():
            if _rows(name) != data:
                continue
            if name in ROWS:
                (fused if name in FUSED else left)[name] = late(one, **_settings(name))
            else:
                left[name] = lambda one=one: one
        own = {name: make for name, make in own_metrics().items() if _rows(name) == data}
        for title, together in (("fused", fused), ("left", left), ("own", own)):
            if together:
                yield _case(data, title, data, together, must_fuse=title == "fused")


def own_metrics() -> dict[str, Callable[[], Any]]:
    """A user's own subclasses and functions, by the names that they share with Keras's."""
    found: dict[str, Callable[[], Any]] = {}
    for name, one in _each():
        if name in ROWS:
            found[name] = late(own_class(one, result=lambda value: 0.5 * value + 0.1), **_settings(name))
        else:
            found[name] = lambda name=name, one=one: named(name, _altered(one))
    return found


def _each() -> Iterator[tuple[str, Any]]:
    return ((name, one) for name, one in public("metrics").items() if name in ROWS or name in FUNCTIONS)


def _settings(name: str) -> dict[str, Any]:
    return {"name": f"{name}_object", **ROWS[name][1]}


def _flat() -> Case:
    """Targets `(row,)` beside predictions `(row, 1)`, which some of Keras's functions compare each with each."""
    return _case("flat", "left", "real", {name: late(str, name) for name in ("poisson", "squared_hinge", "mse")})


def _rows(name: str) -> str:
    return ROWS[name][0] if name in ROWS else FUNCTIONS[name]


def _altered(function: Any) -> Any:
    def own(y_true: Any, y_pred: Any) -> Any:
        return 0.5 * function(y_true, y_pred) + 0.1

    return own


def _case(name: str, variant: str, data: str, metrics: dict[str, Any], **settings: Any) -> Case:
    build = late(network, data, metrics=lambda: [make() for make in metrics.values()])
    return Case(kind="metrics", name=name, variant=variant, data=data, build=build, **settings)
