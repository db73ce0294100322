"""The tree-structured Parzen estimator: densities of good and of other configurations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from unitune.records import Configuration
from unitune.search.base import Goal
from unitune.search.study import Refitted, Told, made
from unitune.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler


class Tpe(Refitted):
    """TPE, multivariate, with a density of its own for each set of hyperparameters that are active together.

    Configurations in training count as bad (the constant liar), which keeps a batch apart.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 24 (2011); Falkner et al., "BOHB",
        ICML 2018 (multivariate).
    """

    name = "tpe"

    def __init__(self, space: Space, *, goal: Goal, seed: int) -> None:
        super().__init__(space, goal=goal, seed=seed)
        self._sampler = made(lambda: self._make_sampler(seed % 2**32))

    def _proposer(self, fitted: Sequence[Told], running: Sequence[Configuration]) -> Callable[[], dict[str, Any]]:
        from optuna.trial import TrialState, create_trial

        study = self._study(self._sampler)
        study.add_trials([self._frozen(told) for told in fitted])
        for one in running:
            params = self._codec.encode(one)
            distributions = self._codec.distributions(params)
            study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=distributions))
        return lambda: self._suggest(study)

    def _suggest(self, study: Study) -> dict[str, Any]:
        from optuna.trial import TrialState

        trial = study.ask()
        configuration = self._codec.suggest(trial)
        if configuration in self._unseen:
            study.tell(trial, state=TrialState.FAIL)
        return configuration

    def _make_sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import TPESampler

        return TPESampler(
            seed=seed,
            multivariate=True,
            group=True,
            constant_liar=True,
            n_startup_trials=1,
            gamma=self._n_good,
            warn_independent_sampling=False,
        )

    def _n_good(self, fitted: int) -> int:
        """How many trials count as good: a tenth of the whole history, however few are fitted; 25 at most."""
        return min(math.ceil(0.1 * max(fitted, len(self._history))), self.most_best)
