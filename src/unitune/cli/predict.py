"""`unitune predict`: predict new rows with a model of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from unitune.errors import OptionError, SaveError
from unitune.options.rows import DECIMAL, ENCODING, HEADER, SEPARATOR

if TYPE_CHECKING:
    import pandas as pd

EPILOG = """
[bold]Examples[/]

unitune predict runs/mine new.csv -o predictions.csv

unitune predict runs/mine new.csv --trial 7 | head
"""
_DIGITS = 7  # What a number of single precision holds.


def command(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")],
    table: Annotated[
        str, typer.Argument(help="A table with the columns of the training table, or its address.", metavar="TABLE")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The CSV file to write; standard output if not given.", show_default=False),
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option(
            help="The number of a trial, which is trained again; the recommended one if not given.", show_default=False
        ),
    ] = None,
    separator: Annotated[str | None, typer.Option(help=SEPARATOR, show_default=False)] = None,
    decimal: Annotated[str | None, typer.Option(help=DECIMAL, show_default=False)] = None,
    encoding: Annotated[str | None, typer.Option(help=ENCODING, show_default=False)] = None,
    header: Annotated[bool | None, typer.Option("--header/--no-header", help=HEADER, show_default=False)] = None,
) -> None:
    """Predict new rows with a model of a run, and score them where the table has the target.

    The table is read as that of the run was, unless a flag says otherwise.
    """
    from unitune.result import load
    from unitune.tuner.verify import with_models

    if output is not None and not output.absolute().parent.is_dir():
        raise OptionError(
            "`output` must be a file in a folder that is there",
            f"there is no folder `{output.parent}`",
            f"Make it first: `mkdir -p {output.parent}`.",
        )
    result = load(run)
    if trial is not None and trial != result.recommended.number:
        result = with_models(run)
    reading: dict[str, Any] = {"separator": separator, "decimal": decimal, "encoding": encoding, "header": header}
    found = result.predicted(table, trial, **reading)
    try:
        plain(found.table).to_csv(sys.stdout if output is None else output, index=False)
    except BrokenPipeError:
        sys.stderr.close()  # Whoever read our output has seen enough.
        raise typer.Exit from None
    except OSError as error:
        raise SaveError(f"`{output}` cannot be written: {error.strerror or error}.") from None
    which = result.recommended if trial is None else next(one for one in result.trials if one.number == trial)
    kind = "the recommended one" if which.number == result.recommended.number else "as `--trial` says"
    print(f"Predicted by trial {which.number}, {kind}.", file=sys.stderr)
    if output is not None:
        n_rows = len(found.table)
        print(f"{n_rows:,} prediction{'' if n_rows == 1 else 's'} in {output}", file=sys.stderr)
    if found.scores:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in found.scores.items() if value == value)
        print(f"Scores of these rows: {shown}", file=sys.stderr)
    elif found.no_scores:
        print(f"No scores: {found.no_scores}", file=sys.stderr)


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose fractions are written out, without exponents.

    Example:
        >>> import pandas as pd
        >>> plain(pd.DataFrame({"prediction": np.float32([1990000.0, 0.25, 1e-06])})).prediction.tolist()
        ['1990000', '0.25', '0.000001']
    """

    def text(number: float) -> str:
        return (
            "" if number != number else np.format_float_positional(np.float32(number), _DIGITS, True, False, trim="-")
        )

    predictions = [name for name in table.columns if str(name).startswith(("prediction", "probability_"))]
    return table.assign(**{name: table[name].map(text) for name in predictions if table[name].dtype.kind == "f"})
