"""Whose weights are kept: those of all members of the best trials, and for a while of trials in training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from unitune.records import Array, Direction, Trial, sign_of
from unitune.store.member_states import drop_weights, kept_weights, save_weights
from unitune.store.members import Key
from unitune.store.run_store import RunStore


class BestWeights:
    """The best trials so far, and which weights to keep for them.

    Args:
        n: How many trials, 1 or more.
        metric, direction: What ranks them.
        store: A run that may have finished trials already.
    """

    def __init__(self, n: int, metric: str, direction: Direction, store: RunStore) -> None:
        self._n = n
        self._metric = metric
        self._sign = -sign_of(direction)
        self._scores = {number: scores[metric]["mean"] for number, scores in store.score_rows().items()}
        self._held = {trial for trial, _, _ in kept_weights(store)}

    @property
    def best(self) -> set[int]:
        """Numbers of the best trials; of equals the first."""
        ranked = sorted((self._sign * mean, number) for number, mean in self._scores.items() if not math.isnan(mean))
        return {number for _, number in ranked[: self._n]}

    def changes(
        self, store: RunStore, keys: Sequence[Key], weights: Sequence[Sequence[Array]], finished: Sequence[Trial]
    ) -> Callable[[], None]:
        """What to do in the store now that these members are trained and these trials finished."""
        for trial in finished:
            score = trial.scores.get(self._metric)
            self._scores[trial.number] = math.nan if score is None else score.mean
        best = self.best
        gone = {number for number in self._held | {key[0] for key in keys} if number in self._scores} - best
        new = {key: own for key, own in zip(keys, weights, strict=True) if key[0] not in gone and len(own)}
        dropped = sorted(gone & self._held)
        self._held = (self._held | {key[0] for key in new}) - gone

        def do() -> None:
            save_weights(store, new)
            if dropped:
                drop_weights(store, dropped)

        return do
