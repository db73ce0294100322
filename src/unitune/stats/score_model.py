"""One model of the scores of a search: scores in, draws of the true scores of all trials out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from unitune.records import Array, Direction
from unitune.stats.additive import Additive, additive
from unitune.stats.design import Design
from unitune.stats.link import Warp, link_of
from unitune.stats.posterior import Posterior
from unitune.stats.rows import RowNoise
from unitune.stats.smooth import SETTINGS, Observed, Prior, Setting, draw_under, weighed_settings

DRAWS = 2048
OVERLAP = 0.25
"""The share of the networks' noise that folds share because they share training rows, times the validation ratio."""
AT_BOUND = 0.9
"""The least standard deviation of a share, in half rows: all rows right are then 1 - 3 / rows or more, with 97.5 %,
as Clopper and Pearson have it."""
UNKNOWN_NOISE = 0.5
"""Where nothing tells the noise, the share of the scores' variance that it is taken for, give or take a factor."""
FEWEST = 0.1
"""The least share of a member's variance that is taken for the network's."""
SEEDS = 2.0
"""On one hold-out set the rows' noise is known and that of seeds is not: the factor for both."""

ONE_SCORE = (
    "Each trial has one score: how much of a difference is luck of seeds cannot be told from it. "
    "`folds=5` or `repeats=3` would tell."
)
NO_LEVEL = "With one score for each trial and no predictions, nothing tells how lucky the validation rows were for all."


def model_scores(
    values: Array,
    direction: Direction,
    *,
    fold: Array | None = None,
    repeat: Array | None = None,
    validation_ratio: float = 0.0,
    design: Design | None = None,
    attainable: tuple[float, float] = (-np.inf, np.inf),
    rows: RowNoise | None = None,
    n_draws: int = DRAWS,
    seed: int = 0,
) -> Posterior:
    """The posterior of the true scores of all trials.

    The mean score of trial t, on a scale where effects add up (`Link`) and with the useless drawn in (`Warp`), is

        ``score_t = mean + smooth(configuration_t) + own_t + luck of all + noise_t``

    *smooth* is a Gaussian process over the space (`similarities`), *own* is independent for each trial, and the noise
    is that of a mean over folds and repeats: moderated over trials (`additive`), with the part of rows, which repeats
    share, told from that of networks. The process's hyperparameters, the size of *own*, and a factor of the noise
    are averaged over (`weighed_settings`).

    Args:
        values: `(trial, member)` scores, the same folds and repeats in each column; NaN where a trial has no such
            member. Trials may have different numbers of them, and none.
        direction: Of the metric.
        fold, repeat: `(member,)` numbers; one repeat with as many folds as members if not given.
        validation_ratio: Validation rows per training row; as in `unitune.stats.summarise`.
        design: Where the trials lie in their space (`design_of`). None makes all trials exchangeable.
        attainable: The lowest and the highest value that the metric can take.
        rows: What predictions tell of the luck of rows (`row_noise`).
        n_draws: How many draws; rounded up to a multiple of 32.
        seed: Of the draws. The same scores and seed give the same posterior.

    Returns:
        The posterior.

    Raises:
        ValueError: There is no finite score.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = np.array([0.70, 0.80, 0.90, 0.90])
        >>> values = truth[:, None] + 0.01 * rng.normal(size=(4, 5))
        >>> posterior = model_scores(values, "maximize", attainable=(0.0, 1.0))
        >>> sorted(posterior.credible().tolist()), bool(posterior.probability_better(2, 1) > 0.95)
        ([2, 3], True)

    Source: after Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), chapter 2, for the process;
        Nadeau and Bengio (2003) for the overlap; Osborne et al., "Gaussian processes for global optimization" (2009),
        for averaging over hyperparameters. `docs/explanation/statistics.md` has the whole and its measurements.
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).any():
        raise ValueError("there is no finite score")
    values = np.where(np.isfinite(values), values, np.nan)
    members = values.shape[1]
    fold = np.arange(members) if fold is None else np.asarray(fold)
    repeat = np.zeros(members, dtype=int) if repeat is None else np.asarray(repeat)
    rng = np.random.default_rng(seed)
    link = link_of(values, direction, attainable, rows.n_rows if rows is not None else None)
    fit = additive(values, greater_is_better=direction == "maximize")
    seen = fit.n > 0
    raw = np.where(seen, fit.trial, np.nanmean(fit.trial))
    good = np.flatnonzero(seen)[_better_half(link.sign * raw[seen])]
    weight = np.where(np.isin(np.arange(len(raw)), good), 1 / len(good), 0.0)
    noise = _noise(values, fit, fold, repeat, validation_ratio, rows, weight)
    limits = noise.limits
    z = link.forward(raw)
    # A share that is 1 on all rows that there are is not known to be 1.
    least = (AT_BOUND * link.nearest) ** 2 if rows is not None and np.isfinite(link.high - link.low) else 0.0
    variance = np.maximum(noise.variance, least)
    slope = link.slope(_shrunk(raw, variance))
    z_variance = variance * slope**2
    unknown = seen & ~np.isfinite(z_variance)
    if unknown.any():
        z_variance = np.where(unknown, UNKNOWN_NOISE * _scale(z[seen]) ** 2, z_variance)
    warp = _warp(z[seen], z_variance[seen])
    u, bend = warp.forward(z), warp.slope(z)
    middle = float(np.median(u[seen]))
    spread = max(float(u[seen].std()), 1e-9, 1e-9 * abs(middle))
    warp = replace(warp, knee=warp.knee - middle)
    observed = Observed(
        y=np.where(seen, (u - middle) / spread, 0.0),
        variance=np.where(seen, z_variance * (bend / spread) ** 2, np.inf),
        shared=fit.shared * (slope * bend / spread)[:, None],
        noise_sd=noise.sd,
    )
    n_each = -(-n_draws // SETTINGS)
    # Its matrices are small: further threads of BLAS wait for each other, which took three times as long.
    with threadpool_limits(limits=1, user_api="blas"):
        settings, draws = _draw(design, observed, n_each, rng)
    level, relative = _level(fit, fold, rows, weight, n_each * SETTINGS, rng)
    level = level + np.sqrt(least) * rng.standard_normal(len(level))
    level = level * float(np.median(slope[good])) + middle
    if relative:
        limits = (*limits, NO_LEVEL)
    scores = link.inverse(warp.inverse(draws * spread) + level[:, None])
    raw_variance = np.where(seen, z_variance / slope**2, np.inf)
    return Posterior(
        direction=direction,
        draws=scores,
        standard_error=float(np.sqrt(np.median(raw_variance[good]))),
        relative=relative,
        limits=limits,
        design=design,
        mean_of_scores=np.where(seen, fit.trial, np.nan),
        noise=raw_variance,
        again=np.where(np.isfinite(noise.again), noise.again, raw_variance),
        n_members=fit.n,
        fold_variance=float(fit.member.var(ddof=1)) if members > 1 else 0.0,
        rest_variance=float(np.nanmedian(np.where(seen, fit.variance, np.nan)[good])) if members > 1 else 0.0,
        _link=link,
        _warp=warp,
        _spread=spread,
        _level=level,
        _settings=tuple(settings),
    )


def _better_half(z: Array) -> Array:
    return np.argsort(-z, kind="stable")[: max(min(4, len(z)), -(-len(z) // 2))]


def _scale(z: Array) -> float:
    """The spread of scores, not moved by some useless ones."""
    top = z[_better_half(z)]
    return max(float(z.max() - np.median(z)), float(top.std()), 1e-9)


def _shrunk(raw: Array, variance: Array) -> Array:
    """Scores drawn half their noise towards the middle: where the slope of the link is taken, luck should not tell."""
    middle = np.median(raw)
    spread = float(raw.var())
    share = np.where(np.isfinite(variance), spread / (spread + variance + 1e-300), 0.5)
    return np.asarray(middle + share * (raw - middle))


def _warp(z: Array, variance: Array) -> Warp:
    knee = float(np.median(z))
    size = max(float(np.quantile(z, 0.9)) - knee, 2 * float(np.sqrt(np.median(variance))), 1e-9)
    return Warp(knee=knee, size=size, furthest=1.5 * max(knee - float(z.min()), size))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Noise:
    """Of the trials' mean scores beside the luck of all, in the metric's own units.

    Attributes:
        variance: `(trial,)`; NaN where nothing tells.
        again: `(trial,)` variances that a further network draws anew.
        sd: How far all this may be off: the standard deviation of the logarithm of its factor.
        limits: What cannot be said.
    """

    variance: Array
    again: Array
    sd: float
    limits: tuple[str, ...] = ()


def _noise(
    values: Array,
    fit: Additive,
    fold: Array,
    repeat: Array,
    validation_ratio: float,
    rows: RowNoise | None,
    weight: Array,
) -> _Noise:
    """The noise; `weight` `(trial,)` makes the mean whose luck is that of all."""
    n = np.maximum(fit.n, 1)
    folds = np.minimum(n, len(np.unique(fold)))
    several = bool(np.isfinite(fit.variance[fit.n > 0]).any())
    by_rows = np.full(len(n), np.nan)
    if rows is not None:
        # Where a trial's own predictions are not known, a fold's rows are taken to be as lucky as usual.
        found = rows.beside(weight) * folds
        found = np.where(np.isfinite(found), found, np.median(found[np.isfinite(found)])) if known(found) else found
        by_rows = found / folds
    if not several:
        limits = (ONE_SCORE,)
        return _Noise(
            variance=SEEDS * by_rows, again=(SEEDS - 1) * by_rows, sd=0.5 if known(by_rows) else 1.0, limits=limits
        )
    if not known(by_rows):
        by_rows = _rows_share(values, fit, repeat) * fit.variance / folds
    networks = np.maximum(fit.variance - by_rows * folds, FEWEST * fit.variance)
    variance = by_rows + networks * (1 / n + OVERLAP * validation_ratio)
    sd = float(np.clip(np.sqrt(2 / max(fit.df, 1.0)), 0.1, 1.0))
    return _Noise(variance=variance, again=networks, sd=sd)


def known(values: Array) -> bool:
    """Whether there is any finite number."""
    return bool(np.isfinite(values).any())


def _rows_share(values: Array, fit: Additive, repeat: Array) -> float:
    """The part of a member's variance that is of its rows, by how much less the repeats of a trial differ.

    Each repeat validates on all rows, so its mean has no luck of rows that another repeat has not.
    """
    numbers = np.unique(repeat)
    rest = values - fit.member - fit.trial[:, None]
    whole = np.isfinite(rest).all(axis=1)
    if len(numbers) < 2 or not whole.any():
        return 0.5
    each = np.stack([rest[whole][:, repeat == number].mean(axis=1) for number in numbers], axis=1)
    size = float(np.mean([(repeat == number).sum() for number in numbers]))
    between = float(np.median(each.var(axis=1, ddof=1) * size / fit.variance[whole]))
    return float(np.clip(1 - between, 0.05, 0.95))


def _level(
    fit: Additive, fold: Array, rows: RowNoise | None, weight: Array, n: int, rng: np.random.Generator
) -> tuple[Array, bool]:
    """Draws of the luck that good trials share, in the metric's own units; and whether nothing tells it."""
    members, folds = len(fit.member), len(np.unique(fold))
    found = float(fit.member.var(ddof=1)) if members > 1 and len(fit.trial) > 1 else 0.0
    if rows is not None and known(rows.scores):
        level = rows.level(weight)
        return rng.standard_normal(n) * np.sqrt(level + max(0.0, found - folds * level) / members), False
    if members > 1:
        return rng.standard_t(members - 1, n) * np.sqrt(found / folds), False
    return np.zeros(n), True


def _draw(
    design: Design | None, observed: Observed, n_each: int, rng: np.random.Generator
) -> tuple[list[Setting], Array]:
    prior = Prior(design, observed.noise_sd)
    theta, weight = weighed_settings(prior, design, observed, rng)
    edges = (np.arange(SETTINGS) + rng.random()) / SETTINGS
    chosen = np.searchsorted(np.cumsum(weight), edges * (1 - 1e-12))
    settings, draws = [], []
    for one in chosen:
        setting, found = draw_under(theta[min(one, len(theta) - 1)], prior, design, observed, n_each, rng)
        settings.append(setting)
        draws.append(found)
    return settings, np.concatenate(draws)
