"""Which trials' curves are worth a panel, and what is said of each."""

from __future__ import annotations

from collections.abc import Sequence

from unitune.records import Finding

FIT = {
    "overfit": "overfits",
    "underfit": "underfits",
    "too_few_epochs": "too few epochs",
    "diverged": "diverged",
    "learning_rate_high": "learning rate too high",
    "learning_rate_too_high": "learning rate too high",
    "learning_rate_low": "learning rate too low",
    "learning_rate_too_low": "learning rate too low",
}


def fit_verdict(trial: int, findings: Sequence[Finding] | None) -> str:
    """How a trial fits, going by what was diagnosed; empty where nothing was.

    Example:
        >>> found = Finding(kind="overfit", severity="advice", title="", trials=(3,), evidence={})
        >>> fit_verdict(3, [found]), fit_verdict(4, [found]), fit_verdict(3, None)
        ('overfits', 'fits well', '')
    """
    if findings is None:
        return ""
    said = [FIT[one.kind] for one in findings if trial in one.trials and one.kind in FIT]
    return ", ".join(dict.fromkeys(said)) or "fits well"


def panel_trials(ranking: Sequence[int], *, best: int, recommended: int | None, n: int) -> tuple[int, ...]:
    """The recommended trial, the best, and the next best, `n` in all.

    Example:
        >>> panel_trials([5, 2, 7, 1], best=5, recommended=7, n=3)
        (7, 5, 2)
    """
    first = [best] if recommended is None else [recommended, best]
    return tuple(dict.fromkeys([*first, *ranking]))[:n]
