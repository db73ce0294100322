"""Losses: name -> the targets' key in `DATA` and arguments that are not the default."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import keras

from catalogue.cases import FACES, Case, late, named, network, own_class, settle
from catalogue.listing import public

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "BinaryCrossentropy": ("binary", {"label_smoothing": 0.2}),
    "BinaryFocalCrossentropy": ("binary", {"alpha": 0.4, "gamma": 1.5, "apply_class_balancing": True}),
    "CTC": ("ctc", {"reduction": "sum"}),
    "CategoricalCrossentropy": ("onehot", {"label_smoothing": 0.1}),
    "CategoricalFocalCrossentropy": ("onehot", {"alpha": 0.4, "gamma": 1.5}),
    "CategoricalGeneralizedCrossEntropy": ("sparse", {"q": 0.3}),
    "CategoricalHinge": ("onehot", {"reduction": "sum"}),
    "Circle": ("sparse", {"gamma": 20.0, "margin": 0.2, "remove_diagonal": False}),
    "CosineSimilarity": ("two", {"axis": 0}),
    "Dice": ("onehot", {"axis": -1}),
    "Hinge": ("binary", {"reduction": "sum"}),
    "Huber": ("real", {"delta": 0.3}),
    "KLDivergence": ("onehot", {"reduction": "sum"}),
    "LogCosh": ("real", {"reduction": "sum"}),
    "MeanAbsoluteError": ("real", {"reduction": "mean"}),
    "MeanAbsolutePercentageError": ("positive", {"reduction": "sum"}),
    "MeanSquaredError": ("real", {"reduction": "mean_with_sample_weight"}),
    "MeanSquaredLogarithmicError": ("positive", {"reduction": "sum"}),
    "Poisson": ("positive", {"reduction": "sum"}),
    "SparseCategoricalCrossentropy": ("sparse", {"ignore_class": 1}),
    "SquaredHinge": ("binary", {"reduction": "sum"}),
    "Tversky": ("onehot", {"alpha": 0.3, "beta": 0.8, "axis": -1}),
}
FUNCTIONS = {
    "binary_crossentropy": "BinaryCrossentropy",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "categorical_focal_crossentropy": "CategoricalFocalCrossentropy",
    "categorical_generalized_cross_entropy": "CategoricalGeneralizedCrossEntropy",
    "categorical_hinge": "CategoricalHinge",
    "circle": "Circle",
    "cosine_similarity": "CosineSimilarity",
    "ctc": "CTC",
    "dice": "Dice",
    "hinge": "Hinge",
    "huber": "Huber",
    "kl_divergence": "KLDivergence",
    "log_cosh": "LogCosh",
    "mean_absolute_error": "MeanAbsoluteError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mean_squared_error": "MeanSquaredError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "poisson": "Poisson",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "squared_hinge": "SquaredHinge",
    "tversky": "Tversky",
}
WITHOUT = {"Loss": "the base class"}
NEEDED = {"categorical_generalized_cross_entropy": {"q": 0.3}}
TABLE = (
    {name: config for name, (_, config) in ROWS.items()} | {name: NEEDED.get(name, {}) for name in FUNCTIONS},
    WITHOUT,
)


def cases() -> Iterator[Case]:
    for name, one in public("losses").items():
        if name in ROWS:
            data, config = ROWS[name]
            own = own_class(one, call=lambda value: 0.5 * value + 0.1)
            for variant, kind in (("given", one), ("subclass", own)):
                yield _case(name, variant, data, late(kind, **config))
        elif name in FUNCTIONS:
            data = ROWS[FUNCTIONS[name]][0]
            function = partial(one, **NEEDED[name]) if name in NEEDED else one
            yield _case(name, "given", data, late(lambda found: found, function))
            yield _case(name, "function", data, late(named, name, _altered(function)))


def _altered(function: Any) -> Any:
    def own(y_true: Any, y_pred: Any) -> Any:
        return 0.5 * function(y_true, y_pred) + 0.1

    return own


def _case(name: str, variant: str, data: str, loss: Any) -> Case:
    build = late(_labels, loss) if data == "ctc" else late(_circle, loss) if name.lower() == "circle" else None
    # Targets that are written otherwise than predictions are scored by `fit` alone, not by a table of results.
    faces = ("keras_tuner",) if data == "ctc" else FACES
    build = build or late(network, data, loss=loss)
    return Case(kind="losses", name=name, variant=variant, data=data, build=build, faces=faces)


def _circle(loss: Any) -> Any:
    """Embeddings of length one."""
    hidden = (late(keras.layers.Dense, 4, "tanh"), keras.layers.UnitNormalization)
    return network("sparse", *hidden, loss=loss, activation="linear")


def _labels(loss: Any) -> Any:
    """Classes at each of six times."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((6, 3)), keras.layers.Dense(4, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.05), loss())
    return settle(model)
