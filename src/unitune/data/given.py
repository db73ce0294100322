"""Targets of a network of the user's own: they reach its loss as they are, and are read only to be scored.

`read_target` numbers classes as they occur, for networks that are made to fit. A network that is there already has an
output for each class, with or without rows: label 3 is its output 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from unitune.data.dataset import Dataset
from unitune.data.fitting import without_ones
from unitune.data.targets import Target, as_plain, encode_target, is_one_hot, read_target
from unitune.errors import DataError, OptionError, suggest
from unitune.records import Array, Task

Kind = Literal["sparse", "categorical", "binary", "hinge", "numbers", "own"]
_ELSEWHERE = "Use `unitune.RandomSearch`, which is scored by what `fit` logs, or another loss."


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a network puts out, and what its loss takes.

    Attributes:
        kind: What the loss takes: class numbers (`sparse`), a column for each class (`categorical`), 0 and 1 (`binary`,
            `hinge` also -1), numbers, or what only the user knows (`own`).
        row: The shape of a row of the output, None where it is not known.
        loss: The name of the loss, for messages.
        logits: Whether the loss takes logits.
        ignored: The label of rows that the loss leaves out.
    """

    kind: Kind
    row: tuple[int | None, ...] | None
    loss: str
    logits: bool = False
    ignored: int | None = None

    @property
    def units(self) -> int | None:
        """The units of an output of one axis; None where there are more axes, or it is not known."""
        return self.row[0] if self.row is not None and len(self.row) == 1 else None


def read_given(values: Any, outputs: Sequence[Output], *, task: str | None = None, name: str = "y") -> Target:
    """Reads a target as networks of the user's own take it.

    Args:
        values: `(row,)` or `(row, ...)`: array, list, Series or DataFrame.
        outputs: Of each of the networks.
        task: `binary`, `multiclass` or `regression`: how predictions are scored; None infers it.
        name: What messages call it.

    Returns:
        The target: `given` is what losses take, `y` and `classes` are what predictions are scored by. Labels of text,
        which no loss takes, become class numbers in alphabetical order, as the notes say.

    Raises:
        DataError: Missing values, or targets that the loss or the scores cannot take.

    Example:
        >>> target = read_given([0, 1, 3, 3], [Output(kind="sparse", row=(5,), loss="sparse_categorical_crossentropy")])
        >>> target.y.tolist(), target.classes.tolist()
        ([0, 1, 3, 3], [0, 1, 2, 3, 4])
    """
    if task is not None and task not in get_args(Task):
        raise OptionError("`task` must be known", f"got {task!r}", suggest(str(task), get_args(Task)))
    array = _plain(values, name)
    kinds = {output.kind for output in outputs}
    kind: Kind = next(iter(kinds)) if len(kinds) == 1 else "own"
    reader = _Reader(array, outputs, kind, task, name)
    if array.dtype == object:
        return reader.text(values)
    return {
        "sparse": reader.sparse,
        "categorical": reader.categorical,
        "binary": reader.binary,
        "hinge": reader.binary,
        "numbers": reader.numbers,
        "own": reader.own,
    }[kind]()


def more_given(first: Dataset, values: Any, name: str) -> tuple[Array, Array]:
    """The target of further rows, read as the first ones were: `Dataset.y` and `Dataset.given`.

    Raises:
        DataError: Missing values, another shape, or a class that the network has no output for.
    """
    known = first.given
    assert known is not None
    array = _plain(values, name)
    if array.dtype == object or (first.classes is not None and first.classes.dtype == object):
        y = encode_target(values, task=first.task, classes=first.classes, n_outputs=first.n_outputs, name=name)
        assert first.classes is not None
        if known.ndim == 2 and known.shape[1] > 1:
            return y, np.eye(len(first.classes), dtype=known.dtype)[y]
        return y, y.astype(known.dtype).reshape(len(y), *known.shape[1:])
    if without_ones(array.shape[1:]) != without_ones(known.shape[1:]):
        raise DataError(f"`{name}` must have rows of the shape {known.shape[1:]}", f"got {array.shape[1:]}")
    array = array.reshape(len(array), *known.shape[1:]).astype(np.promote_types(array.dtype, known.dtype))
    if first.classes is None:
        return _as_numbers(array, name), array
    labels: Any = array
    if known.ndim == 2 and known.shape[1] > 1:
        if not is_one_hot(array):
            raise DataError(f"`{name}` must be one-hot, as the first rows are", "some rows are not")
        labels = first.classes[array.argmax(axis=1)]
    return encode_target(labels, task=first.task, classes=first.classes, n_outputs=1, name=name), array


@dataclass(frozen=True)
class _Reader:
    array: Array
    outputs: Sequence[Output]
    kind: Kind
    task: str | None
    name: str

    @property
    def units(self) -> int | None:
        """The most units that an output has; None where none is known."""
        return max((n for output in self.outputs if (n := output.units) is not None), default=None)

    @property
    def labels(self) -> Array | None:
        """A label for each row, where there is one."""
        if self.array.ndim == 1:
            return self.array
        return self.array[:, 0] if self.array.ndim == 2 and self.array.shape[1] == 1 else None

    def text(self, values: Any) -> Target:
        task = {"numbers": "regression", "binary": "binary", "hinge": "binary"}.get(self.kind)
        found = read_target(values, task=self.task or task, name=self.name)
        if found.classes is None:
            return replace(found, given=found.y)
        labels = found.classes.tolist()
        units = self.units
        several = self.kind in ("sparse", "categorical") or (self.kind == "own" and (units or 2) > 1)
        if several and units not in (None, len(labels)):
            raise DataError(
                f"`{self.name}` must be class numbers, or have as many classes as the network has outputs",
                f"it has {len(labels)} classes of text, and the network {units} units",
                "Give class numbers.",
            )
        note = f"The network is given numbers for them: {', '.join(f'{i} for {v!r}' for i, v in enumerate(labels[:6]))}"
        note += ", ..." if len(labels) > 6 else "."
        given: Array = found.y if several else found.y.astype(np.float32)
        if self.kind == "categorical":
            given = np.eye(len(labels), dtype=np.float32)[found.y]
        return replace(found, given=given, notes=(*found.notes, note))

    def sparse(self) -> Target:
        labels = self.labels
        if labels is None:
            raise DataError(
                "a target of class numbers must have one for each row, so that it can be scored",
                f"`{self.name}` has rows of the shape {self.array.shape[1:]}",
                _ELSEWHERE,
            )
        if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
            raise DataError(
                f"`{self.name}` must be class numbers for `{self.outputs[0].loss}`", "some are no whole numbers"
            )
        numbers = labels.astype(np.int64)
        for output in self.outputs:
            if output.ignored is not None and (numbers == output.ignored).any():
                raise DataError(
                    "rows with the label of `ignore_class` cannot be scored",
                    f"`{self.name}` has {int((numbers == output.ignored).sum())} of them",
                    "Leave them out, or use `unitune.RandomSearch`.",
                )
        self._refuse("regression")
        units = self.units
        classes = np.arange(max(units or 2, int(numbers.max(initial=0)) + 1))
        task: Task = "binary" if len(classes) == 2 and self.task != "multiclass" else "multiclass"
        # Labels below 0 are no output's, and their networks fail.
        return self._classes(np.clip(numbers, 0, None), classes, task, self.array.astype(np.int64).reshape(-1))

    def categorical(self) -> Target:
        if self.labels is not None:
            raise DataError(
                f"`{self.name}` must have a column for each class for `{self.outputs[0].loss}`",
                f"its shape is {self.array.shape}",
                "Use `keras.utils.to_categorical(y, n_classes)`, or the loss `sparse_categorical_crossentropy`.",
            )
        if self.array.ndim == 2 and is_one_hot(self.array) and self.task != "regression":
            return self._one_hot()
        if not np.allclose(self.array.sum(axis=-1), 1.0, atol=1e-3):
            raise DataError(
                f"`{self.name}` must be one-hot, or shares that add up to 1, for `{self.outputs[0].loss}`",
                "some rows add up to something else",
            )
        return self._shares()

    def binary(self) -> Target:
        labels = self.labels
        if labels is None:
            one_hot = self.array.ndim == 2 and is_one_hot(self.array) and self.task in (None, "multiclass")
            return self._one_hot() if one_hot else self._shares()
        distinct = np.unique(labels)
        if np.isin(distinct, (0, 1)).all():
            if self.task == "regression":
                return self._shares()
            classes = np.array([False, True]) if labels.dtype.kind == "b" else np.arange(2)
            return self._classes(labels.astype(np.int64), classes, "binary", self.array)
        if self.kind == "hinge" and np.isin(distinct, (-1, 1)).all():
            return self._classes((labels > 0).astype(np.int64), np.array([-1, 1]), "binary", self.array)
        if distinct[0] < 0 or distinct[-1] > 1:
            raise DataError(
                f"`{self.name}` must lie from 0 to 1 for `{self.outputs[0].loss}`",
                f"it runs from {distinct[0]:g} to {distinct[-1]:g}",
                "Give 0 and 1, or use a loss that takes other numbers.",
            )
        return self._shares()

    def numbers(self) -> Target:
        if self.task in (None, "regression"):
            return self._as_regression()
        return self.own()

    def own(self) -> Target:
        labels, units = self.labels, self.units
        if self.task == "regression":
            return self._as_regression()
        if labels is None:
            return self._one_hot() if self.array.ndim == 2 and is_one_hot(self.array) else self._as_regression()
        whole = labels.dtype.kind in "iub" or bool((labels == np.floor(labels)).all())
        two = bool(np.isin(labels, (0, 1)).all()) and len(np.unique(labels)) == 2
        if two and units in (None, 1, 2):
            classes = np.array([False, True]) if labels.dtype.kind == "b" else np.arange(2)
            return self._classes(labels.astype(np.int64), classes, self.task or "binary", self.array)  # type: ignore[arg-type]
        if whole and units not in (None, 1) and labels.min() >= 0 and labels.max() < units:
            return self._classes(labels.astype(np.int64), np.arange(units), "multiclass", self.array)
        self._refuse("binary", "multiclass")
        return self._as_regression()

    # What they have in common -------------------------------------------------------------------------------------

    def _refuse(self, *tasks: str) -> None:
        if self.task in tasks:
            raise DataError(
                f"`{self.name}` must fit the task {self.task}",
                f"its values, with the loss `{self.outputs[0].loss}` and {self.units or 'some'} outputs, do not",
                "Leave `task` out.",
            )

    def _one_hot(self) -> Target:
        self._refuse("binary")
        classes = np.arange(self.array.shape[1])
        return self._classes(self.array.argmax(axis=1), classes, "multiclass", self.array)

    def _shares(self) -> Target:
        """Shares of classes, or classes of which several may be there: probabilities that are scored as numbers."""
        self._refuse("binary", "multiclass")
        if any(output.logits for output in self.outputs):
            raise DataError(
                f"targets like those of `{self.name}` are scored as numbers, which needs probabilities",
                "the loss takes logits",
                "Give the output an activation and leave out `from_logits=True`.",
            )
        return self._as_regression()

    def _as_regression(self) -> Target:
        y = _as_numbers(self.array, self.name)
        how = "as asked for" if self.task else "which follows from the loss" if self.kind != "own" else "inferred"
        what = f"from {y.min():.6g} to {y.max():.6g}" if y.shape[1] == 1 else f"{y.shape[1]} numbers in each row"
        note = f"Task: regression ({how}); `{self.name}`: {what}."
        return Target(y=y, task="regression", classes=None, notes=(note,), given=self.array)

    def _classes(self, y: Array, classes: Array, task: Task, given: Array) -> Target:
        counts = Counter(y.tolist())
        if len(counts) < 2:
            only = classes[next(iter(counts))].item() if counts else None
            raise DataError(
                f"`{self.name}` must have at least two classes",
                f"every row is {only!r}" if counts else "there are no rows",
                "Check that the right column is the target.",
            )
        present = sorted(counts)
        shares = ", ".join(f"{classes[number]} ({counts[number]})" for number in present[:6])
        more = f" and {len(present) - 6} more" if len(present) > 6 else ""
        unused = len(classes) - len(present)
        note = f"Task: {task} classification; `{self.name}` has the classes {shares}{more}."
        notes = [note] + ([f"{unused} of the {len(classes)} outputs have no row."] if unused else [])
        return Target(y=y.astype(np.int32).reshape(-1), task=task, classes=classes, notes=tuple(notes), given=given)


def _plain(values: Any, name: str) -> Array:
    """A target of any container and number of axes: numbers, booleans or objects, none missing."""
    shape = getattr(values, "shape", None)
    if shape is None:
        shape = np.asarray(values).shape
    if len(shape) < 3:
        return as_plain(values, name)
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"`{name}` must hold numbers where it has {array.ndim} axes", f"got {array.dtype}")
    return array


def _as_numbers(array: Array, name: str) -> Array:
    """`(row, output)` float64."""
    y = array.reshape(len(array), -1).astype(np.float64)
    if not np.isfinite(y).all():
        raise DataError(f"`{name}` must be finite", f"{int((~np.isfinite(y)).any(axis=1).sum())} rows are not")
    return y
