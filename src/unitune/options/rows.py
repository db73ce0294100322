"""The rows: what is learnt from, how a table is read, and how its numbers are prepared."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, ClassVar

from unitune.options.base import Options
from unitune.options.flags import Flag

SEPARATOR = "The separator of a CSV file; found by itself."
DECIMAL = "The decimal sign of a CSV file; found by itself."
ENCODING = "The encoding of a CSV file; found by itself."
HEADER = "Whether the first row holds the names of columns; found by itself."


@dataclass(frozen=True, eq=False)
class RowOptions(Options):
    """The rows.

    Args:
        x: Numbers `(row, feature...)`; a pandas or polars frame; or the path or address of a CSV, Parquet or Excel
            file. Where a function builds models with several inputs, a list of arrays in their order, or a dict of them
            by name. Or a `tf.data.Dataset` or `PyDataset` of `(x, y)` or `(x, y, sample_weight)`, which is read into
            memory once.
        y: The target, `(row,)` or `(row, output)`, or the name of its column; None where `x` brings it.
        target: The name of the target's column, instead of `y`; several for several numbers.
        ignore: Columns of a table that are left out.
        id: Columns of a table that are left out, and kept beside the predictions of `Result.predict`.
        normalize: Whether features are normalised inside the model; `"auto"`: where they need it.
        separator, decimal, encoding: Of a CSV file; found if not given.
        header: Whether the first row of a CSV or Excel file holds the names of the columns; found if not given.
    """

    panel: ClassVar[str] = "The data"

    x: Any
    y: Any = None
    _: KW_ONLY
    target: Annotated[
        str | int | Sequence[str] | None,
        Flag("The column to predict; given several times, several numbers.", names=("--target", "-t"), many=True),
    ] = None
    ignore: Annotated[
        str | Sequence[str] | None,
        Flag("A column that is left out; may be given several times.", many=True, metavar="COLUMN"),
    ] = None
    id: Annotated[
        str | Sequence[str] | None,
        Flag("A column that is left out, and kept beside predictions.", many=True, metavar="COLUMN"),
    ] = None
    normalize: Annotated[Any, Flag("auto, true or false: bring numbers to mean 0 and deviation 1.")] = "auto"
    separator: Annotated[str | None, Flag(SEPARATOR)] = None
    decimal: Annotated[str | None, Flag(DECIMAL)] = None
    encoding: Annotated[str | None, Flag(ENCODING)] = None
    header: Annotated[bool | None, Flag(HEADER, bool, ("--header/--no-header",))] = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ScaleOptions(Options):
    """On which scale dense networks learn.

    Args:
        target_scale: On which scale networks learn a regression's target: `"standard"` (mean 0, standard deviation 1),
            `"log"` (its logarithm is so), or `"auto"`: the logarithm for positive targets with a heavy tail. Scores and
            predictions are in its own units.
    """

    panel: ClassVar[str] = RowOptions.panel

    target_scale: Annotated[
        str, Flag("auto, standard or log: the scale on which a number is learnt; predictions are in its own.")
    ] = "auto"
