"""Mean, standard deviation and 95 % interval of a score over folds and repeats.

The folds of a cross-validation share most of their training rows, so their scores are correlated and the usual
standard error ``std / sqrt(n)`` is too small. Nadeau and Bengio's correction replaces ``1 / n`` by
``1 / n + n_validation / n_train``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from unitune.records import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Summary:
    """Statistics along the last axis of the scores that were summarised; each has the shape of the other axes."""

    mean: Array
    std: Array
    low: Array
    high: Array


def t_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t distribution.

    Example:
        >>> round(t_quantile(0.975, 4), 3)
        2.776
    """
    return float(special.stdtrit(degrees, probability))


def summarise(
    values: Array,
    *,
    validation_ratio: float = 0.0,
    level: float = 0.95,
    attainable: tuple[float, float] = (-np.inf, np.inf),
) -> Summary:
    """The mean of scores over folds and repeats, with its corrected resampled t interval.

    ``mean ± t(n - 1) * std * sqrt(1 / n + validation_ratio)``, where ``std`` is the sample standard deviation
    (``n - 1`` in the denominator).

    Args:
        values: `(..., n)` scores, the last axis over folds and repeats.
        validation_ratio: Validation rows per training row, `n_validation / n_train`, for scores on resampled rows
            (``1 / (k - 1)`` for k folds). 0 where all scores are from the same rows and only the seeds differ; this
            gives the plain t interval.
        level: The coverage, in (0, 1).
        attainable: The lowest and the highest value that the score can take; an interval is cut off there, which
            takes nothing from its coverage.

    Returns:
        A `Summary`. With `n = 1` the standard deviation is NaN, and so are the bounds. A NaN among the values makes
        all four NaN.

    Example:
        >>> summary = summarise(np.array([0.9, 0.8, 1.0]), validation_ratio=0.5)
        >>> round(float(summary.mean), 2), round(float(summary.high - summary.mean), 3)
        (0.9, 0.393)

    Source: Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003), section 3 and
        the corrected resampled t-test. Bouckaert and Frank (2004) use it for repeated cross-validation. It assumes
        that the correlation between two scores is `n_validation / (n_validation + n_train)`, and it is an
        approximation.
    """
    values = np.asarray(values, dtype=np.float64)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    if n < 2:
        unknown = np.full_like(mean, np.nan)
        return Summary(mean=mean, std=unknown, low=unknown, high=unknown)
    std = values.std(axis=-1, ddof=1)
    half = t_quantile(0.5 + level / 2, n - 1) * std * np.sqrt(1.0 / n + validation_ratio)
    return Summary(
        mean=mean, std=std, low=np.maximum(mean - half, attainable[0]), high=np.minimum(mean + half, attainable[1])
    )
