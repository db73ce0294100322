"""A result as a table of HTML, for notebooks."""

from __future__ import annotations

import html
import math

from unitune.records import counted
from unitune.result.certainty import COLUMNS
from unitune.result.record import Record

SHOWN = 50
MEANING = (
    "mean: over the folds. expected: the score on new rows by one model of all trials, with 95 % between low and high. "
    "p_best: the probability of being the truly best of them. expected_loss: how far behind that one, on average."
)
"""What the columns of a table mean, in one line."""


def html_of(result: Record) -> str:
    """A result as a table of HTML, for notebooks."""
    frame = result.table()
    shown = frame.head(SHOWN)
    unknown = [name for name in COLUMNS if frame[name].isna().all()]
    shown = shown.drop(columns=unknown)
    for name in ("mean", *COLUMNS, "std", "train", "gap"):
        if name in shown:
            digits = ".2f" if name == "p_best" else ".4f"
            shown = shown.assign(**{name: ["–" if math.isnan(value) else f"{value:{digits}}" for value in shown[name]]})
    shown = shown.assign(seconds=[f"{value:.2f}" for value in shown["seconds"]])
    rest = f"<p>and {len(frame) - SHOWN:,} more trials</p>" if len(frame) > SHOWN else ""
    aim = "highest" if result.direction == "maximize" else "lowest"
    head = f"{counted(len(result.trials), 'trial')}, {result.run.folds['kind']}; the {aim} {result.objective} is best"
    body = shown.to_html(index=False, na_rep="–", border=0)
    meaning = "" if unknown else f"<p>{html.escape(MEANING)}</p>"
    n = result._certainty.n_unknown
    if n:
        meaning += f"<p>{n:,} of them were stopped after fewer epochs: their scores are not part of the model.</p>"
    beside = " · ".join(f"{row.reference} {row.mean:.4f}" for row in result.references.itertuples())
    simpler = f"<p>Simpler models on the same folds, not ranked: {html.escape(beside)}</p>" if beside else ""
    return f"<p><b>{html.escape(head)}</b></p>{body}{rest}{simpler}{meaning}"
