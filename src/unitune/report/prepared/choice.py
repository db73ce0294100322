"""Which trials' curves are worth a panel, and what is said of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

# In the order in which they are said, whatever explains the others first; kinds of `unitune.diagnosis`.
FIT = {
    "diverged": "diverged",
    "class_ignored": "ignores a class",
    "learning_rate_high": "learning rate too high",
    "learning_rate_low": "learning rate too low",
    "overfit": "overfits",
    "generalization_gap": "far better on its training rows",
    "underfit": "underfits",
    "too_few_epochs": "too few epochs",
    "unstable": "unstable over folds",
}


def fit_verdict(kinds: Collection[str] | None, *, fits_well: bool = False) -> str:
    """How a trial fits, going by the kinds of findings about it; empty where nothing was diagnosed.

    Args:
        kinds: Of the findings about it; None where nothing was diagnosed.
        fits_well: Whether its scores say so. Not to have found anything does not.

    Example:
        >>> fit_verdict(["too_few_epochs", "underfit", "dead_units"]), fit_verdict([], fits_well=True)
        ('underfits, too few epochs', 'fits well')
        >>> fit_verdict([]), fit_verdict(None)
        ('nothing found', '')
    """
    if kinds is None:
        return ""
    found = ", ".join(words for kind, words in FIT.items() if kind in kinds)
    return found or ("fits well" if fits_well else "nothing found")


def panel_trials(ranking: Sequence[int], *, best: int, recommended: int | None, n: int) -> tuple[int, ...]:
    """The recommended trial, the best, and the next best, `n` in all.

    Example:
        >>> panel_trials([5, 2, 7, 1], best=5, recommended=7, n=3)
        (7, 5, 2)
    """
    first = [best] if recommended is None else [recommended, best]
    return tuple(dict.fromkeys([*first, *ranking]))[:n]
