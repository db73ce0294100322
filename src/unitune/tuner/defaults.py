"""What a search of dense networks does where nothing was said: how long it trains, what varies, how many trials.

Everything follows from the rows. A network learns in steps, not in epochs, so a few rows are gone through more often;
the batch grows with the square root of the rows, which keeps both the steps of an epoch and the rows of a step useful.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unitune.data.folds import Fold
from unitune.engine.cost import COMPILE_S, step_cost
from unitune.engine.plan import PATIENCES
from unitune.models.dense import DEFAULT_ACTIVATIONS, DEFAULT_UNITS

BATCHES = (16, 512)
"""The smallest and the largest batch: powers of two between them are chosen."""

STEPS = 12_000
"""Steps after which training ends at the latest, if these are more than `LEAST_EPOCHS`."""

PATIENT_STEPS = 300
"""Steps without a better validation loss after which training ends, if these are more than `LEAST_PATIENCE` epochs."""

LEAST_EPOCHS = 30
LEAST_PATIENCE = 8
"""In epochs: the validation loss wavers from one to the next, however many steps they have."""

MIN_DELTA = 1e-4
"""A fall of the loss that counts as better; rows that can be told apart would otherwise bring one in every epoch."""

LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.1
"""For networks of which only units and activation vary."""

ACTIVATIONS = (*DEFAULT_ACTIVATIONS, "linear")
LAYERS = (1, 2)
LEARNING_RATES = "1e-3:1e-2:log"
DROPOUTS = "0:0.2"
WEIGHT_DECAYS = "1e-2:3:log"
"""What varies where neither units nor activations were given. `linear` is there because few or noisy rows often want a
linear model, and so that nobody is handed less than one. Decay is decoupled, so that it acts as
`learning_rate * weight_decay` in a step: 3 makes of a network on linear data nearly a linear model. Rates of dropout
are a range, since networks with and without it would need programs of their own."""

TRIALS = (12, 36)
"""The fewest and the most trials of such a search."""

PROGRAMS = 3
"""Of each depth, as measured: widths and lengths that differ much do not share one."""

FLOP_PER_S = 45e9
"""Of a core in the products of small networks, padded ones among them."""

TIMED_TRIALS = 3
"""As many trials of the default length a time limit should have room for, or they are shorter."""

CORE_S = 50.0
"""Core seconds that it may take, if that allows more than the fewest trials: on two cores less than half a minute."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How a network is trained until it is learnt.

    Attributes:
        batch_size: Rows of a step.
        epochs: The limit.
        patience: Epochs without a better validation loss after which it ends.
        steps: Of an epoch.
        min_delta: What counts as better.
        timed: Whether a time limit makes the limit of epochs lower.
    """

    batch_size: int
    epochs: int
    patience: int
    steps: int
    min_delta: float = MIN_DELTA
    timed: bool = field(default=False, repr=False)

    def __str__(self) -> str:
        return (
            f"Networks train until {self.patience} epochs bring no better validation loss, at most {self.epochs:,} "
            f"epoch{'s' * (self.epochs != 1)} of {self.steps:,} step{'s' * (self.steps != 1)}"
            f"{', for which the time limit has room' * self.timed}; the best weights are kept."
        )


def until_learnt(n_rows: int, *, batch_size: int | None = None) -> Learning:
    """How to train on so many rows until it is learnt.

    Args:
        n_rows: Training rows of a fold, 1 or more.
        batch_size: Where the user gave it.

    Example:
        >>> until_learnt(640)
        Learning(batch_size=32, epochs=600, patience=15, steps=20, min_delta=0.0001)
    """
    smallest, largest = BATCHES
    if batch_size is None:
        batch_size = int(np.clip(2 ** round(math.log2(max(1, n_rows)) / 2), smallest, largest))
    steps = math.ceil(max(1, n_rows) / batch_size)
    return Learning(
        batch_size=batch_size,
        epochs=max(LEAST_EPOCHS, math.ceil(STEPS / steps)),
        patience=max(LEAST_PATIENCE, math.ceil(PATIENT_STEPS / steps)),
        steps=steps,
    )


def default_arguments(given: Mapping[str, Any], folds: Sequence[Fold]) -> tuple[dict[str, Any], Learning | None]:
    """The arguments of `dense_space` that the user did not give, and how long networks train; None with `epochs`.

    Where neither units nor activations were given, depth, learning rate, dropout and weight decay vary beside them.

    Args:
        given: Arguments of `tune`.
        folds: Their training rows decide.
    """
    known = {name for name, value in given.items() if value is not None}
    rows = int(np.median([len(fold.train) for fold in folds]))
    learning = None
    found: dict[str, Any] = {}
    if "epochs" not in known:
        batch_size = given.get("batch_sizes")
        learning = until_learnt(rows, batch_size=batch_size if isinstance(batch_size, int) else None)
        found = {"batch_sizes": learning.batch_size, "epochs": learning.epochs}
        if not known & {"optimizers", "learning_rates"}:
            found["learning_rates"] = LEARNING_RATE
        if not known & {"optimizers", "weight_decays", "l1", "l2"}:
            found["weight_decays"] = WEIGHT_DECAY
    if not known & {"units", "activations"}:
        found |= {
            "units": DEFAULT_UNITS,
            "activations": ACTIVATIONS,
            "layers": LAYERS,
            "dropouts": DROPOUTS,
        }
        if "optimizers" not in known:
            found |= {"learning_rates": LEARNING_RATES, "weight_decays": WEIGHT_DECAYS}
    return {name: value for name, value in found.items() if name not in known}, learning


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a search of the default space is expected to take: so many trials, and core seconds."""

    trials: int
    core_s: float

    def sentence(self, threads: int) -> str:
        """The cost for the user."""
        seconds = max(1.0, self.core_s / threads)
        shown = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        return (
            "Neither units nor activations were given: depth, learning rate, dropout and weight decay vary beside "
            f"them, in {self.trials} trials, about {shown} on {threads} thread{'s' * (threads != 1)}."
        )


def cost_of_defaults(learning: Learning, *, n_features: int, n_outputs: int, n_members: int) -> Cost:
    """How many trials the default space is worth, and what they cost, by the engine's estimates.

    Args:
        learning: How long a member trains.
        n_features, n_outputs: Of the networks.
        n_members: Of a trial.

    Example:
        >>> learning = until_learnt(640)
        >>> cost = cost_of_defaults(learning, n_features=20, n_outputs=1, n_members=5)
        >>> cost.trials, cost.core_s < 60
        (36, True)
    """
    epochs = min(learning.epochs, PATIENCES * learning.patience)
    trial_s = epochs * _epoch_s(learning, n_features=n_features, n_outputs=n_outputs, n_members=n_members)
    compile_s = 2 * COMPILE_S * PROGRAMS * len(LAYERS)
    fewest, most = TRIALS
    trials = int(np.clip((CORE_S - compile_s) / trial_s, fewest, most))
    return Cost(trials=trials, core_s=compile_s + trials * trial_s)


def within(learning: Learning, seconds: float, *, n_features: int, n_outputs: int, n_members: int) -> Learning:
    """As long as so many seconds have room for a few trials, by the engine's estimates; at least one epoch.

    Args:
        learning: How long a member would train.
        seconds: That the search may take.
        n_features, n_outputs, n_members: As for `cost_of_defaults`.

    Example:
        >>> sizes = {"n_features": 30, "n_outputs": 1, "n_members": 5}
        >>> large = until_learnt(80_000)
        >>> within(large, 3600, **sizes) == large, within(large, 30, **sizes).epochs < large.epochs / 2
        (True, True)
    """
    epoch_s = _epoch_s(learning, n_features=n_features, n_outputs=n_outputs, n_members=n_members)
    epochs = max(1, int((seconds - 2 * COMPILE_S) / (TIMED_TRIALS * epoch_s)))
    return learning if epochs >= learning.epochs else replace(learning, epochs=epochs, timed=True)


def seconds_of_the_end(time_limit_s: float) -> float:
    """What of a time limit is left for simpler models, the refit and the report, as measured on one core: 2 to 6 s.

    Example:
        >>> seconds_of_the_end(6), seconds_of_the_end(60), seconds_of_the_end(600)
        (2.0, 9.0, 36.0)
    """
    return min(time_limit_s / 3, 6 + time_limit_s / 20)


def _epoch_s(learning: Learning, *, n_features: int, n_outputs: int, n_members: int) -> float:
    """Core seconds of an epoch of a trial in the middle of the default space."""
    width, depth = float(np.mean(DEFAULT_UNITS)), float(np.mean(LAYERS))
    products = 4 * n_features * width + 6 * (depth - 1) * width**2 + 6 * width * n_outputs
    step_s = step_cost(4) + learning.batch_size * products / FLOP_PER_S + 2e-9 * learning.batch_size * width * depth
    return n_members * learning.steps * step_s
