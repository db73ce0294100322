"""CMA-ES: a normal distribution that moves to where the scores are good and takes their shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from unitune.errors import OptionError
from unitune.records import Trial, sign_of
from unitune.search.base import Goal
from unitune.search.qmc import Qmc
from unitune.search.study import Lasting, Told, made
from unitune.space import Space

if TYPE_CHECKING:
    from optuna import Study


class CmaEs(Lasting):
    """CMA-ES with margin, from the best of the first points of a Sobol sequence.

    It learns numbers that are always active; whatever else varies is drawn at random.

    Raises:
        OptionError: There are fewer than two such numbers, or several objectives, or cmaes is not installed.

    Source: Hansen, "The CMA Evolution Strategy: A Tutorial" (2016); Hamano et al., "CMA-ES with Margin", GECCO 2022.
    """

    name = "cmaes"

    def __init__(self, space: Space, *, goal: Goal, seed: int) -> None:
        if find_spec("cmaes") is None:
            raise OptionError(
                '`strategy="cmaes"` needs the package cmaes',
                "it is not installed",
                "Run `pip install unitune[cmaes]`, or take `tpe`, which needs nothing more.",
            )
        super().__init__(space, goal=goal, seed=seed)
        if goal.more:
            raise OptionError(
                '`strategy="cmaes"` takes one objective',
                f"got {', '.join(name for name, _ in goal.objectives)}",
                "Use `nsga2`, `nsga3` or `tpe`.",
            )
        self._learnt = [
            name for name, code in self._codec.codes.items() if not code.nominal and not space[name].active_if
        ]
        if len(self._learnt) < 2:
            raise OptionError(
                '`strategy="cmaes"` needs two numeric hyperparameters that vary and are always active',
                f"got {', '.join(self._learnt) or 'none'}",
                "Use `tpe`, which also learns from names.",
            )
        others = [name for name in self._codec.codes if name not in self._learnt]
        if others:
            self.notes = (f"cmaes learns {', '.join(self._learnt)}; drawn at random: {', '.join(others)}.",)
        self._seed = seed % 2**32
        self._sequence = Qmc(space, seed=seed)
        self._size = max(8, 4 + math.floor(3 * math.log(len(self._learnt))))
        self._first: list[Told] = []

    def width(self, told: int) -> int | None:
        """Two generations; as many again at the start, when nothing was learnt."""
        return 2 * self._size

    def tell(self, finished: Sequence[Trial]) -> None:
        """Learns from trials; those of before the first generation choose where it begins."""
        self._unseen.note([trial.configuration for trial in finished])
        for trial in finished:
            told = Told(configuration=trial.configuration, values=self._goal.values(trial))
            if self._open is None:
                self._first.append(told)
            else:
                self._tell(self._open, told)

    def _otherwise(self) -> dict[str, Any] | None:
        return next(iter(self._sequence.ask(1)), None)

    def _begun(self) -> Study | None:
        from optuna.samplers import CmaEsSampler, RandomSampler

        complete = [told for told in self._first if told.values is not None]
        if self._open is None and complete:
            sign = -sign_of(self._goal.direction)
            best = complete[int(np.argmin([sign * (told.values or (math.inf,))[0] for told in complete]))]
            start = {k: v for k, v in self._codec.encode(best.configuration).items() if k in self._learnt}
            sampler = made(
                lambda: CmaEsSampler(
                    x0=start,
                    seed=self._seed,
                    popsize=self._size,
                    with_margin=True,
                    independent_sampler=RandomSampler(seed=self._seed),
                    warn_independent_sampling=False,
                )
            )
            self._open = self._study(sampler)
            # The sampler models what its finished trials have in common: what it cannot learn is left out of these.
            self._open.add_trials([self._frozen(told, self._learnt) for told in complete])
        return self._open
