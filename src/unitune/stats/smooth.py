"""The Gaussian process behind the model of scores, its hyperparameters averaged over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from unitune.records import Array
from unitune.stats.design import Design, similarities

EXACT = 240
"""Up to so many trials the process is exact; beyond, it rests on `INDUCING` of them."""
INDUCING = 160
FIRST, SECOND = 160, 160
"""How many settings of the hyperparameters are weighed: from the prior, then from where those weigh most."""
SETTINGS = 32
"""How many of them the draws are made from."""
SWEEPS, FEWER_SWEEPS = 12, 6
"""Rounds of Gibbs sampling for each setting."""
FLAT = 30.0
"""The standard deviation of the overall mean, in units of the spread of the scores: it is not known beforehand."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """Scores on the model's scale, in units of their spread.

    Attributes:
        y: `(trial,)`; any number where `precision` is 0.
        variance: `(trial,)` of the noise; infinite where a trial was not observed.
        shared: `(trial, source)` of the noise that trials share.
        noise_sd: How far the noise may be from what is stated: the standard deviation of its logarithm.
    """

    y: Array
    variance: Array
    shared: Array
    noise_sd: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """One setting of the hyperparameters, with the draws that were made under it.

    Attributes:
        smooth, own: Standard deviations of the smooth part and of what each trial has of its own.
        noise: The factor of the noise's variance.
        weights, lengths: As in `similarities`.
        basis: The configurations that the smooth part rests on.
        factor: Their Cholesky factor.
        coefficients: `(draw, basis)`.
        mean: `(draw,)`.
    """

    smooth: float
    own: float
    noise: float
    weights: Array
    lengths: Array
    basis: Design
    factor: Array
    coefficients: Array
    mean: Array

    def features(self, design: Design) -> Array:
        """The smooth part of configurations is ``features @ coefficients``, `(configuration, basis)`."""
        return _features(self.smooth**2 * similarities(self.basis, design, self.weights, self.lengths), self.factor)


def _features(covariance: Array, factor: Array) -> Array:
    return np.asarray(linalg.solve_triangular(factor, covariance, lower=True, check_finite=False).T)


class Prior:
    """The prior of the hyperparameters, as independent normals of their logarithms.

    In order: the smooth part's standard deviation, that of a trial's own part, the noise's factor, then a weight and a
    length for each column.
    """

    def __init__(self, design: Design | None, noise_sd: float) -> None:
        self.n_columns = len(design.columns) if design is not None else 0
        n = self.n_columns
        numeric = [one.numeric for one in design.columns] if design is not None else []
        own = np.log(0.25 if n else 0.2)
        self.centre = np.r_[0.0, own, 0.0, np.zeros(n), np.where(numeric, np.log(0.6), 0.0)]
        self.sd = np.r_[0.5 if n else 1e-3, 0.8 if n else 1.5, noise_sd, np.full(n, 1.2), np.where(numeric, 0.6, 1e-3)]

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """`(setting, hyperparameter)` logarithms."""
        return np.asarray(self.centre + self.sd * rng.standard_normal((n, len(self.centre))))

    def log_density(self, theta: Array) -> Array:
        """`(setting,)`."""
        return np.asarray(-0.5 * (((theta - self.centre) / self.sd) ** 2).sum(axis=1) - np.log(self.sd).sum())

    def unpack(self, theta: Array) -> tuple[float, float, float, Array, Array]:
        """Of one setting."""
        smooth, own, noise = np.exp(theta[:3])
        n = self.n_columns
        return float(smooth), float(own), float(noise), np.exp(theta[3 : 3 + n]), np.exp(theta[3 + n :])


def log_evidence(theta: Array, prior: Prior, design: Design | None, observed: Observed) -> Array:
    """`(setting,)` log marginal likelihoods."""
    seen = _weighed(observed)
    y, shared, variance = observed.y[seen], observed.shared[seen], observed.variance[seen]
    common = FLAT**2 * np.ones((len(seen), len(seen)))
    together = shared @ shared.T
    where = design.take(seen) if design is not None and prior.n_columns else None
    found = np.empty(len(theta))
    for number, one in enumerate(theta):
        smooth, own, noise, weights, lengths = prior.unpack(one)
        covariance = common + noise * together
        if where is not None:
            covariance += smooth**2 * similarities(where, where, weights, lengths)
        covariance[np.diag_indices(len(seen))] += own**2 + noise * variance + 1e-9
        factor = linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        scaled = linalg.solve_triangular(factor, y, lower=True, check_finite=False)
        found[number] = -0.5 * float(scaled @ scaled) - float(np.log(np.diag(factor)).sum())
    return found


def _weighed(observed: Observed) -> Array:
    """The trials that settings are weighed by: all up to `EXACT`; else the best and others, half each."""
    seen = np.flatnonzero(np.isfinite(observed.variance))
    if len(seen) <= EXACT:
        return seen
    order = seen[np.argsort(-observed.y[seen], kind="stable")]
    half = EXACT // 2
    others = order[half:][np.linspace(0, len(order) - half - 1, half).round().astype(int)]
    return np.sort(np.concatenate([order[:half], others]))


def weighed_settings(
    prior: Prior, design: Design | None, observed: Observed, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Settings `(setting, hyperparameter)` and their weights, which add up to 1.

    Adaptive importance sampling: draws from the prior, then as many from a normal fitted to where those weigh most (a
    quarter of them from the prior again); all are weighed by their density under the mixture of both.

    Source: Cappé et al., "Population Monte Carlo", Journal of Computational and Graphical Statistics 13 (2004); Owen
        and Zhou, "Safe and effective importance sampling", JASA 95 (2000), for the mixture.
    """
    first = prior.draw(FIRST, rng)
    evidence = log_evidence(first, prior, design, observed)
    # Tempered, so that one lucky draw does not stand for all.
    temper = np.exp(0.5 * (evidence - evidence.max()))
    temper /= temper.sum()
    centre = temper @ first
    spread = (first - centre) * np.sqrt(temper)[:, None]
    covariance = spread.T @ spread + np.diag(0.05 * prior.sd**2)
    root = np.linalg.cholesky(covariance)
    second = centre + rng.standard_normal((SECOND, len(centre))) @ root.T
    redrawn = rng.random(SECOND) < 0.25
    second[redrawn] = prior.draw(int(redrawn.sum()), rng)
    theta = np.concatenate([first, second])
    evidence = np.concatenate([evidence, log_evidence(second, prior, design, observed)])
    target = prior.log_density(theta)
    scaled = linalg.solve_triangular(root, (theta - centre).T, lower=True)
    fitted = -0.5 * (scaled**2).sum(axis=0) - np.log(np.diag(root)).sum()
    share = (FIRST + 0.25 * SECOND) / (FIRST + SECOND)
    mixture = np.logaddexp(np.log(share) + target, np.log(1 - share) + fitted)
    log_weight = evidence + target - mixture
    weight = np.exp(log_weight - log_weight.max())
    return theta, weight / weight.sum()


def draw_under(
    theta: Array, prior: Prior, design: Design | None, observed: Observed, n: int, rng: np.random.Generator
) -> tuple[Setting, Array]:
    """Draws of the true values of all trials under one setting, `(draw, trial)`.

    A draw from the prior is corrected by what was observed (Matheron's rule): no covariance of all trials is factored.
    What each trial has of its own is drawn with a factor of each trial's (a horseshoe), by Gibbs sampling: where most
    trials are equal, one may yet be far off.

    Source: Carvalho, Polson and Scott, "The horseshoe estimator for sparse signals", Biometrika 97 (2010); Makalic and
        Schmidt, "A simple sampler for the horseshoe estimator", IEEE Signal Processing Letters 23 (2016).
    """
    smooth, own, noise, weights, lengths = prior.unpack(theta)
    size = len(observed.y)
    if design is not None and prior.n_columns:
        basis = design.take(basis_of(observed, rng))
        covariance = smooth**2 * similarities(basis, basis, weights, lengths)
        covariance[np.diag_indices(len(basis))] += 1e-8 * smooth**2 + 1e-12
        factor = np.linalg.cholesky(covariance)
        features = _features(smooth**2 * similarities(basis, design, weights, lengths), factor)
    else:
        smooth, basis, factor, features = 0.0, Design(columns=(), size=0), np.zeros((0, 0)), np.zeros((size, 0))
    missed = np.maximum(smooth**2 - (features**2).sum(axis=1), 0.0)
    seen = np.isfinite(observed.variance)
    rest = noise * np.where(seen, observed.variance, 0.0)
    shared = np.sqrt(noise) * observed.shared
    shared = shared[:, (np.abs(shared) > 1e-6).any(axis=0)]
    # What is common: the smooth part, the mean, shared noise.
    columns = np.concatenate([features, np.full((size, 1), FLAT), shared], axis=1)
    drawn = _Drawn(observed.y, columns, missed, rest, seen)
    local, helper = np.ones(size), np.ones(size)
    rounds = SWEEPS if size <= EXACT else FEWER_SWEEPS
    kept: list[tuple[Array, Array]] = []
    for sweep in range(rounds):
        # The first third finds its way; of the others each gives its part of the draws.
        left = rounds - max(sweep, rounds // 3)
        wanted = (n - sum(len(one) for one, _ in kept)) // left if sweep >= rounds // 3 else 1
        found = drawn.once(own**2 * local, max(1, wanted), rng)
        if sweep >= rounds // 3:
            kept.append(found)
        share = own**2 * local / (own**2 * local + missed)
        single = share * found[1][-1] + np.sqrt(share * missed) * rng.standard_normal(size)
        local = np.clip((1 / helper + single**2 / (2 * own**2)) / rng.exponential(size=size), 1e-8, 1e8)
        helper = (1 + 1 / local) / rng.exponential(size=size)
        own = _own_given(single**2 / local, prior, rng)
    common, alone = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    n_basis = features.shape[1]
    setting = Setting(
        smooth=smooth,
        own=own,
        noise=noise,
        weights=weights,
        lengths=lengths,
        basis=basis,
        factor=factor,
        coefficients=common[:, :n_basis],
        mean=FLAT * common[:, n_basis],
    )
    draws = common[:, : n_basis + 1] @ columns[:, : n_basis + 1].T + alone
    return setting, draws


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Draws of ``y = columns @ normals + alone + noise`` given y, for changing variances of what is alone."""

    y: Array
    columns: Array
    missed: Array
    rest: Array
    seen: Array

    def once(self, own: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """`(draw, column)` normals and `(draw, trial)` of what is alone."""
        columns, size = self.columns, len(self.y)
        single = own + self.missed
        weight = np.where(self.seen, 1 / (single + self.rest + 1e-12), 0.0)
        common = rng.standard_normal((n, columns.shape[1]))
        alone = rng.standard_normal((n, size)) * np.sqrt(single)
        errors = rng.standard_normal((n, size)) * np.sqrt(self.rest)
        scaled = (self.y - (common @ columns.T + alone + errors)) * weight
        inner = (columns * weight[:, None]).T @ columns
        inner[np.diag_indices(len(inner))] += 1.0
        factor = linalg.cho_factor(inner, lower=True, overwrite_a=True, check_finite=False)
        solved = linalg.cho_solve(factor, (scaled @ columns).T, check_finite=False)
        alpha = scaled - (solved.T @ columns.T) * weight
        return common + alpha @ columns, alone + alpha * single


def _own_given(squares: Array, prior: Prior, rng: np.random.Generator) -> float:
    """A draw of the size of trials' own parts given these, by their squares over their local factors."""
    log_own = prior.centre[1] + prior.sd[1] * np.linspace(-3, 3, 61)
    log_p = -0.5 * np.linspace(-3, 3, 61) ** 2 - len(squares) * log_own - 0.5 * squares.sum() * np.exp(-2 * log_own)
    p = np.exp(log_p - log_p.max())
    return float(np.exp(log_own[np.searchsorted(np.cumsum(p) / p.sum(), rng.random())]))


def basis_of(observed: Observed, rng: np.random.Generator) -> Array:
    """The trials that the smooth part rests on: all up to `EXACT`; else the best third of `INDUCING`, and others."""
    size = len(observed.y)
    if size <= EXACT:
        return np.arange(size)
    order = np.argsort(np.where(np.isfinite(observed.variance), -observed.y, np.inf), kind="stable")
    best = order[: INDUCING // 3]
    others = rng.choice(order[INDUCING // 3 :], INDUCING - len(best), replace=False)
    return np.sort(np.concatenate([best, others]))
