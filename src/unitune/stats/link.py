"""The scale on which scores are modelled: greater is better, no score is out of range, and effects add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from unitune.records import Array, Direction, sign_of

SMALLEST = 1e-6
"""How near to its bound a score is taken to be that reached it, in units of the range, where nothing tells more."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A monotone function from the scores of a metric to the whole line, on which greater is better.

    The logit for scores between two bounds (accuracy, AUC), the logarithm of the distance to a single bound (losses,
    and R² from 1 down), the identity otherwise.

    Args:
        direction: Of the metric.
        low, high: The lowest and the highest value that the metric can take.
        nearest: A score that reaches a bound is taken to be this far from it, in the metric's own units: the logit of
            1 is infinite. See `link_of`.

    Example:
        >>> link = Link(direction="minimize", low=0.0, high=np.inf, nearest=1e-6)
        >>> link.forward(np.array([1.0, np.e])), link.inverse(np.array([0.0, -1.0]))
        (array([-0., -1.]), array([1.        , 2.71828183]))
    """

    direction: Direction
    low: float = -np.inf
    high: float = np.inf
    nearest: float = SMALLEST

    @property
    def sign(self) -> float:
        """1 where greater scores are better, -1 where smaller ones are."""
        return sign_of(self.direction)

    def _inside(self, scores: Array) -> Array:
        low = self.low + self.nearest if np.isfinite(self.low) else -np.inf
        high = self.high - self.nearest if np.isfinite(self.high) else np.inf
        return np.clip(np.asarray(scores, dtype=np.float64), low, high)

    def forward(self, scores: Array) -> Array:
        """From the metric's own scale."""
        x = self._inside(scores)
        if np.isfinite(self.low) and np.isfinite(self.high):
            x = special.logit((x - self.low) / (self.high - self.low))
        elif np.isfinite(self.low):
            x = np.log(x - self.low)
        elif np.isfinite(self.high):
            x = -np.log(self.high - x)
        return np.asarray(self.sign * x)

    def slope(self, scores: Array) -> Array:
        """How much `forward` changes, in size, with the score."""
        x = self._inside(scores)
        if np.isfinite(self.low) and np.isfinite(self.high):
            return np.asarray((self.high - self.low) / ((x - self.low) * (self.high - x)))
        if np.isfinite(self.low):
            return np.asarray(1 / (x - self.low))
        if np.isfinite(self.high):
            return np.asarray(1 / (self.high - x))
        return np.ones_like(x)

    def inverse(self, values: Array) -> Array:
        """To the metric's own scale."""
        x = self.sign * np.asarray(values, dtype=np.float64)
        if np.isfinite(self.low) and np.isfinite(self.high):
            return np.asarray(self.low + (self.high - self.low) * special.expit(x))
        # A draw that overflows is as bad, or as good, as any number.
        if np.isfinite(self.low):
            return np.asarray(self.low + np.exp(np.minimum(x, 700.0)))
        if np.isfinite(self.high):
            return np.asarray(self.high - np.exp(np.minimum(-x, 700.0)))
        return np.asarray(x)


def link_of(scores: Array, direction: Direction, attainable: tuple[float, float], n_rows: int | None = None) -> Link:
    """The link for some scores.

    Args:
        scores: All of them, any shape; NaN is left out.
        direction: Of the metric.
        attainable: The lowest and the highest value that the metric can take.
        n_rows: How many rows each trial was validated on: a share that reaches 0 or 1 is taken to be half a row from
            it.
    """
    low, high = float(attainable[0]), float(attainable[1])
    known = np.asarray(scores, dtype=np.float64)
    known = known[np.isfinite(known)]
    distances = np.concatenate([known - bound for bound in (low, high) if np.isfinite(bound)] or [np.ones(1)])
    distances = np.abs(distances[np.abs(distances) > 0])
    span = high - low if np.isfinite(high - low) else 1.0
    nearest = SMALLEST * span
    if n_rows and np.isfinite(high - low):
        nearest = 0.5 * span / (n_rows + 1)
    elif len(distances):
        nearest = min(0.5 * float(distances.min()), 0.25 * span) if np.isfinite(high - low) else 0.5 * distances.min()
    return Link(direction=direction, low=low, high=high, nearest=float(nearest))


@dataclass(frozen=True, kw_only=True)
class Warp:
    """Draws in what is far below the middle: one useless trial must not set the scale of all.

    The identity above `knee`, ``knee - size * log(1 + (knee - x) / size)`` below; both meet with slope 1. The way back
    ends `furthest` below the knee.

    Example:
        >>> warp = Warp(knee=0.0, size=1.0)
        >>> warp.forward(np.array([2.0, -9.0])).round(3), warp.inverse(np.array([2.0, -2.302585093])).round(3)
        (array([ 2.   , -2.303]), array([ 2., -9.]))

    Source: the log warping of Song et al., "The Vizier Gaussian Process Bandit Algorithm" (2024), section 3.
    """

    knee: float
    size: float
    furthest: float = 1e6

    def forward(self, values: Array) -> Array:
        """To the warped scale."""
        below = np.maximum(self.knee - values, 0.0)
        return np.asarray(np.where(values >= self.knee, values, self.knee - self.size * np.log1p(below / self.size)))

    def slope(self, values: Array) -> Array:
        """The derivative of `forward`, in (0, 1]."""
        return np.asarray(1 / (1 + np.maximum(self.knee - values, 0.0) / self.size))

    def inverse(self, values: Array) -> Array:
        """From the warped scale."""
        below = np.minimum(np.maximum(self.knee - values, 0.0) / self.size, np.log1p(self.furthest / self.size))
        return np.asarray(np.where(values >= self.knee, values, self.knee - self.size * np.expm1(below)))
