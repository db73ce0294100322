"""A result as a table for people: what the model of all scores says beside the means over the folds."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

import pandas as pd

from unitune.result.certainty import COLUMNS, Certainty

if TYPE_CHECKING:
    from unitune.result.search_result import Result

SHOWN = 50
MEANING = (
    "mean: over the folds. expected: the score on new rows by one model of all trials, with 95 % between low and high. "
    "p_best: the probability of being the truly best of them. expected_loss: how far behind that one, on average."
)
"""What the columns of a table mean, in one line."""


def with_certainty(frame: pd.DataFrame, certainty: Certainty | None, metric: str | None) -> pd.DataFrame:
    """A table of trials with what the model says of each.

    Args:
        frame: As `trials_table` has it.
        certainty: Of the run; None where no trial is complete.
        metric: Of the table; the objective if None.
    """
    rest = frame.drop(columns=["low", "high"])
    place = int(rest.columns.get_loc("mean")) + 1
    found = pd.DataFrame(columns=list(COLUMNS), dtype=float) if certainty is None else certainty.columns(metric)
    found = found.reindex(frame["trial"])
    for offset, name in enumerate(COLUMNS):
        rest.insert(place + offset, name, found[name].to_numpy(dtype=float))
    credible: tuple[int, ...] = ()
    picks: dict[int, str] = {}
    if certainty is not None:
        credible, picks = certainty.credible, {certainty.modelled[0].number: "best"}
        chosen = certainty.recommended.number
        picks[chosen] = "best, recommended" if chosen in picks else "recommended"
    place = int(rest.columns.get_loc("gap")) + 1
    rest.insert(place, "credible", rest["trial"].isin(credible))
    rest.insert(place + 1, "pick", [picks.get(number, "") for number in rest["trial"]])
    return rest


def html_of(result: Result) -> str:
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
    head = f"{len(result.trials):,} trials, {result.run.folds['kind']}; the {aim} {result.objective} is best"
    body = shown.to_html(index=False, na_rep="–", border=0)
    meaning = "" if unknown else f"<p>{html.escape(MEANING)}</p>"
    beside = " · ".join(f"{row.reference} {row.mean:.4f}" for row in result.references.itertuples())
    simpler = f"<p>Simpler models on the same folds, not ranked: {html.escape(beside)}</p>" if beside else ""
    return f"<p><b>{html.escape(head)}</b></p>{body}{rest}{simpler}{meaning}"
