"""How much of the variation in score each hyperparameter, and their interplay, accounts for."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

NOISE = ("fold", "repeat", "seed", "residual", "error", "noise")
MAX_BARS = 14


@dataclass(frozen=True, kw_only=True)
class Share:
    """One term's share of the variation, from 0 to 1, with its 95 % interval.

    `kind` is `"single"` for one hyperparameter, `"joint"` for an interplay, `"noise"` for folds and seeds.
    """

    term: str
    share: float
    low: float
    high: float
    kind: str


def shares(interplay: pd.DataFrame) -> tuple[Share, ...]:
    """The terms, greatest share first, folds and seeds last; the smallest beyond 14 are left out.

    Args:
        interplay: Columns `term`, `share`, `low`, `high`.
    """
    found = [
        Share(
            term=str(row.term), share=float(row.share), low=float(row.low), high=float(row.high), kind=_kind(row.term)
        )
        for row in interplay[["term", "share", "low", "high"]].itertuples(index=False)
        if row.share == row.share
    ]
    real = sorted((one for one in found if one.kind != "noise"), key=lambda one: -one.share)
    noise = [one for one in found if one.kind == "noise"]
    return (*real[: MAX_BARS - len(noise)], *noise)


def _kind(term: object) -> str:
    text = str(term).lower()
    if any(text.startswith(word) for word in NOISE):
        return "noise"
    return "joint" if " x " in text or " × " in text or ":" in text else "single"
