"""What is known of the true scores of all trials at once, as draws, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unitune.records import Array, Direction
from unitune.stats.design import Design
from unitune.stats.link import Link, Warp
from unitune.stats.smooth import Setting

LEVEL = 0.95
TOLERANCE = 0.25
"""The usual tolerance, in standard errors of a score."""
FASTER = 0.5
SAVED_S = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Draws of the true scores of all trials, from `unitune.stats.model_scores`.

    A *true score* is the mean that a trial's networks would have over endlessly many rows and seeds, trained on as many
    rows as those of a fold were. All methods take and return trials as indices, in the order in which their scores
    were given. `nan` stands for what cannot be said; `limits` says why.

    Attributes:
        direction: Of the metric.
        draws: `(draw, trial)` true scores, in the metric's own units; all draws count alike.
        standard_error: Of the mean score of a usual good trial, beside the luck that all trials share.
        relative: Whether only differences between trials are known: the luck of the rows that all share is not.
        limits: Sentences on what cannot be said, and why; empty where all can.
        design: Where the trials lie in their space, or None.
        mean_of_scores: `(trial,)` mean scores as they were, as if all trials had been on the same members.
        noise: `(trial,)` variances of `mean_of_scores` beside the shared luck, in the metric's own units.
        again: `(trial,)` variance of a further network's score that is drawn anew with it, in the metric's own units:
            its seed and split, not the rows, which repeats share.
        n_members: `(trial,)` how many networks each trial has.
        fold_variance, rest_variance: Of a member's score: the luck that trials share, and the rest.
    """

    direction: Direction
    draws: Array
    standard_error: float
    relative: bool
    limits: tuple[str, ...]
    design: Design | None
    mean_of_scores: Array
    noise: Array
    again: Array
    n_members: Array
    fold_variance: float
    rest_variance: float
    _link: Link
    _warp: Warp
    _spread: float
    _level: Array
    _settings: tuple[Setting, ...]

    @property
    def n_trials(self) -> int:
        """How many trials there are."""
        return int(self.draws.shape[1])

    @property
    def missing(self) -> Array:
        """`(trial,)` whether a trial has no score: what is said of it comes from the others."""
        return np.asarray(self.n_members == 0)

    @property
    def without_luck(self) -> Array:
        """`(draw, trial)` true scores as they would be if the rows had been as lucky in every draw."""
        values = self._link.forward(self.draws)
        good = np.argsort(self.expected_loss, kind="stable")[: -(-self.n_trials // 2)]
        luck = (values - values.mean(axis=0))[:, good].mean(axis=1, keepdims=True)
        return self._link.inverse(values - luck)

    @property
    def _gains(self) -> Array:
        """Draws in which greater is better."""
        return self._link.sign * self.draws

    @property
    def mean(self) -> Array:
        """`(trial,)` expected true scores: the medians of the draws, in the metric's own units."""
        return np.median(self.draws, axis=0)

    def interval(self, level: float = LEVEL) -> tuple[Array, Array]:
        """`(trial,)` lower and upper ends; NaN where only differences are known.

        Args:
            level: The probability that the interval holds the true score, in (0, 1).
        """
        if self.relative:
            unknown = np.full(self.n_trials, np.nan)
            return unknown, unknown.copy()
        low, high = np.quantile(self.draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return low, high

    @property
    def probability_best(self) -> Array:
        """`(trial,)` the probability that no other is better; equals share it. The sum is 1."""
        gains = self._gains
        at_top = gains >= gains.max(axis=1, keepdims=True)
        return np.asarray((at_top / at_top.sum(axis=1, keepdims=True)).mean(axis=0))

    @property
    def expected_loss(self) -> Array:
        """`(trial,)` how much worse than the truly best each is on average over the draws, 0 or more, in the metric's
        own units."""
        gains = self._gains
        return np.asarray(np.maximum((gains.max(axis=1, keepdims=True) - gains).mean(axis=0), 0.0))

    def loss_at_most(self, trial: int, level: float = LEVEL) -> float:
        """How much worse than the truly best the trial is at most, with this probability.

        Args:
            trial: Its index.
            level: In (0, 1).
        """
        gains = self._gains
        return float(np.quantile(gains.max(axis=1) - gains[:, trial], level))

    def credible(self, level: float = LEVEL) -> Array:
        """The smallest set that holds the truly best trial with this probability: indices, likeliest first.

        Args:
            level: In (0, 1).
        """
        p = self.probability_best
        order = np.lexsort((self.expected_loss, -p))
        count = int(np.searchsorted(np.cumsum(p[order]), level - 1e-9)) + 1
        return np.asarray(order[:count])

    def probability_better(self, first: int, second: int) -> float:
        """The probability that the first trial is truly better than the second; equal counts half."""
        gap = self._gains[:, first] - self._gains[:, second]
        return float(((gap > 0) + 0.5 * (gap == 0)).mean())

    @property
    def tolerance(self) -> float:
        """The usual tolerance: a share of the standard error of a score, in the metric's own units."""
        return TOLERANCE * self.standard_error

    def recommend(self, n_parameters: Sequence[int], seconds: Sequence[float], tolerance: float | None = None) -> int:
        """The cheapest trial whose expected loss is within the tolerance of the smallest.

        Of those with the fewest parameters it is the one of the smallest expected loss, unless another takes less than
        half its time and saves a second at least: measured times vary from run to run.

        Args:
            n_parameters: `(trial,)` of those that can be taken: the first trials, or all.
            seconds: `(trial,)` time for each network of theirs.
            tolerance: In the metric's own units; `tolerance` of this posterior if not given. 0 takes the trial of the
                smallest expected loss.
        """
        loss = self.expected_loss[: len(n_parameters)]
        within = np.flatnonzero(loss <= loss.min() + (self.tolerance if tolerance is None else tolerance))
        sizes, times = np.asarray(n_parameters)[within], np.asarray(seconds, dtype=np.float64)[within]
        smallest = within[sizes == sizes.min()]
        times = times[sizes == sizes.min()]
        chosen, fastest = int(loss[smallest].argmin()), int(times.argmin())
        saved = times[chosen] - times[fastest]
        return int(smallest[fastest] if saved > max(FASTER * times[chosen], SAVED_S) else smallest[chosen])

    def at(self, design: Design, *, own: bool = False, thin: bool = False) -> Array:
        """Draws of the true scores of other configurations of the space, `(draw, configuration)`.

        The draws belong to those of the trials: row i of both is one possible truth.

        Args:
            design: Their positions, by `design_of` with the same space.
            own: Whether what a configuration has of its own, beside what the space tells, is drawn too: an
                interval for it is then one for that configuration.
            thin: Every fourth draw only.
        """
        step = 4 if thin else 1
        parts = []
        rng = np.random.default_rng(0)
        for setting in self._settings:
            features = setting.features(design)
            single = np.maximum(setting.smooth**2 - (features**2).sum(axis=1), 0.0) + (setting.own**2 if own else 0.0)
            values = setting.coefficients[::step] @ features.T + setting.mean[::step, None]
            parts.append(values + rng.standard_normal(values.shape) * np.sqrt(single))
        size = len(self._level) // len(self._settings)
        level = self._level.reshape(-1, size)[:, ::step].reshape(-1)
        return self._link.inverse(self._warp.inverse(np.concatenate(parts) * self._spread) + level[:, None])
