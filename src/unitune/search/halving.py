"""Asynchronous successive halving and Hyperband: many trials get a few epochs, the best of them more."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from unitune.records import sign_of
from unitune.search.base import Goal
from unitune.search.racing import Judging
from unitune.space import Space

ETA = 3
MOST_RUNGS = 4


def round_size(n_brackets: int, bracket: int, number: int, factor: float) -> int:
    """Trials of a round of a bracket of Hyperband, which has `bracket + 1` rounds: each takes about as many epochs.

    Example:
        >>> [round_size(4, 3, number, 3) for number in range(4)]
        [27, 9, 3, 1]
    """
    return math.ceil(n_brackets / (bracket + 1) * float(factor) ** (bracket - number))


def round_epochs(epochs: int, bracket: int, number: int, factor: float) -> int:
    """Epochs after which a round of a bracket ends, counted from the start of its trials; the last ends with all.

    Example:
        >>> [round_epochs(30, 3, number, 3) for number in range(4)]
        [2, 4, 10, 30]
    """
    return math.ceil(epochs / float(factor) ** (bracket - number))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial stands: its bracket, and the rung (counted from 0) that it has reached."""

    bracket: int
    rung: int


class Halving(Judging):
    """Asynchronous successive halving (ASHA) over epochs.

    A trial is trained for a 27th of its epochs first (where it has so many), then for a 9th, a third, and all. It goes
    on from a rung as soon as it is among the best third of all trials that have reached this rung, whether or not more
    are to come. It does so from its own state, so that a trial which reaches the end is what it would have been.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.
    """

    name = "halving"

    def __init__(self, space: Space, *, goal: Goal, seed: int, trials: int | None = None) -> None:
        super().__init__(space, goal=goal, seed=seed, trials=trials)
        self._sign = -sign_of(goal.direction)
        self._scores: dict[Place, dict[int, float]] = defaultdict(dict)
        self._gone_on: dict[Place, set[int]] = defaultdict(set)

    def bracket(self, number: int) -> int:
        """The rung that a trial begins at: the lowest."""
        return 0

    def rungs(self, epochs: int, bracket: int) -> tuple[int, ...]:
        """After how many epochs a trial is looked at; the last are all of them.

        Example:
            >>> Halving(Space([]), goal=Goal(metric="auc", direction="maximize"), seed=0).rungs(30, 0)
            (2, 4, 10, 30)
        """
        n = min(MOST_RUNGS, 1 + math.floor(math.log(max(epochs, 1), ETA) + 1e-9))
        each = [round_epochs(epochs, n - 1, number, ETA) for number in range(n)]
        return tuple(dict.fromkeys(each[min(bracket, n - 1) :]))

    def reached(self, number: int, place: Place, score: float) -> None:
        """Notes the mean score of a trial at a rung."""
        if math.isfinite(score):
            self._scores[place][number] = self._sign * score

    def go_on(self, waiting: Mapping[int, Place], *, last: bool) -> list[int]:
        """The numbers of the waiting trials that are to go on to their next rung, in order.

        Args:
            waiting: Where they stand.
            last: Whether no further trial will reach a rung unless one goes on; then at least the best of each bracket
                does, if none of the bracket has gone as far.
        """
        chosen = []
        for place in sorted(set(waiting.values()), key=lambda place: (place.bracket, place.rung)):
            scores = self._scores[place]
            order = sorted(scores, key=lambda number: (scores[number], number))
            quota = len(order) // ETA
            if last and not self._gone_on[place]:
                quota = max(1, quota)
            here = [
                number
                for number in order[:quota]
                if waiting.get(number) == place and number not in self._gone_on[place]
            ]
            if last and not here and not self._gone_on[place]:  # those before it were of an earlier batch
                here = [number for number in order if waiting.get(number) == place][:1]
            self._gone_on[place].update(here)
            chosen += here
        return sorted(chosen)


class Hyperband(Halving):
    """Successive halving in several brackets, the later of which begin with more epochs.

    Few epochs mislead where good configurations learn slowly. So some trials begin at a higher rung: each bracket gets
    about as many epochs as the others.

    Source: Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18 (2018).
    """

    name = "hyperband"

    def bracket(self, number: int) -> int:
        """The rung that a trial begins at: of 49 trials 27, 12, 6 and 4, mixed evenly."""
        weights = [round_size(MOST_RUNGS, power, 0, ETA) for power in range(MOST_RUNGS - 1, -1, -1)]
        total = sum(weights)
        # The bracket that is furthest behind its share, as it would have been filled one by one.
        filled = [0] * MOST_RUNGS
        chosen = 0
        for count in range(1, (number - 1) % total + 2):
            chosen = max(range(MOST_RUNGS), key=lambda bracket: weights[bracket] * count / total - filled[bracket])
            filled[chosen] += 1
        return chosen
