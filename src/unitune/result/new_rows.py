"""Rows that a search did not see: predictions for them, and their scores where the target is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unitune.data.frames import raw_inputs, to_frame
from unitune.data.schema import Schema
from unitune.data.targets import encode_target
from unitune.errors import DataError
from unitune.models import preprocessing
from unitune.models.metrics import evaluate
from unitune.records import Array
from unitune.result.predictions import probabilities

if TYPE_CHECKING:
    import keras

    from unitune.store import Run


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """Predictions for rows.

    Attributes:
        table: As `Result.predict` returns it.
        scores: In each metric of the task; empty where the rows have no target.
        no_scores: Why there are none although the rows have a target; else empty.
    """

    table: pd.DataFrame
    scores: Mapping[str, float]
    no_scores: str = ""


def predict_rows(
    run: Run, model: Callable[[], keras.Model], rows: Any, *, logits: bool, reading: Mapping[str, Any]
) -> Predicted:
    """Predicts rows, which are read as those of the run were, unless `reading` says otherwise.

    Raises:
        DataError: A column is missing, or holds what its kind cannot.
    """
    data = run.data
    schema = Schema.from_json(data["schema"])
    classes, ids = data["classes"], tuple(data.get("ids", ()))
    form = data.get("target_form", "")
    targets = [data["target"], *data["target"].split(", ")]
    written = [column.name for column in schema.columns if column.is_written]
    if form or (classes is not None and isinstance(classes[0], str)):
        written += targets
    how = {**data.get("reading", {}), **{name: value for name, value in reading.items() if value is not None}}
    if not isinstance(rows, str | Path):
        how = {}
    frame, _ = (
        (None, ()) if schema.inputs else to_frame(rows, **how, text_columns=[*written, *ids], word_columns=targets)
    )
    known = None
    if frame is not None:
        known = next((frame[n] for n in ([targets[0]], targets[1:]) if set(n) <= set(frame.columns)), None)
        if schema.shape is not None:
            frame = frame.drop(columns=[name for name in (*targets, *ids) if name in frame.columns])
    values = preprocessing.predict(model(), raw_inputs(schema, rows if frame is None else frame))
    values = values.reshape(len(values), -1)
    if classes is not None:
        values = probabilities(values[None], run.task, np.array([logits]))[0]
    scores, problem = {}, ""
    if known is not None:
        try:
            scores = _scores(run, known, values, form)
        except DataError as error:
            problem = str(error)
    table = _table(values, classes)
    if frame is not None:
        here = [name for name in ids if name in frame.columns]
        table = pd.concat([frame[here].reset_index(drop=True), table], axis=1)
    return Predicted(table=table, scores=scores, no_scores=problem)


def _table(values: Array, classes: list[Any] | None) -> pd.DataFrame:
    if classes is None:
        if values.shape[1] == 1:
            return pd.DataFrame({"prediction": values[:, 0]})
        return pd.DataFrame({f"prediction_{number + 1}": column for number, column in enumerate(values.T)})
    if values.shape[1] == 1:
        values = np.concatenate([1 - values, values], axis=1)
    likeliest = pd.Series([classes[position] for position in values.argmax(axis=1)])
    return pd.DataFrame(
        {"prediction": likeliest}
        | {f"probability_{label}": column for label, column in zip(classes, values.T, strict=True)}
    )


def _scores(run: Run, known: pd.DataFrame, values: Array, form: str) -> dict[str, float]:
    classes = run.data["classes"]
    labels = None if classes is None else np.array(classes, dtype=object if isinstance(classes[0], str) else None)
    name = str(run.data["target"])
    y = encode_target(known, task=run.task, classes=labels, n_outputs=values.shape[1], name=name, form=form)
    found = evaluate(run.metrics, y, values[None].astype(np.float64), task=run.task)
    return {metric: float(value[0]) for metric, value in found.items()}
