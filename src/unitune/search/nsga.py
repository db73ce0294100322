"""NSGA-II and NSGA-III: generations that spread along the Pareto front of several objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unitune.records import Trial
from unitune.search.base import Goal
from unitune.search.study import Lasting, Told, made
from unitune.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler


class Nsga2(Lasting):
    """NSGA-II: the next generation comes from the least dominated, and among equals from the least crowded.

    Args:
        space: The space.
        goal: The objectives.
        seed: Of the sampler.
        trials: The budget, from which the size of a generation follows: an eighth, from 8 to 50.

    Source: Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE TEC 6 (2002).
    """

    name = "nsga2"

    def __init__(self, space: Space, *, goal: Goal, seed: int, trials: int | None = None) -> None:
        super().__init__(space, goal=goal, seed=seed)
        self._size = 50 if trials is None else min(50, max(8, trials // 8))
        self._open = self._study(made(lambda: self._make_sampler(seed % 2**32)))

    def width(self, told: int) -> int | None:
        """A generation."""
        return self._size

    def tell(self, finished: Sequence[Trial]) -> None:
        """Adds trials to their generation."""
        self._unseen.note([trial.configuration for trial in finished])
        assert self._open is not None
        for trial in finished:
            self._tell(self._open, Told(configuration=trial.configuration, values=self._goal.values(trial)))

    def _make_sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=seed, population_size=self._size)

    def _begun(self) -> Study | None:
        return self._open

    def _otherwise(self) -> dict[str, Any] | None:
        return None


class Nsga3(Nsga2):
    """NSGA-III: as NSGA-II, but spread by reference directions, which suits three objectives and more.

    Source: Deb and Jain, "An Evolutionary Many-Objective Optimization Algorithm", IEEE TEC 18 (2014).
    """

    name = "nsga3"

    def _make_sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import NSGAIIISampler

        return NSGAIIISampler(seed=seed, population_size=self._size)
