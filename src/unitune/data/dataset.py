"""The checked rows that everything else works on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from unitune.data.arrays import as_inputs, take_rows
from unitune.data.schema import Schema
from unitune.data.words import count_words
from unitune.records import Array, Task

Rows = Array | dict[str, Array] | tuple[Array, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Rows with their target, checked and typed, not yet normalised or encoded.

    Attributes:
        x: For arrays, floats `(row, feature...)`, finite; for a network of the user's own that takes text, `str` in an
            object array of that form. For tables, a dict from each column's name to `(row,)`:
            numbers as float64 (NaN: missing), dates as int32 minutes (`columns.MISSING_DATE`: missing), everything
            else as object arrays of `str` (`""`: missing). For a network with several inputs, a tuple of arrays.
        y: Binary and multiclass: int32 `(row,)`, the position in `classes`. Regression: float64 `(row, output)`, in
            the user's units.
        given: What reaches the loss of a network of the user's own, `(row, ...)`, as it was given; `y` is then for
            scores only. None where networks are made for `y`.
        task: `binary`, `multiclass` or `regression`.
        classes: The original labels, sorted; None for regression. For binary, the second is the positive class.
        schema: The columns of a table; None for arrays.
        sample_weight: float64 `(row,)`, finite, not negative; or None.
        groups: int64 `(row,)`, rows of the same number stay together in a fold; or None.
        class_weight: `"balanced"`, or float64 `(class,)` in the order of `classes`, or None.
        normalize: Whether features are normalised inside the model; `"auto"`: unless they are already.
        log_target: Whether networks learn the logarithm of a regression's target.
        target_name: The name of the target column, or `"y"`.
        target_form: How numbers of the target are written, where they are text (`cells.POINT`, `cells.COMMA`).
        ids: Columns of a table that are kept beside the predictions, and are no features.
        reading: What was said about the file (`separator`, `decimal`, `encoding`, `header`): further files are alike.
        inputs: The names of the inputs of a network with several, in the order of `x`; else empty.
        notes: What was inferred and dropped, as sentences for the user.
    """

    x: Rows
    y: Array
    task: Task
    given: Array | None = None
    classes: Array | None = None
    schema: Schema | None = None
    sample_weight: Array | None = None
    groups: Array | None = None
    class_weight: Array | Literal["balanced"] | None = None
    normalize: bool | Literal["auto"] = "auto"
    log_target: bool = False
    target_name: str = "y"
    target_form: str = ""
    ids: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.y.shape[0])

    @property
    def n_classes(self) -> int:
        """How many classes there are; 0 for regression."""
        return 0 if self.classes is None else len(self.classes)

    @property
    def n_outputs(self) -> int:
        """How many numbers a network predicts for a row: 1 for binary, the classes, or the regression targets."""
        if self.task == "regression":
            return int(self.y.shape[1])
        return 1 if self.task == "binary" else self.n_classes

    @property
    def raw_schema(self) -> Schema:
        """What raw rows look like, for arrays too: to be stored beside a model that is to read new rows."""
        if self.schema is not None:
            return self.schema
        assert not isinstance(self.x, dict)
        shapes = [tuple(int(size) for size in array.shape[1:]) for array in as_inputs(self.x)]
        strings = any(array.dtype == object for array in as_inputs(self.x))
        if self.inputs:
            return Schema(inputs=tuple(zip(self.inputs, shapes, strict=True)), strings=strings)
        return Schema(shape=shapes[0], strings=strings)

    def take(self, rows: Array) -> Dataset:
        """The dataset of these rows, in this order."""

        def pick(array: Array | None) -> Array | None:
            return None if array is None else array[rows]

        if isinstance(self.x, dict):
            x: Rows = {name: values[rows] for name, values in self.x.items()}
        else:
            x = take_rows(self.x, rows)
        return replace(
            self,
            x=x,
            y=self.y[rows],
            given=pick(self.given),
            sample_weight=pick(self.sample_weight),
            groups=pick(self.groups),
        )

    def append(self, other: Dataset) -> Dataset:
        """This dataset with the rows of another one behind, read by `load.like`.

        Weights default to 1; groups of the other rows are taken to be new ones.
        """
        if isinstance(self.x, dict) and isinstance(other.x, dict):
            x: Rows = {name: np.concatenate([values, other.x[name]]) for name, values in self.x.items()}
        elif isinstance(self.x, dict) or isinstance(other.x, dict):
            raise TypeError("a table and an array cannot be joined")
        else:
            joined = tuple(np.concatenate(pair) for pair in zip(as_inputs(self.x), as_inputs(other.x), strict=True))
            x = joined if self.inputs else joined[0]
        weight, groups = None, None
        if self.sample_weight is not None or other.sample_weight is not None:
            parts = [np.ones(d.n_rows) if d.sample_weight is None else d.sample_weight for d in (self, other)]
            weight = np.concatenate(parts)
        if self.groups is not None:
            behind = np.arange(other.n_rows) if other.groups is None else other.groups
            groups = np.concatenate([self.groups, behind + self.groups.max() + 1])
        given = None
        if self.given is not None and other.given is not None:
            given = np.concatenate([self.given, other.given])
        y = np.concatenate([self.y, other.y])
        return replace(self, x=x, y=y, given=given, sample_weight=weight, groups=groups)

    @cached_property
    def codes(self) -> Mapping[str, tuple[Array, Array]]:
        """For each text column `(codes, values)` with `values[codes]` its rows: strings are compared only once."""
        if self.schema is None or not isinstance(self.x, dict):
            return {}
        return {column.name: encode(self.x[column.name]) for column in self.schema.columns if column.is_coded}

    @cached_property
    def words(self) -> Mapping[str, tuple[Any, Array]]:
        """For each column of free text how often each word stands in each row, and the words: see `count_words`."""
        if self.schema is None or not isinstance(self.x, dict):
            return {}
        return {
            column.name: count_words(self.x[column.name]) for column in self.schema.columns if column.kind == "text"
        }

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that a result depends on: 32 hexadecimal digits.

        Two datasets share it when their rows, order of rows, target, weights and groups are the same.
        """
        digest = hashlib.blake2b(digest_size=16)
        header = (self.task, self.normalize, self.raw_schema.to_json(), [str(c) for c in _labels(self.classes)])
        digest.update(repr(header).encode())
        arrays = list(self.x.values()) if isinstance(self.x, dict) else list(as_inputs(self.x))
        weights = self.class_weight if isinstance(self.class_weight, np.ndarray) else None
        digest.update(repr(self.class_weight if weights is None else "given").encode())
        given = [] if self.given is None else [self.given]
        for array in [*arrays, self.y, self.sample_weight, self.groups, weights, *given]:
            if array is None:
                digest.update(b"none")
                continue
            plain = array
            if array.dtype == object:
                plain = pd.util.hash_array(array.ravel(), categorize=False).reshape(array.shape)
            digest.update(f"{plain.dtype}{plain.shape}".encode())
            digest.update(np.ascontiguousarray(plain).tobytes())
        return digest.hexdigest()


def encode(values: Array) -> tuple[Array, Array]:
    """An object array of `str` as `(codes, values)`: int64 `(row,)` and the distinct strings."""
    codes, distinct = pd.factorize(values)
    return codes, np.asarray(distinct, dtype=object)


def _labels(classes: Array | None) -> list[object]:
    return [] if classes is None else list(classes.tolist())
