"""Paired comparison of two configurations on the same folds and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from unitune.records import Array


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """The result of a paired test of `a - b`.

    Attributes:
        difference: The mean of `a - b`.
        statistic: The t statistic; NaN with fewer than two pairs.
        p_greater: One-sided: how likely a difference at least this large is where `a` is not greater than `b`.
        p_two_sided: Two-sided.
    """

    difference: float
    statistic: float
    p_greater: float
    p_two_sided: float


def corrected_t_test(a: Array, b: Array, *, validation_ratio: float = 0.0) -> PairedTest:
    """The corrected resampled t-test of Nadeau and Bengio on paired scores.

    ``t = mean(d) / (std(d) * sqrt(1 / n + validation_ratio))`` with ``d = a - b`` and ``n - 1`` degrees of freedom.

    Args:
        a, b: `(n,)` scores of two configurations on the same folds and repeats, in the same order.
        validation_ratio: `n_validation / n_train`; 0 gives the ordinary paired t-test.

    Returns:
        A `PairedTest`. Where all differences are equal the statistic is infinite, or NaN with p values of 1 where they
        are all zero. With one pair, or a NaN among the scores, everything but the difference is NaN.

    Example:
        >>> test = corrected_t_test(np.array([0.92, 0.91, 0.95]), np.array([0.90, 0.90, 0.91]), validation_ratio=0.5)
        >>> test.p_greater < test.p_two_sided < 0.5
        True

    Source: Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003).
    """
    d = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    n = len(d)
    difference = float(d.mean()) if n else float("nan")
    if n < 2 or not np.isfinite(d).all():
        return PairedTest(
            difference=difference, statistic=float("nan"), p_greater=float("nan"), p_two_sided=float("nan")
        )
    std = float(d.std(ddof=1))
    # Differences that are equal up to rounding have no spread to test against.
    if std <= 1e-15 * max(1.0, float(np.abs(d).max())):
        if abs(difference) <= 1e-15:
            return PairedTest(difference=difference, statistic=float("nan"), p_greater=1.0, p_two_sided=1.0)
        greater = 0.0 if difference > 0 else 1.0
        return PairedTest(
            difference=difference, statistic=float(np.copysign(np.inf, difference)), p_greater=greater, p_two_sided=0.0
        )
    statistic = difference / (std * np.sqrt(1.0 / n + validation_ratio))
    p_greater = float(special.stdtr(n - 1, -statistic))
    p_two_sided = float(2 * special.stdtr(n - 1, -abs(statistic)))
    return PairedTest(
        difference=difference, statistic=float(statistic), p_greater=p_greater, p_two_sided=min(1.0, p_two_sided)
    )
