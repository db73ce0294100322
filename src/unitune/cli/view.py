"""How results look in a terminal: nothing here computes what was not recorded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unitune.cli.answer import show_answer
from unitune.report.numbers import score_format, seconds, setting

if TYPE_CHECKING:
    import pandas as pd

    from unitune.result import Result, RunComparison, Verification

TOP = 20
MEANINGS = {
    "expected": "the score on new rows, by one model of all trials",
    "95 % interval": "where that lies with 95 %",
    "P best": "the probability of being the best of these trials",
    "exp. loss": "how far behind the best, on average",
    "★": "recommended",
}
GAP = 2  # Spaces between two columns.
STRIP = 21  # Width of the drawn intervals.
SCORES = ("rank", "trial", "mean", "expected", "low", "high", "p_best", "expected_loss", "std", "train", "gap")
MARKS = ("credible", "pick")
COSTS = ("parameters", "seconds", "engine", "engine_reason", "state", "failure")


def show(result: Result, *, as_json: bool = False, top: int = TOP) -> None:
    """Prints a result on standard output: for people, or as JSON."""
    if as_json:
        _print_json(result.summary())
        return
    console = Console(highlight=False)
    table, chosen, run = result.table(), result.recommended, result.run
    grid = trials(table.head(top), objective=result.objective, width=console.width)
    console.print(grid)
    if len(table) > top:
        console.print(f" ... and {len(table) - top:,} more trials.\n", style="dim")
    if table["expected"].notna().any():
        console.print(Padding(Text(meanings(grid), style="dim"), (0, 0, 1, 1)))
    score, number = chosen.scores[result.objective], _format_of(table)
    if len(result.references):
        console.print(Padding(_references(result, number), (0, 0, 1, 1)))
    lines = [f"[bold]Recommended:[/] {escape(_settings(result))} (trial {chosen.number})"]
    lines.append(
        f"  {result.objective} {number(score.mean)} over the folds, {number(score.train)} on its training rows"
    )
    if result.test_scores is not None:
        test = result.test_scores.loc[result.objective, "test"]
        lines.append(f"  {number(test)} on the test rows, which nothing looked at before")
    if run.left_out:
        lines.append(f"[yellow]{escape(run.left_out)}[/]")
    console.print("\n".join(lines), soft_wrap=True)
    show_answer(result, console)
    if result.folder is not None:
        console.print(f"[bold]Saved in {escape(str(result.folder))}:[/]", soft_wrap=True)
        # SQLite's side files come and go with whoever looks at the store.
        names = sorted(path.name for path in result.folder.iterdir() if not path.name.endswith(("-wal", "-shm")))
        console.print(Padding(", ".join(names), (0, 0, 0, 2)), markup=False)
        report = result.folder / "report.html"
        if report.exists():
            console.print(f"[bold]Report:[/] {escape(str(report))}", soft_wrap=True)


def meanings(grid: Table) -> str:
    """What the columns mean that are there, of those that do not say it themselves."""
    shown = [str(column.header) for column in grid.columns]
    return " ".join(f"{title}: {meaning}." for title, meaning in MEANINGS.items() if title in shown)


def _references(result: Result, number: Callable[[float], str]) -> str:
    """What simpler models score, on one line."""
    rows = result.references.to_dict("records")
    each = [f"{row['reference']} {number(row['mean'])}" for row in rows]
    return f"[dim]Simpler models on the same folds (not ranked): {escape(', '.join(each))}[/]"


def show_verification(verification: Verification, *, as_json: bool = False) -> None:
    """Prints recorded curves beside those of plain `fit` on standard output."""
    if as_json:
        _print_json(verification.summary())
        return
    console = Console(highlight=False)
    for (metric, split), part in verification.table().groupby(["metric", "split"], sort=False):
        table = Table(box=box.SIMPLE_HEAD, title=f"{metric}, {split} rows", title_style="bold", title_justify="left")
        for heading in ("epoch", "recorded", "plain fit", "difference"):
            table.add_column(heading, justify="right")
        for row in part.itertuples():
            table.add_row(str(row.epoch), f"{row.recorded:.6f}", f"{row.fit:.6f}", f"{row.difference:.1e}")
        console.print(table)
    folds = f"{verification.members} member" + "s" * (verification.members != 1)
    console.print(
        f"[bold]Trial {verification.trial}, {folds}:[/] the largest relative difference of any value in any epoch is "
        f"{verification.largest_difference:.1e}.",
        soft_wrap=True,
    )


def show_comparison(names: tuple[str, str], comparison: RunComparison, *, as_json: bool = False) -> None:
    """Prints two runs side by side on standard output."""
    if as_json:
        _print_json(comparison.summary())
        return
    console = Console(highlight=False)
    table = comparison.table()
    rows, number = table.to_dict("records"), _format_of(table)
    grid = _grid()
    grid.add_column("run")
    settings = [name for name in rows[0] if name not in ("run", *SCORES)]
    for title in (comparison.objective, "95 % interval", "train", *settings):
        grid.add_column(title, justify="right")
    for name, row in zip(names, rows, strict=True):
        spread = "" if math.isnan(row["low"]) else f"{number(row['low'])} to {number(row['high'])}"
        grid.add_row(name, number(row["mean"]), spread, number(row["train"]), *(setting(row[key]) for key in settings))
    console.print(grid)
    console.print(comparison.verdict, soft_wrap=True)


def _print_json(tree: Any) -> None:
    from unitune.store.folder import plain

    print(json.dumps(plain(tree), indent=2, ensure_ascii=False))


def _settings(result: Result) -> str:
    """What the recommended trial has that others have not."""
    table = result.table()
    row = table[table["trial"] == result.recommended.number].iloc[0]
    names = [name for name in row.index if name not in (*SCORES, *MARKS, *COSTS)]
    shown = [f"{name} {setting(row[name])}" for name in names if setting(row[name])]
    return ", ".join(shown) or f"trial {row['trial']}"


def _format_of(table: pd.DataFrame) -> Callable[[float], str]:
    return score_format(table[["mean", "low", "high"]].to_numpy(dtype=float).ravel())


def _grid() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), header_style="bold")


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of the table in the terminal; the lowest `keep` goes first where there is no room, None never."""

    title: str
    cells: list[Any]
    keep: int | None = None
    right: bool = True

    @property
    def width(self) -> int:
        texts = [cell.plain if isinstance(cell, Text) else cell for cell in self.cells]
        return max(cell_len(text) for text in (*self.title.split("\n"), *texts))


def trials(table: pd.DataFrame, *, objective: str, width: int) -> Table:
    """The ranked table of trials, with as many of its columns as fit into `width` characters."""
    rows = table.to_dict("records")
    number = _format_of(table)
    failed = [row["mean"] != row["mean"] for row in rows]

    def scores(cell: Callable[[Any], Any]) -> list[Any]:
        return ["" if gone else cell(row) for row, gone in zip(rows, failed, strict=True)]

    columns = [_Column(title="#", cells=scores(lambda row: str(row["rank"])))]
    for name in table.columns:
        if name not in (*SCORES, *MARKS, *COSTS):
            cells = [setting(row[name]) for row in rows]
            columns.append(_Column(title=name, cells=cells, right=_numeric(table[name])))
    means = [
        number(row["mean"]) if not gone else str(row.get("state", "failed"))
        for row, gone in zip(rows, failed, strict=True)
    ]
    columns.append(_Column(title=objective, cells=means))
    if "expected" in table.columns and table["expected"].notna().any():
        expected = scores(lambda row: "" if math.isnan(row["expected"]) else number(row["expected"]))
        columns.append(_Column(title="expected", cells=expected, keep=7))
    if table["low"].notna().any():
        columns.append(
            _Column(
                title="95 % interval",
                cells=scores(lambda row: f"{number(row['low'])} to {number(row['high'])}"),
                keep=4,
            )
        )
        low, high = float(table["low"].min()), float(table["high"].max())
        strips = scores(lambda row: interval(row["expected"], row["low"], row["high"], low, high, STRIP))
        columns.append(_Column(title=_ends(number(low), number(high)), cells=strips, keep=0, right=False))
    if "p_best" in table.columns and table["p_best"].notna().any():
        columns.append(_Column(title="P best", cells=scores(lambda row: share(row["p_best"])), keep=6))
        losses = scores(lambda row: "" if math.isnan(row["expected_loss"]) else f"{row['expected_loss']:.2g}")
        columns.append(_Column(title="exp. loss", cells=losses, keep=2))
    if "pick" in table.columns:
        columns.append(_Column(title="", cells=scores(_mark), keep=5, right=False))
    stars = scores(lambda row: "★" if "recommended" in str(row.get("pick", "")) else "")
    columns.append(_Column(title="train", cells=scores(lambda row: number(row["train"])), keep=1))
    columns.append(_Column(title="parameters", cells=[f"{row['parameters']:,}" for row in rows], keep=3))
    columns.append(_Column(title="time", cells=[seconds(row["seconds"]) for row in rows], keep=1))
    columns = _fitting(columns, width, _Column(title="★", cells=stars))

    grid = _grid()
    for column in columns:
        grid.add_column(column.title, justify="right" if column.right else "left", no_wrap=column.keep is not None)
    for index in range(len(rows)):
        cells = [column.cells[index] for column in columns]
        grid.add_row(*cells, style="red" if failed[index] else _style(rows[index]))
    return grid


def _fitting(columns: list[_Column], width: int, star: _Column) -> list[_Column]:
    """As many columns as there is room for: what the pick is shrinks to a star, and titles are broken last."""

    def too_wide() -> bool:
        return sum(column.width + GAP for column in columns) + 1 > width

    while too_wide() and any(column.keep is not None for column in columns):
        first = min(columns, key=lambda column: 99 if column.keep is None else column.keep)
        columns = [
            star if one is first and not one.title else one for one in columns if one is not first or not one.title
        ]
    if too_wide():
        columns = [replace(one, title=one.title.replace("_", "\n")) if one.keep is None else one for one in columns]
    return columns


def _mark(row: dict[str, Any]) -> str:
    """What the row is: the pick, or one that may be the best."""
    return str(row["pick"]) or ("may be best" if row["credible"] else "")


def share(value: float) -> str:
    """A probability in percent.

    Example:
        >>> share(0.4321), share(0.0004), share(0.0)
        ('43 %', '< 1 %', '< 1 %')
    """
    return "" if math.isnan(value) else f"{100 * value:.0f} %" if value >= 0.005 else "< 1 %"


def _style(row: dict[str, Any]) -> str:
    if row["rank"] == 1:
        return "bold green"
    return "bold cyan" if "recommended" in str(row.get("pick", "")) else ""


def interval(mean: float, low: float, high: float, left: float, right: float, width: int) -> Text:
    """An interval as a line, with a point at the mean, on a scale from `left` to `right`.

    Example:
        >>> interval(0.5, 0.25, 0.75, 0.0, 1.0, 9).plain
        '  ├─●─┤  '
    """
    if not right > left:
        return Text("●".center(width))

    def place(value: float) -> int:
        return round((value - left) / (right - left) * (width - 1))

    cells = [" "] * width
    for position in range(place(low), place(high) + 1):
        cells[position] = "─"
    cells[place(low)], cells[place(high)] = "├", "┤"
    cells[place(mean)] = "●"
    return Text("".join(cells))


def _ends(left: str, right: str) -> str:
    return left + right.rjust(STRIP - len(left))


def _numeric(column: Any) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in column.dropna())
