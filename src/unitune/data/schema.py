"""What a table's columns are, as values that can be stored beside a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["number", "boolean", "category", "hashed", "text", "date"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column that the network sees.

    Attributes:
        name: Its name in the table.
        input: The name of the model's input: `name`, with what Keras does not take in a name replaced.
        kind: `number`; `boolean`, `category` (one-hot), `hashed` (one-hot of a hash) and `text` (its words) are
            strings; `date` is whole minutes since 1970-01-01 (UTC).
        bins: How many bins a `hashed` column has, else 0.
        format: How text is read as a number (`"1.234,5"`, `"1,234.5"`, ...: see `cells.number_form`) or as a date (a
            `strptime` format or `"ISO8601"`); empty where the table holds the type itself.
        loose: Whether text that is no number (no date) counts as missing, rather than being refused.
    """

    name: str
    input: str
    kind: Kind
    bins: int = 0
    format: str = ""
    loose: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the model's input is a string."""
        return self.kind in ("boolean", "category", "hashed", "text")

    @property
    def is_coded(self) -> bool:
        """Whether each of its strings is a value of its own."""
        return self.is_text and self.kind != "text"

    @property
    def is_written(self) -> bool:
        """Whether a file's cells are to be kept as they are written, since what they mean depends on their form."""
        return self.is_text or bool(self.format)


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The raw rows that a model takes: named columns of a table, one array, or an array for each of several inputs.

    Attributes:
        columns: For a table, in the order of the table; empty for arrays.
        shape: For an array, the shape of one row; else None.
        inputs: For several inputs the name of each and the shape of its rows, in the order of the model.
        strings: Whether arrays may hold text, which reaches the network as it is.

    Example:
        >>> schema = Schema(columns=(Column(name="age", input="age", kind="number"),))
        >>> Schema.from_json(schema.to_json()) == schema
        True
    """

    columns: tuple[Column, ...] = ()
    shape: tuple[int, ...] | None = None
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    strings: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in the table."""
        return tuple(column.name for column in self.columns)

    @property
    def has_text(self) -> bool:
        """Whether any model input is a string; Keras then needs TensorFlow."""
        return any(column.is_text for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        """The schema as a tree of JSON values."""
        return {
            "columns": [asdict(column) for column in self.columns],
            "shape": None if self.shape is None else list(self.shape),
            **({"inputs": [[name, list(shape)] for name, shape in self.inputs]} if self.inputs else {}),
            **({"strings": True} if self.strings else {}),
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Schema:
        """The schema that `to_json` wrote."""
        shape = tree["shape"]
        columns = tuple(Column(**column) for column in tree["columns"])
        inputs = tuple((name, tuple(own)) for name, own in tree.get("inputs", ()))
        strings = bool(tree.get("strings", False))
        return cls(columns=columns, shape=None if shape is None else tuple(shape), inputs=inputs, strings=strings)


def unique_names(names: Iterable[Any]) -> tuple[str, ...]:
    """Column names as distinct, non-empty strings; a repeated name gets `.1`, `.2`, ... as pandas does for CSV.

    Example:
        >>> unique_names(["a", "a", 3, " "])
        ('a', 'a.1', '3', 'column_4')
    """
    given = [str(name).strip() or f"column_{number}" for number, name in enumerate(names, 1)]
    return _distinct(given, taken=set(given))


def input_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names that Keras takes for inputs.

    Keras refuses a slash in the name of a layer.

    Example:
        >>> input_names(["km/h", "km_h", "größe (cm)"])
        ('km_h', 'km_h.1', 'größe (cm)')
    """
    clean = [re.sub(r"[/\\\x00-\x1f]", "_", name) for name in names]
    return _distinct(clean, taken=set(clean))


def _distinct(names: list[str], taken: set[str]) -> tuple[str, ...]:
    seen: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 0
        while candidate in seen or (number and candidate in taken):
            number += 1
            candidate = f"{name}.{number}"
        seen.add(candidate)
        result.append(candidate)
    return tuple(result)
