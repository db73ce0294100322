"""Configurations spread evenly over the space: a scrambled Sobol sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unitune.records import Array, Configuration, Trial
from unitune.search.base import Strategy, is_active
from unitune.search.unseen import Unseen
from unitune.space import Space

BLOCK = 64
LARGEST = 2**30


class Qmc(Strategy):
    """Quasi-random search: every stretch of the sequence fills the space more evenly than random draws do.

    The sequence is SciPy's and not Optuna's: it gives categories and hyperparameters that are active only at times a
    dimension of their own, and does not wait for a finished trial. It is scrambled, without which its first points lie
    on the edges of the space and different seeds give the same.

    Source: Owen, "Scrambling Sobol' and Niederreiter-Xing points", Journal of Complexity 14 (1998).
    """

    name = "qmc"

    def __init__(self, space: Space, *, seed: int) -> None:
        from scipy.stats import qmc

        self._space = space
        self._unseen = Unseen(space, seed=seed)
        self._names = space.varying
        generator = np.random.default_rng(np.random.SeedSequence((seed, 5)))
        self._sequence = qmc.Sobol(max(1, len(self._names)), scramble=True, rng=generator)
        self._points: list[Array] = []

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """The next `n` points that are new configurations, or what is left."""
        self._unseen.note(running)
        return self._unseen.draw(n, self._next)

    def tell(self, finished: Sequence[Trial]) -> None:
        """Notes what need not be proposed any more."""
        self._unseen.note([trial.configuration for trial in finished])

    @property
    def done(self) -> bool:
        """Whether every configuration of a finite space was proposed."""
        return self._unseen.done

    def _next(self) -> dict[str, Any] | None:
        if not self._points:
            if self._sequence.num_generated + BLOCK > LARGEST:
                return None
            self._points = list(self._sequence.random(BLOCK)[::-1])
        return from_units(self._space, dict(zip(self._names, self._points.pop().tolist(), strict=False)))


def from_units(space: Space, units: Mapping[str, float]) -> dict[str, Any]:
    """The configuration at these places, 0 to 1, of the hyperparameters that vary."""
    values: dict[str, Any] = {}
    for hyperparameter in space:
        if is_active(hyperparameter, values):
            values[hyperparameter.name] = hyperparameter.domain.from_unit(units.get(hyperparameter.name, 0.0))
    return values
