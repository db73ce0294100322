"""The table of all trials on the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from unitune.report.facts import Facts
from unitune.report.numbers import axis_name, score_format, setting

MAX_ROWS = 2_000
MODEL = {
    "expected": "expected",
    "low": "low",
    "high": "high",
    "p_best": "probability best",
    "expected_loss": "expected loss",
}
"""Columns by the model of all scores, and their titles."""
MARKS = {"best": "highest score", "credible": "may be best"}
"""What marks are called on the page."""
_FORMATS = {"p_best": "{:.3f}".format, "expected_loss": "{:.2g}".format}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell: what it says, and what it is sorted by."""

    text: str
    key: str
    numeric: bool


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A trial's cells, and what it is marked with: `best`, `recommended`, `credible`, `failed`."""

    cells: tuple[Cell, ...]
    marks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """Columns as `(title, numeric)`, the rows that fit on the page, how many trials there are, and whether the model of
    all scores says something of them."""

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[TrialRow, ...]
    n_trials: int
    modelled: bool


def trial_table(facts: Facts) -> TrialTable:
    """A row for each trial, best first; of very many, the best 2,000."""
    table = facts.table
    table = table.reindex(columns=[*table.columns, *(name for name in MODEL if name not in table.columns)])
    known = [name for name in MODEL if table[name].notna().any()]
    number = score_format([*table["mean"], *table["low"], *table["high"]])
    several = any(trial.failure for trial in facts.trials.values())
    titles = ["rank", "trial", facts.objective, *(MODEL[name] for name in known), "training", "gap"]
    titles += [axis_name(name) for name in facts.settings]
    titles += ["parameters", "seconds", *(["failure"] if several else []), "marks"]
    rows = []
    for record in table.head(MAX_ROWS).to_dict("records"):
        trial = int(record["trial"])
        marks = _marks(facts, trial)
        cells = [_cell(record["rank"], lambda value: f"{value:.0f}"), _cell(trial, str)]
        cells += [_cell(record[name], _FORMATS.get(name, number)) for name in ("mean", *known, "train", "gap")]
        cells += [_cell(record[name], setting) for name in facts.settings]
        cells += [_cell(record["parameters"], lambda value: f"{value:,}"), _cell(record["seconds"], "{:.2f}".format)]
        cells += [_cell(facts.trials[trial].failure, str)] if several else []
        cells.append(_cell(", ".join(MARKS.get(mark, mark) for mark in marks), str))
        rows.append(TrialRow(cells=tuple(cells), marks=marks))
    numeric = [all(row.cells[column].numeric for row in rows) for column in range(len(titles))] if rows else []
    return TrialTable(
        columns=tuple(zip(titles, numeric, strict=False)), rows=tuple(rows), n_trials=len(table), modelled=bool(known)
    )


def _marks(facts: Facts, trial: int) -> tuple[str, ...]:
    return tuple(
        mark
        for mark, holds in {
            "best": trial == facts.best,
            "recommended": trial == facts.recommended,
            "credible": trial in facts.credible,
            "failed": facts.trials[trial].state == "failed",
        }.items()
        if holds
    )


def _cell(value: Any, text: Any) -> Cell:
    if value is None or value != value or str(value) == "<NA>":
        return Cell(text="", key="", numeric=True)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and not math.isfinite(value):
        return Cell(text=str(value), key="", numeric=True)
    return Cell(text=text(value), key=repr(float(value)) if is_number else str(value), numeric=is_number)
