"""Bayesian optimisation: a Gaussian process of the scores, and where its lower confidence bound is lowest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from unitune.records import Array, Configuration, sign_of
from unitune.search.base import Goal
from unitune.search.distributions import Code
from unitune.search.study import Refitted, Told
from unitune.space import Space

CANDIDATES = 1_000
STARTS = 4
"""So many of the candidates, and of the best points so far, are where a search downhill begins."""
STEPS = (0.1, 0.03, 0.01, 0.003)
TRIES_OF_A_STEP = 32
ROUNDED = 200
"""So many of the best candidates are looked at again, as the configurations that they round to."""

Values = TypeVar("Values", bound=Mapping[str, Any])


class GaussianProcess:
    """Scores, less being better, over points of the unit cube: a Matérn kernel with a length for each axis.

    Args:
        noise: Its variance, relative to that of the scores.
        optimism: How many standard deviations below the mean the bound lies; 0 is greedy.

    Example:
        >>> process = GaussianProcess()
        >>> process.fit(np.array([[0.0], [0.5], [1.0]]), np.array([1.0, 0.0, 1.0]))
        >>> bounds = process.bound(np.array([[0.0], [0.45]]))
        >>> bool(bounds[1] < bounds[0])
        True

    Source: Srinivas et al., "Gaussian Process Optimization in the Bandit Setting", ICML 2010.
    """

    def __init__(self, *, noise: float = 1e-4, optimism: float = 2.6) -> None:
        self._noise, self._optimism = noise, optimism
        self._model: Any = None
        self._x: Array
        self._y: Array

    def fit(self, x: Array, y: Array) -> None:
        """Learns from the scores `y (trial,)` at points `x (trial, axis)`."""
        from scipy.optimize import minimize
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern

        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(np.ones(x.shape[1]), (5e-2, 2e1), nu=2.5)
        self._take(x, y, kernel)
        # scikit-learn would do the same, and warn where a length is as large as it may be, which says nothing here.
        likelihood = self._model.log_marginal_likelihood
        found = minimize(
            lambda theta: tuple(-part for part in likelihood(theta, eval_gradient=True, clone_kernel=False)),
            kernel.theta,
            method="L-BFGS-B",
            jac=True,
            bounds=kernel.bounds,
        )
        self._take(x, y, kernel.clone_with_theta(found.x))

    def believe(self, x: Array) -> None:
        """Takes points `(trial, axis)` that are being tried to score what is expected of them."""
        if len(x):
            y = np.concatenate([self._y, self._model.predict(x)])
            self._take(np.vstack([self._x, x]), y, self._model.kernel_)

    def _take(self, x: Array, y: Array, kernel: Any) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor

        model = GaussianProcessRegressor(kernel, alpha=self._noise, normalize_y=bool(np.std(y) > 0), optimizer=None)
        self._x, self._y, self._model = x, y, model.fit(x, y)

    def bound(self, x: Array) -> Array:
        """The lower confidence bound `(trial,)` at points `(trial, axis)`."""
        mean, deviation = self._model.predict(x, return_std=True)
        return np.asarray(mean - self._optimism * deviation)

    def lowest(
        self,
        generator: np.random.Generator,
        *,
        decode: Callable[[Array], Values],
        encode: Callable[[Values], Array],
        is_new: Callable[[Values], bool],
    ) -> Values | None:
        """The new configuration with the lowest bound, among random ones and those found downhill; None without any.

        Args:
            generator: Draws the candidates.
            decode: From a point `(axis,)` to the configuration that it rounds to.
            encode: From a configuration to its point.
            is_new: Whether a configuration may be proposed.
        """
        points = generator.random((CANDIDATES, self._x.shape[1]))
        points = points[np.argsort(self.bound(points))]
        ends = np.vstack([points[:STARTS], self._x[np.argsort(self._y)[:STARTS]]])
        for step in STEPS:
            tries = ends[:, None] + generator.normal(0.0, step, (len(ends), TRIES_OF_A_STEP, ends.shape[1]))
            tries = np.concatenate([ends[:, None], np.clip(tries, 0.0, 1.0)], axis=1)
            bounds = self.bound(tries.reshape(-1, ends.shape[1])).reshape(tries.shape[:2])
            ends = tries[np.arange(len(ends)), bounds.argmin(axis=1)]
        # What is proposed is scored as it is after rounding to values that exist.
        options = [one for one in map(decode, [*ends, *points[:ROUNDED]]) if is_new(one)]
        if not options:
            return None
        return options[int(np.argmin(self.bound(np.array([encode(one) for one in options]))))]


class Gp(Refitted):
    """A Gaussian process proposes where the score may be lowest, by its lower confidence bound.

    Names lie at equal distance from each other, and what is inactive counts as in the middle. Configurations in
    training are taken to score what the process expects, which keeps a batch apart. With several objectives each
    proposal weighs them anew, at random.

    Source: Srinivas et al., ICML 2010; Knowles, "ParEGO", IEEE Transactions on Evolutionary Computation 10 (2006).
    """

    name = "gp"
    most_fitted = 150
    first = 16

    def __init__(self, space: Space, *, goal: Goal, seed: int) -> None:
        super().__init__(space, goal=goal, seed=seed)
        self._draws = np.random.default_rng((seed, 9))

    def width(self, told: int) -> int | None:
        """A batch of 16: proposing is what takes time."""
        return 16

    def _proposer(
        self, fitted: Sequence[Told], running: Sequence[Configuration]
    ) -> Callable[[], dict[str, Any] | None]:
        told = [one for one in fitted if one.values is not None]
        x = np.array([self._encode(one.configuration) for one in told])
        tried = [self._encode(one) for one in running]
        process = self._fitted(x, told, tried)

        def propose() -> dict[str, Any] | None:
            nonlocal process
            if self._goal.more:
                process = self._fitted(x, told, tried)
            one = process.lowest(
                self._draws, decode=self._decode, encode=self._encode, is_new=lambda one: one not in self._unseen
            )
            if one is not None:
                tried.append(self._encode(one))
                process.believe(np.array(tried[-1:]))
            return one

        return propose

    def _fitted(self, x: Array, told: Sequence[Told], tried: Sequence[Array]) -> GaussianProcess:
        process = GaussianProcess()
        process.fit(x, self._scores(told))
        process.believe(np.array(tried))
        return process

    def _scores(self, told: Sequence[Told]) -> Array:
        """`(trial,)`, less being better: of several objectives the augmented Chebyshev distance, weighed at random."""
        signs = [-sign_of(direction) for _, direction in self._goal.objectives]
        values = np.array([one.values for one in told]) * signs
        if len(signs) == 1:
            return np.asarray(values[:, 0])
        low, high = values.min(axis=0), values.max(axis=0)
        weighed = self._draws.dirichlet(np.ones(len(signs))) * (values - low) / np.where(high > low, high - low, 1.0)
        return np.asarray(weighed.max(axis=1) + 0.05 * weighed.sum(axis=1))

    def _encode(self, configuration: Mapping[str, Any]) -> Array:
        row: list[float] = []
        for name, code in self._codec.codes.items():
            if name in configuration:
                row += code.units(configuration[name])
            else:
                row += [0.5] * code.width
        return np.array(row)

    def _decode(self, point: Array) -> dict[str, Any]:
        parts, place = {}, 0
        for name, code in self._codec.codes.items():
            parts[name] = point[place : place + code.width]
            place += code.width

        def number(name: str, code: Code) -> Any:
            return code.number_at(parts[name])

        return self._codec.configuration(number)
