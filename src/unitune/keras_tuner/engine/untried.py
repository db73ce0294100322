"""Values drawn at random, none of which was tried before: what every oracle can fall back on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from unitune.errors import SpaceError
from unitune.keras_tuner.engine.trial import Trial
from unitune.search.grid import enumerate_space
from unitune.space.domains import same
from unitune.space.hyperparameters import HyperParameters
from unitune.space.labels import label

MAX_COLLISIONS = 20
"""How often a proposal may repeat an earlier one before the space counts as exhausted."""
MOST_LISTED = 20_000
"""The largest space whose last configurations are looked for one by one."""


class Untried:
    """Remembers which values were tried, and draws others.

    Args:
        hyperparameters: What is known of the space.
        seed: Of what is drawn at random; any if not given.
    """

    def __init__(self, hyperparameters: HyperParameters, seed: int | None) -> None:
        self.hyperparameters = hyperparameters
        self.seed = int(np.random.SeedSequence().generate_state(1)[0] >> 1) if seed is None else seed
        self._seed_state = self.seed
        self._tried_so_far: set[str] = set()
        self._id_to_hash: dict[str, str | None] = {}
        self._max_collisions = MAX_COLLISIONS

    def _random_values(self) -> dict[str, Any] | None:
        """Values drawn at random that were not tried; None where none are left, as far as can be told."""
        for _ in range(self._max_collisions + 1):
            drawn = HyperParameters()
            for one in self.hyperparameters.space:
                drawn._add(one)
                if drawn.is_active(one):
                    drawn.values[one.name] = one.random_sample(self._seed_state)
                    self._seed_state += 1
            if not self._duplicate(drawn.values):
                return drawn.values
        return self._untried_values()

    def _untried_values(self) -> dict[str, Any] | None:
        """A configuration of a small space that was not tried, drawn from all of them; None in a large space."""
        known = self.hyperparameters
        try:
            space = known.as_space()
        except SpaceError:
            return None
        if space.size > MOST_LISTED:
            return None
        left = [values for values in map(known.values_of, enumerate_space(space)) if not self._duplicate(values)]
        if not left:
            return None
        self._seed_state += 1
        return left[np.random.default_rng(abs(self._seed_state)).integers(len(left))]

    def _compute_values_hash(self, values: Mapping[str, Any]) -> str:
        text = "".join(f"{name}={_readable(values[name])};" for name in sorted(values))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _duplicate(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial has these values."""
        return self._compute_values_hash(values) in self._tried_so_far

    def _record_values(self, trial: Trial) -> None:
        trial.hyperparameters.ensure_active_values()
        new = self._compute_values_hash(trial.hyperparameters.values)
        old = self._id_to_hash.get(trial.trial_id)
        self._tried_so_far.add(new)
        self._id_to_hash[trial.trial_id] = new
        # More was asked for since: the shorter values are no configuration.
        if old != new and old not in self._id_to_hash.values():
            self._tried_so_far.discard(old or "")


def _readable(value: Any) -> str:
    """A value as text that tells it from others: 1 from "1", functions of one name by where they are."""
    if isinstance(value, bool | str) or value is None:
        return repr(value)
    if isinstance(value, int | float):
        return repr(float(value)) if not same(value, int(value) if np.isfinite(value) else value) else repr(int(value))
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', label(value))}"
