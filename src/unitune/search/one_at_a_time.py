"""Start from a baseline, vary one hyperparameter at a time, keep what improved beyond noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unitune.records import Configuration, Trial, sign_of
from unitune.search.base import Change, Goal, Strategy, is_active
from unitune.search.given import checked
from unitune.space import Space
from unitune.stats import corrected_t_test

VALUES_OF_A_RANGE = 5
SIGNIFICANCE = 0.05


class OneAtATime(Strategy):
    """Coordinate search with a test at every step.

    All values of one hyperparameter are tried around the current configuration. The best of them replaces it if its
    validation score is better beyond noise: the corrected resampled t-test, paired over folds and repeats, one-sided,
    at 5 % divided by the number of values that were tried (Bonferroni). With a single fold there is no estimate of
    the noise, and any improvement is kept. The search goes round the hyperparameters until a whole round keeps nothing.

    Args:
        space: The space. A continuous range is tried at five values spread evenly over it.
        goal: The objective.
        baseline: Values to start from; hyperparameters that are left out start at the middle of an ordered domain or
            at the first of their choices.

    Raises:
        SpaceError: The baseline names an unknown hyperparameter or a value outside of its domain.
    """

    name = "one-at-a-time"
    learns = True

    def __init__(self, space: Space, *, goal: Goal, baseline: Mapping[str, Any] | None = None) -> None:
        self._space = space
        self._goal = goal
        self._candidates = {name: _values_to_try(space[name].domain) for name in space.names}
        # Inactive hyperparameters keep a value too, for the moment in which a change of their parent wakes them up.
        self._values = {name: _start(space, name, self._candidates[name]) for name in space.names}
        self._values |= checked(space, baseline or {}, what="baseline")
        self._trials: dict[Any, Trial] = {}
        self._waiting: list[dict[str, Any]] = [space.active(self._values)]
        self._asked = {space.key(self._waiting[0])}
        self._round = 1
        self._position = -1
        self._kept_at: str | None = None
        self._done = False
        self._changes: list[Change] = []

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """The next of the current hyperparameter's values."""
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return asked

    @property
    def done(self) -> bool:
        """Whether a whole round brought no improvement."""
        return self._done

    @property
    def changes(self) -> Sequence[Change]:
        """What each change did."""
        return self._changes

    @property
    def current(self) -> dict[str, Any]:
        """The configuration that the search stands at."""
        return dict(self._space.active(self._values))

    def tell(self, finished: Sequence[Trial]) -> None:
        """Takes the trials of the current hyperparameter, and moves on once all are known."""
        for trial in finished:
            self._trials[self._space.key(trial.configuration)] = trial
        while not self._waiting and not self._done and self._all_known():
            if self._position >= 0:
                self._judge()
            self._advance()

    def _all_known(self) -> bool:
        return self._asked <= self._trials.keys()

    def _variants(self, name: str) -> list[tuple[Any, dict[str, Any]]]:
        """The values of one hyperparameter that differ from the current one, with their configurations."""
        here = self._space.key(self.current)
        variants = []
        for value in self._candidates[name]:
            configuration = dict(self._space.active({**self._values, name: value}))
            if self._space.key(configuration) != here:
                variants.append((value, configuration))
        return variants

    def _advance(self) -> None:
        """Goes to the next hyperparameter that has something to vary; ends after a round in which nothing was kept."""
        names = list(self._space.names)
        while True:
            self._position += 1
            if self._position == len(names):
                if self._kept_at is None:
                    self._done = True
                    return
                self._position, self._round = 0, self._round + 1
            name = names[self._position]
            if name == self._kept_at:  # a full round since the last change that was kept
                self._done = True
                return
            if not is_active(self._space[name], self.current):
                continue
            variants = self._variants(name)
            if not variants:
                continue
            fresh = [
                configuration for _, configuration in variants if self._space.key(configuration) not in self._asked
            ]
            self._waiting = fresh
            self._asked.update(self._space.key(configuration) for configuration in fresh)
            if fresh:
                return
            self._judge()

    def _judge(self) -> None:
        """Compares the current hyperparameter's values with where the search stands, and moves if one is better."""
        name = list(self._space.names)[self._position]
        before = self._trials[self._space.key(self.current)]
        variants = self._variants(name)
        compared = []
        for value, configuration in variants:
            after = self._trials[self._space.key(configuration)]
            gain, validation, train, p = self._compare(before, after)
            if after.state == "failed" or before.state == "failed":  # whatever trains is better than what does not
                beyond_noise = after.state != "failed"
            else:
                beyond_noise = gain > 0 and (math.isnan(p) or p < SIGNIFICANCE / len(variants))
            compared.append((gain, value, after, validation, train, p, beyond_noise))
        best = max((entry for entry in compared if entry[6]), key=lambda entry: entry[0], default=None)
        for entry in compared:
            _, value, after, validation, train, p, beyond_noise = entry
            self._changes.append(
                Change(
                    step=self._round,
                    hyperparameter=name,
                    before=self._space.label(name, self._values[name]),
                    after=self._space.label(name, value),
                    trial=after.number,
                    baseline=before.number,
                    validation=validation,
                    train=train,
                    p=p,
                    improved=beyond_noise,
                    kept=entry is best,
                )
            )
        if best is not None:
            self._values[name] = best[1]
            self._kept_at = name

    def _compare(self, before: Trial, after: Trial) -> tuple[float, float, float, float]:
        """Gain in the objective's direction, change of validation and of training score, and the p value."""
        nan = float("nan")
        if after.state == "failed":
            return -math.inf, nan, nan, nan
        sign = sign_of(self._goal.direction)
        new = after.scores[self._goal.metric]
        if before.state == "failed":
            return sign * new.mean, nan, nan, nan
        old = before.scores[self._goal.metric]
        test = corrected_t_test(
            sign * np.asarray(new.values), sign * np.asarray(old.values), validation_ratio=self._goal.validation_ratio
        )
        return test.difference, new.mean - old.mean, new.train - old.train, test.p_greater


def _values_to_try(domain: Any) -> tuple[Any, ...]:
    if domain.size == 1 or (domain.size != math.inf and domain.size <= 4 * VALUES_OF_A_RANGE):
        return tuple(domain.values())
    units = (np.arange(VALUES_OF_A_RANGE) + 0.5) / VALUES_OF_A_RANGE
    return tuple(dict.fromkeys(domain.from_unit(float(unit)) for unit in units))


def _start(space: Space, name: str, candidates: tuple[Any, ...]) -> Any:
    ordered = space[name].domain.edges() is not None
    return candidates[(len(candidates) - 1) // 2] if ordered else candidates[0]
