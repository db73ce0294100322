"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.errors import OptionError
from unitune.records import Configuration
from unitune.search.base import Goal
from unitune.search.study import Refitted, quiet
from unitune.search.unseen import draw
from unitune.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler


class Gp(Refitted):
    """A Gaussian process proposes where the expected improvement is largest.

    Each proposal takes about half a second, so it is for trials that take seconds each. Configurations in training are
    told to it as mediocre, which keeps a batch apart. Hyperparameters that are active only at times are drawn at
    random.

    Raises:
        OptionError: PyTorch is not installed.
    """

    name = "gp"
    most_fitted = 150
    first = 16
    liar = True

    def __init__(self, space: Space, *, goal: Goal, seed: int) -> None:
        if find_spec("torch") is None:
            raise OptionError(
                '`strategy="gp"` needs PyTorch, whose CPU version is enough',
                "it is not installed",
                "Run `pip install unitune[gp]`, or take `tpe`, which needs nothing more.",
            )
        super().__init__(space, goal=goal, seed=seed)
        at_times = [name for name in space.varying if space[name].active_if]
        if at_times:
            self.notes = (f"gp models what is always active; drawn at random: {', '.join(at_times)}.",)

    def width(self, told: int) -> int | None:
        """A batch of 16: proposing is what takes time."""
        return 16

    def ask(self, n: int, running: Sequence[Configuration] = ()) -> list[dict[str, Any]]:
        """`n` new configurations."""
        with quiet(), np.errstate(all="ignore"):  # a process that has converged is no news
            return super().ask(n, running)

    def _suggest(self, study: Study, lie: tuple[float, ...]) -> dict[str, Any]:
        try:
            return super()._suggest(study, lie)
        except (ValueError, RuntimeError, ArithmeticError):
            # Optuna's search for the best place divides by zero once nothing is expected to improve anywhere.
            return draw(self._space, self._generator)

    def _make_sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed, n_startup_trials=1, deterministic_objective=False, warn_independent_sampling=False)
