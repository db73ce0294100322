"""The tree-structured Parzen estimator: densities of good and of other configurations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from unitune.search.study import Refitted

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class Tpe(Refitted):
    """TPE, multivariate, with a density of its own for each set of hyperparameters that are active together.

    Configurations in training count as bad (the constant liar), which keeps a batch apart.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 24 (2011); Falkner et al., "BOHB",
        ICML 2018 (multivariate).
    """

    name = "tpe"

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
