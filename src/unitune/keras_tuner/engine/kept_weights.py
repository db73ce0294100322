"""The weights of a trial on disk: what a program kept of it, or what Keras wrote while it trained it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unitune.keras_tuner.engine.stateful import at_once, read_json
from unitune.models.compiled import put_metrics_in_place
from unitune.models.shapes import as_shapes
from unitune.models.subclassed import make_weights
from unitune.records import Array


def keep(path: Path, weights: Sequence[Array], input_shape: tuple[Any, ...]) -> None:
    """Writes weights in the order of `get_weights`, and the shape of a row, for models that do not know it."""
    arrays = {f"w{number}": np.asarray(weight) for number, weight in enumerate(weights)}
    shapes = as_shapes(input_shape)
    arrays["input_shape"] = np.array(shapes[0] if len(shapes) == 1 else ())
    with at_once(path) as draft:
        np.savez(draft, **arrays)  # type: ignore[arg-type]


def take_kept(model: Any, path: Path) -> None:
    """Gives a model what `keep` wrote."""
    with np.load(path) as saved:
        arrays = [saved[f"w{number}"] for number in range(len(saved.files) - 1)]
        shape = tuple(int(size) for size in saved["input_shape"])
    make_weights(model, shape)
    model.set_weights(arrays)
    put_metrics_in_place(model)


def take_checkpoint(model: Any, path: Path, build_config: Path) -> None:
    """Gives a model the weights of Keras's own file."""
    if not model.built and build_config.exists():
        config = read_json(build_config)
        model.build_from_config(config)
        # The layers of a model with a `build` of its own are built when it is called, and else take no weights.
        with contextlib.suppress(Exception):
            model(np.zeros([size or 1 for size in config["input_shape"]], "float32"))
    with warnings.catch_warnings():
        # The optimizer is a new one: a best model is used, or trained anew.
        warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
        model.load_weights(str(path))
