"""Raw rows to features: learnt on the training rows of a fold, and put inside the model that is saved.

Training uses `Preprocessor.transform`, in NumPy, because it is needed for every fold; the saved model does the same
in Keras layers and operations. Both are written from the same numbers, and the tests hold them together.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.data.arrays import row_shape, take_rows
from unitune.data.columns import MISSING_DATE
from unitune.data.dataset import Dataset, Rows, encode
from unitune.errors import DataError
from unitune.models.dates import DATE_PARTS, civil_parts, known_parts
from unitune.models.free_text import WordEncoding, counted, learn_words
from unitune.models.scaling import Scaling, learn_scaling, scaled
from unitune.records import Array

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True, eq=False)
class TextEncoding:
    """One-hot columns for a text column: by vocabulary, or by hash where `bins` is not 0. `flagged`: adds missing."""

    name: str
    vocabulary: tuple[str, ...] = ()
    bins: int = 0
    flagged: bool = False

    @property
    def width(self) -> int:
        """How many features it makes; the first bin of a hash is for missing values and left out."""
        return self.bins - 1 + self.flagged if self.bins else len(self.vocabulary)


@dataclass(frozen=True, kw_only=True, eq=False)
class Preprocessor:
    """What `fit` learnt; see there. Arrays: only `numbers` is used; several inputs: nothing but the type.

    Attributes:
        dataset: The rows that row numbers refer to.
        dtype: Of the features: `float32` or `float64`, as `keras.config.floatx()`.
        flatten: Whether each row is made flat.
        numbers: Scaling of the numeric columns (of an array: of the last axis).
        number_flags: The numeric columns whose absence is flagged.
        texts: Encodings of the text columns.
        words: Encodings of the columns of free text.
        dates: Scaling of the kept parts of dates; `date_parts` are their positions among `DATE_PARTS` x dates.
        date_flags: The date columns whose absence is flagged.
        notes: What was decided, as sentences for the user.
    """

    dataset: Dataset
    dtype: str
    flatten: bool
    numbers: Scaling
    number_flags: tuple[int, ...] = ()
    texts: tuple[TextEncoding, ...] = ()
    words: tuple[WordEncoding, ...] = ()
    dates: Scaling | None = None
    date_parts: tuple[int, ...] = ()
    date_flags: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def output_shape(self) -> tuple[Any, ...]:
        """The shape of one prepared row: what a network takes; for several inputs a tuple of shapes."""
        if isinstance(self.dataset.x, tuple):
            return row_shape(self.dataset.x)
        if not isinstance(self.dataset.x, dict):
            shape = tuple(self.dataset.x.shape[1:])
            return (int(np.prod(shape)),) if self.flatten else shape
        numbers = len(self.numbers.mean) + len(self.number_flags)
        dates = len(self.date_parts) + len(self.date_flags)
        texts = sum(text.width for text in self.texts) + sum(words.width for words in self.words)
        return (numbers + texts + dates,)

    @property
    def n_features(self) -> int:
        """How many numbers a prepared row has."""
        return int(np.prod(self.output_shape))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each prepared feature of a table; numbers from 0 for arrays."""
        schema = self.dataset.schema
        if schema is None:
            return tuple(str(number) for number in range(self.n_features))
        by_kind = {kind: [c.name for c in schema.columns if c.kind == kind] for kind in ("number", "date")}
        names = [*by_kind["number"], *(f"{by_kind['number'][i]} is missing" for i in self.number_flags)]
        for text in self.texts:
            if text.bins:
                names += [f"{text.name} in bin {number}" for number in range(1, text.bins)]
                names += [f"{text.name} is missing"] if text.flagged else []
            else:
                names += [f"{text.name} = {value}" if value else f"{text.name} is missing" for value in text.vocabulary]
        for words in self.words:
            names += [f"{words.name}: {word}" for word in words.vocabulary]
            names += [f"{words.name} is missing"] if words.flagged else []
        dates = by_kind["date"]
        names += [f"{DATE_PARTS[p // len(dates)]} of {dates[p % len(dates)]}" for p in self.date_parts]
        return (*names, *(f"{dates[i]} is missing" for i in self.date_flags))

    def transform(self, rows: Array | Rows | Dataset) -> Any:
        """Prepares rows.

        Args:
            rows: Row numbers `(row,)` of the dataset that `fit` saw; or other rows as `Dataset.x`, or a `Dataset`.

        Returns:
            `(row, feature)`, or `(row, feature...)` without `flatten`, of type `dtype`, finite; for several inputs a
            tuple of such. Text that a network takes itself is left as it is.
        """
        if isinstance(rows, Dataset):
            rows = rows.x
        if isinstance(self.dataset.x, tuple):
            given = rows if isinstance(rows, tuple) else take_rows(self.dataset.x, rows)
            return tuple(array if array.dtype == object else array.astype(self.dtype) for array in given)
        assert not isinstance(rows, tuple)
        source, index = self.dataset.x, None
        if isinstance(rows, dict) or rows.ndim > 1 or rows.dtype.kind in "fO":
            source = rows
        else:
            index = rows
        if isinstance(source, dict):
            return self._transform_table(source, index)
        x = source if index is None else source[index]
        if x.dtype == object:
            return x
        x = self.numbers(x.astype(self.dtype))
        return x.reshape(len(x), -1) if self.flatten else x

    def _transform_table(self, source: dict[str, Array], index: Array | None) -> Array:
        n_rows = len(next(iter(source.values()))) if index is None else len(index)
        features = np.zeros((n_rows, self.n_features), dtype=self.dtype)
        numbers = _matrix(source, self._names("number"), index, np.dtype(self.dtype), n_rows)
        at = 0

        def put(block: Array) -> None:
            nonlocal at
            features[:, at : at + block.shape[1]] = block
            at += block.shape[1]

        put(self.numbers(numbers))
        put(np.isnan(numbers[:, list(self.number_flags)]))
        for text in self.texts:
            if source is self.dataset.x:
                codes, values = self.dataset.codes[text.name]
            else:
                codes, values = encode(source[text.name])
            position = _positions(text, values)[codes if index is None else codes[index]]
            hit = np.flatnonzero(position >= 0)
            features[hit, at + position[hit]] = 1.0
            if text.bins and text.flagged:
                features[:, at + text.bins - 1] = position < 0
            at += text.width
        for words in self.words:
            put(words.features(self._counts(words, source, index), self.dtype))
            if words.flagged:
                cells = source[words.name] if index is None else source[words.name][index]
                put((cells == "")[:, None])
        if self.dates is not None:
            minutes = _matrix(source, self._names("date"), index, np.dtype(np.int32), n_rows)
            put(self.dates(known_parts(minutes, self.date_parts).astype(self.dtype)))
            put(minutes[:, list(self.date_flags)] == MISSING_DATE)
        return features

    def _counts(self, words: WordEncoding, source: dict[str, Array], index: Array | None) -> Any:
        if source is not self.dataset.x:
            return counted(words, source[words.name])
        counts, known = self.dataset.words[words.name]
        place = {word: number for number, word in enumerate(known.tolist())}
        chosen = counts[:, [place[word] for word in words.vocabulary]]
        return chosen if index is None else chosen[index]

    def _names(self, kind: str) -> list[str]:
        assert self.dataset.schema is not None
        return [column.name for column in self.dataset.schema.columns if column.kind == kind]


def fit(dataset: Dataset, train_rows: Array, *, flatten: bool = True) -> Preprocessor:
    """Learns how to prepare rows, from the training rows alone.

    Numbers are normalised to mean 0 and standard deviation 1 (images by channel), unless `dataset.normalize` is False,
    or `"auto"` and all of them are roughly so already. Text becomes one-hot over the values of the training rows
    (others: all zeros), or over the bins of a hash; free text becomes its words, weighted by tf-idf. Dates become the
    parts in `DATE_PARTS` that vary. Missing numbers become the mean; where training rows have missing values, a feature
    says which.

    Args:
        dataset: All rows.
        train_rows: Row numbers.
        flatten: Whether array rows of several axes are made flat; False for networks that take images.

    Raises:
        DataError: Text columns where TensorFlow is not installed.
    """
    dtype = _floatx()
    if isinstance(dataset.x, tuple) or (not isinstance(dataset.x, dict) and dataset.x.dtype == object):
        as_it_is = learn_scaling(np.zeros((1, 1)), False)
        return Preprocessor(
            dataset=dataset, dtype=dtype, flatten=False, numbers=as_it_is, notes=_notes(as_it_is, dataset, False)
        )
    if not isinstance(dataset.x, dict):
        x = dataset.x[train_rows]
        scaling = learn_scaling(x, dataset.normalize)
        return Preprocessor(
            dataset=dataset, dtype=dtype, flatten=flatten, numbers=scaling, notes=_notes(scaling, dataset, x.ndim > 2)
        )
    assert dataset.schema is not None
    if dataset.schema.has_text and importlib.util.find_spec("tensorflow") is None:
        names = ", ".join(f"`{column.name}`" for column in dataset.schema.columns if column.is_text)
        raise DataError(
            "Keras reads text and booleans in tables with TensorFlow, which must be installed",
            f"the columns {names} are text and only another backend is there",
            "`pip install tensorflow`, or turn these columns into numbers.",
        )
    by_kind = {kind: [c for c in dataset.schema.columns if c.kind == kind] for kind in ("number", "date")}
    n_rows = len(train_rows)
    numbers = _matrix(dataset.x, [c.name for c in by_kind["number"]], train_rows, np.dtype(np.float64), n_rows)
    scaling = learn_scaling(numbers, dataset.normalize)
    texts = []
    for column in dataset.schema.columns:
        if not column.is_coded:
            continue
        codes, values = dataset.codes[column.name]
        present = sorted(values[np.unique(codes[train_rows])].tolist())
        if column.bins:
            texts.append(TextEncoding(name=column.name, bins=column.bins, flagged="" in present))
        else:
            texts.append(TextEncoding(name=column.name, vocabulary=tuple(present)))
    words = tuple(learn_words(name, dataset.x[name], *counts, train_rows) for name, counts in dataset.words.items())
    dates: Scaling | None = None
    date_parts: tuple[int, ...] = ()
    date_flags: tuple[int, ...] = ()
    if by_kind["date"]:
        minutes = _matrix(dataset.x, [c.name for c in by_kind["date"]], train_rows, np.dtype(np.int32), n_rows)
        parts = known_parts(minutes, range(len(DATE_PARTS) * minutes.shape[1]))
        lowest, highest = np.fmin.reduce(parts), np.fmax.reduce(parts)
        date_parts = tuple(np.flatnonzero(highest > lowest).tolist())
        dates = learn_scaling(parts[:, list(date_parts)], bool(dataset.normalize))
        date_flags = tuple(np.flatnonzero((minutes == MISSING_DATE).any(axis=0)).tolist())
    preprocessor = Preprocessor(
        dataset=dataset,
        dtype=dtype,
        flatten=flatten,
        numbers=scaling,
        number_flags=tuple(np.flatnonzero(np.isnan(numbers).any(axis=0)).tolist()),
        texts=tuple(texts),
        words=words,
        dates=dates,
        date_parts=date_parts,
        date_flags=date_flags,
        notes=_notes(scaling, dataset, False) if by_kind["number"] else (),
    )
    if preprocessor.n_features == 0:
        raise DataError("Some column must vary over the training rows of each fold", "none does", "Use fewer folds.")
    return preprocessor


def assemble(
    preprocessor: Preprocessor,
    core: keras.Model,
    y_scale: Array | None = None,
    y_offset: Array | None = None,
    *,
    y_log: bool = False,
) -> keras.Model:
    """One plain Keras model from raw rows to predictions in the user's units.

    It predicts `core(transform(rows)) * y_scale + y_offset`, saves as `.keras` and loads with `safe_mode=True` in a
    process that does not know Unitune.

    Args:
        preprocessor: What was learnt.
        core: The trained network, from prepared features to its output.
        y_scale, y_offset: `(output,)`, as in `Split`; None for classes.
        y_log: As in `Split`: the exponential of that is predicted.

    Returns:
        A functional model. Arrays: one input `(row, feature...)`, or several under their names. Tables: a dict of
        inputs `(row, 1)`, named by `Column.input`, as `data.frames.raw_inputs` makes them; `predict` here passes them
        on. A model with text inputs runs on the TensorFlow backend only; on another it can be assembled and saved, not
        called.

    Example:
        model = assemble(preprocessor, core)
        model.save("best.keras")
    """
    from unitune.models.backend import ensure

    keras = ensure()
    dtype = preprocessor.dtype
    inputs: Any
    if isinstance(preprocessor.dataset.x, dict):
        inputs, features = _table_graph(keras, preprocessor)
    elif isinstance(preprocessor.dataset.x, tuple):
        shapes = zip(preprocessor.dataset.inputs, preprocessor.output_shape, strict=True)
        types = ["string" if array.dtype == object else dtype for array in preprocessor.dataset.x]
        inputs = features = [
            keras.Input(shape, dtype=kind, name=name) for (name, shape), kind in zip(shapes, types, strict=True)
        ]
    elif preprocessor.dataset.x.dtype == object:
        inputs = features = keras.Input(preprocessor.dataset.x.shape[1:], dtype="string", name="rows")
    else:
        inputs = keras.Input(preprocessor.dataset.x.shape[1:], dtype=dtype, name="rows")
        features = scaled(keras, preprocessor.numbers, inputs, dtype, "normalize", fill=False)
        if preprocessor.flatten and len(inputs.shape) > 2:
            features = keras.layers.Flatten(dtype=dtype, name="flatten")(features)
    output = core(features)
    if y_scale is not None and y_offset is not None:
        rescale = keras.layers.Rescaling(
            np.asarray(y_scale, dtype=float).tolist(), np.asarray(y_offset, dtype=float).tolist(), dtype=dtype
        )
        output = rescale(output)
        if y_log:
            output = keras.layers.Activation("exponential", dtype=dtype, name="exponential")(output)
    return keras.Model(inputs, output, name=f"{core.name}_on_raw_rows")


def predict(model: keras.Model, inputs: Array | Mapping[str, Array] | list[Array], *, batch_size: int = 1024) -> Array:
    """The predictions of an assembled model for raw rows, `(row, output)`.

    `keras.Model.predict` does not take strings as NumPy arrays; they are handed over as TensorFlow tensors.

    Args:
        model: From `assemble`, or loaded from its file.
        inputs: From `data.frames.raw_inputs`.
        batch_size: Rows at a time; the result does not depend on it.

    Raises:
        DataError: Text inputs on another backend than TensorFlow.
    """
    from unitune.models.backend import as_keras_takes, ensure

    keras = ensure()
    given: Any = inputs
    if any(values.dtype == object for values in keras.tree.flatten(inputs)):
        if keras.backend.backend() != "tensorflow":
            raise DataError(
                "A model with text inputs runs on the TensorFlow backend of Keras only",
                f"the backend is {keras.backend.backend()}",
                "Set KERAS_BACKEND=tensorflow.",
            )
        given = keras.tree.map_structure(as_keras_takes, inputs)
    return np.asarray(model.predict(given, batch_size=batch_size, verbose=0))


def _notes(scaling: Scaling, dataset: Dataset, images: bool) -> tuple[str, ...]:
    if dataset.normalize is False:
        return ("Features are used as they are (`normalize=False`).",)
    if not scaling.on:
        return ("Features are used as they are: they have about mean 0 and standard deviation 1 already.",)
    axis = "channel" if images else "feature"
    return (
        f"Each numeric {axis} is normalised inside the model, by its mean and standard deviation in training rows.",
    )


def _matrix(
    source: dict[str, Array], names: list[str], index: Array | None, dtype: np.dtype[Any], n_rows: int
) -> Array:
    matrix = np.empty((n_rows, len(names)), dtype=dtype)
    for position, name in enumerate(names):
        matrix[:, position] = source[name] if index is None else source[name][index]
    return matrix


def _positions(text: TextEncoding, values: Array) -> Array:
    """For each distinct value the one-hot column it sets, or -1."""
    if not text.bins:
        known = {value: number for number, value in enumerate(text.vocabulary)}
        return np.array([known.get(value, -1) for value in values], dtype=np.int64)
    from unitune.models.backend import ensure

    hashing = ensure().layers.Hashing(text.bins, mask_value="")
    return np.asarray(hashing(values.astype(str)), dtype=np.int64) - 1


def _table_graph(keras: Any, preprocessor: Preprocessor) -> tuple[dict[str, Any], Any]:
    ops, dtype = keras.ops, preprocessor.dtype
    schema = preprocessor.dataset.schema
    assert schema is not None
    types = {"number": dtype, "date": "int32"}
    inputs = {c.input: keras.Input((1,), dtype=types.get(c.kind, "string"), name=c.input) for c in schema.columns}
    tensors = {column.name: inputs[column.input] for column in schema.columns}
    blocks = []
    names = preprocessor._names("number")
    if names:
        numbers = _join(keras, [tensors[name] for name in names], "numbers")
        blocks.append(scaled(keras, preprocessor.numbers, numbers, dtype, "normalize"))
        if preprocessor.number_flags:
            absent = ops.take(ops.isnan(numbers), list(preprocessor.number_flags), axis=-1)
            blocks.append(ops.cast(absent, dtype))
    for number, text in enumerate(preprocessor.texts):
        if text.bins:
            layer = keras.layers.Hashing(text.bins, mask_value="", name=f"hash_{number}")
        else:
            vocabulary = list(text.vocabulary)
            layer = _lookup(keras, vocabulary, f"lookup_{number}")
        found = ops.cast(layer(tensors[text.name]), "int32")
        n_columns = text.bins - 1 if text.bins else text.width
        # Column 0 (unknown, or missing) has the number -1 here, of which one_hot makes zeros.
        blocks.append(ops.one_hot(ops.squeeze(found, axis=-1) - 1, n_columns, dtype=dtype))
        if text.bins and text.flagged:
            blocks.append(ops.cast(ops.equal(found, 0), dtype))
    for number, words in enumerate(preprocessor.words):
        text = tensors[words.name]
        if words.vocabulary:
            blocks.append(words.graph(keras, text, dtype, f"words_{number}"))
        if words.flagged:
            blocks.append(
                ops.cast(ops.equal(ops.cast(_lookup(keras, [""], f"missing_{number}")(text), "int32"), 1), dtype)
            )
    if preprocessor.dates is not None:
        minutes = _join(keras, [tensors[name] for name in preprocessor._names("date")], "dates")
        absent = ops.equal(minutes, MISSING_DATE)
        parts = ops.cast(ops.concatenate(civil_parts(minutes), axis=-1), dtype)
        parts = ops.where(ops.tile(absent, (1, len(DATE_PARTS))), float("nan"), parts)
        if preprocessor.date_parts:
            parts = ops.take(parts, list(preprocessor.date_parts), axis=-1)
            blocks.append(scaled(keras, preprocessor.dates, parts, dtype, "normalize_dates"))
        if preprocessor.date_flags:
            blocks.append(ops.cast(ops.take(absent, list(preprocessor.date_flags), axis=-1), dtype))
    return inputs, _join(keras, blocks, "features")


def _lookup(keras: Any, vocabulary: list[str], name: str) -> Any:
    return keras.layers.StringLookup(vocabulary=vocabulary, mask_token=None, name=name)


def _join(keras: Any, tensors: list[Any], name: str) -> Any:
    return tensors[0] if len(tensors) == 1 else keras.layers.Concatenate(name=name, dtype=tensors[0].dtype)(tensors)


def _floatx() -> str:
    """Keras's floating type; without importing Keras it cannot have been changed from its default by code."""
    keras = sys.modules.get("keras")
    return str(keras.config.floatx()) if keras is not None and hasattr(keras, "config") else "float32"
