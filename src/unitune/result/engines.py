"""Which trials were not fused, how they were trained instead, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from unitune.engine.worth import NOT_WORTH_COMPILING
from unitune.records import Trial

MAX_NUMBERS = 8
_HOW = {"vmapped": "vmapped instead", "solo": "trained with plain `fit`"}


def reasons(trials: Sequence[Trial], engine: str) -> dict[str, list[Trial]]:
    """The trials that this engine trained because it had to, by the reason."""
    found: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.engine == engine and trial.engine_reason:
            found[trial.engine_reason].append(trial)
    return dict(found)


def not_fused(trials: Sequence[Trial]) -> list[str]:
    """A sentence for each way in which trials that could not be fused were trained, with their numbers and reasons.

    Example:
        >>> not_fused([Trial(number=3, configuration={}, state="complete", engine="solo", engine_reason="it is odd")])
        ['1 of 1 trials could not be fused and was trained with plain `fit`: trial 3 (it is odd).']
    """
    sentences = []
    for engine, how in _HOW.items():
        found = {why: own for why, own in reasons(trials, engine).items() if why != NOT_WORTH_COMPILING}
        n = sum(len(own) for own in found.values())
        if n:
            which = "; ".join(f"{_numbers(own)} ({reason})" for reason, own in found.items())
            was = "was" if n == 1 else "were"
            sentences.append(f"{n:,} of {len(trials):,} trials could not be fused and {was} {how}: {which}.")
    return sentences


def _numbers(trials: Sequence[Trial]) -> str:
    """`trial 3`, or `trials 3, 4 and 9 more`."""
    shown = ", ".join(str(trial.number) for trial in trials[:MAX_NUMBERS])
    more = f" and {len(trials) - MAX_NUMBERS:,} more" if len(trials) > MAX_NUMBERS else ""
    return f"trial{'s' if len(trials) > 1 else ''} {shown}{more}"
