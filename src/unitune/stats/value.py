"""What further repeats are worth for the decision: where they should go, and how many it takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unitune.records import sign_of
from unitune.stats.posterior import Posterior

MOST = 50
"""No more repeats than this are thought of."""
CAREFUL = 2
"""So many times the repeats that the prediction asks for are advised, ..."""
ROOM = 0.75
"""... and only where the expected loss is predicted to be within this share of the tolerance: without both, advice that
was followed in simulated searches settled too few of them."""
CANDIDATES = 40
OUTCOMES, TRUTHS = 128, 256
SURE = 0.85
"""The probability with which a number of repeats should settle the choice."""
MOST_AT_ONCE = 12


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What some repeats are worth.

    Attributes:
        trials: Indices of the trials that would be repeated.
        repeats: How often each.
        loss_now: The expected loss of the trial of the smallest, in the metric's own units.
        loss_after: What it would be after these repeats, on average over what they may show.
        settled: The probability that it would then be within the tolerance.
    """

    trials: tuple[int, ...]
    repeats: int
    loss_now: float
    loss_after: float
    settled: float


def worth_of(
    posterior: Posterior,
    trials: list[int],
    *,
    members: int,
    repeats: int = 1,
    tolerance: float | None = None,
    seed: int = 0,
) -> Worth:
    """What repeating some trials is worth.

    A repeat draws new seeds and splits, on the same rows: the luck of rows stays. Of what the repeats may show, draws
    of the posterior are the sample; how they would move it follows by linear regression of the true scores on what is
    shown, as in an ensemble Kalman filter.

    Args:
        posterior: What is known.
        trials: Indices of the trials to repeat.
        members: Networks of a trial in one repeat: the number of folds.
        repeats: How often each is repeated.
        tolerance: In the metric's own units; the posterior's own if not given.
        seed: Of what may be shown.

    Source: the value of information with correlated beliefs: Frazier, Powell and Dayanik, "The knowledge-gradient
        policy for correlated normal beliefs", INFORMS Journal on Computing 21 (2009).
    """
    margin = posterior.tolerance if tolerance is None else tolerance
    rng = np.random.default_rng(seed)
    order = np.lexsort((posterior.expected_loss, -posterior.probability_best))
    near = np.unique(np.concatenate([order[:CANDIDATES], np.asarray(trials, dtype=np.int64)]))
    sign = sign_of(posterior.direction)
    truth = sign * posterior.without_luck[:, near]
    again = posterior.again[trials]
    total = np.maximum(posterior.noise[trials], 1e-300)
    # What a trial's score is off by is known for each draw; the share of its rows stays in every repeat.
    stays = np.clip(1 - again / np.maximum(posterior.n_members[trials], 1) / total, 0.0, 1.0)
    true_again = sign * posterior.without_luck[:, trials]
    off = sign * posterior.mean_of_scores[trials] - true_again
    off -= off.mean()
    rows = stays * off + np.sqrt(stays * (1 - stays) * total) * rng.standard_normal(off.shape)
    shown = true_again + rows + np.sqrt(again / (members * repeats)) * rng.standard_normal(off.shape)
    centred = shown - shown.mean(axis=0)
    scale = max(float(centred.var()), 1e-300)
    weights = np.linalg.solve(
        centred.T @ centred / len(centred) + 1e-6 * scale * np.eye(len(trials)), centred.T @ truth / len(centred)
    )
    expected = truth.mean(axis=0) + centred @ weights
    left = truth - expected
    losses = np.array([(one + left[-TRUTHS:]).max(axis=1).mean() - one.max() for one in expected[:OUTCOMES]])
    losses = np.maximum(losses, 0.0)
    return Worth(
        trials=tuple(int(one) for one in trials),
        repeats=repeats,
        loss_now=float(posterior.expected_loss.min()),
        loss_after=float(losses.mean()),
        settled=float((losses <= margin).mean()),
    )


def next_repeats(posterior: Posterior, *, members: int, tolerance: float | None = None, seed: int = 0) -> Worth:
    """The trials that are worth one more repeat each: those that take most off the expected loss for each network.

    Args:
        posterior, members, tolerance, seed: As in `worth_of`.
    """
    order = _contenders(posterior)
    found = [
        worth_of(posterior, order[:count], members=members, tolerance=tolerance, seed=seed)
        for count in range(min(2, len(order)), len(order) + 1)
    ]
    return max(found, key=lambda one: (one.loss_now - one.loss_after) / len(one.trials))


def repeats_to_settle(
    posterior: Posterior, *, members: int, tolerance: float | None = None, sure: float = SURE, seed: int = 0
) -> Worth | None:
    """How many repeats of the contenders settle the choice; None if fifty do not.

    After them the trial of the smallest expected loss is within the tolerance of the truly best. In simulated searches
    that followed the advice that held in more than 80 %.

    Args:
        posterior, members, tolerance, seed: As in `worth_of`.
        sure: The predicted probability that it is settled then.
    """
    margin = posterior.tolerance if tolerance is None else tolerance
    order = _contenders(posterior)

    def after(repeats: int) -> Worth:
        return worth_of(posterior, order, members=members, repeats=repeats, tolerance=ROOM * margin, seed=seed)

    most = MOST // CAREFUL
    tried = [one for one in (1, 2, 4, 8, 16, most) if one <= most]
    high = next((one for one in tried if after(one).settled >= sure), None)
    if high is None:
        return None
    low = max((one for one in tried if one < high), default=0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if after(middle).settled >= sure else (middle, high)
    return worth_of(posterior, order, members=members, repeats=CAREFUL * high, tolerance=margin, seed=seed)


def _contenders(posterior: Posterior) -> list[int]:
    order = np.lexsort((posterior.expected_loss, -posterior.probability_best))
    likely = max(2, len(posterior.credible()))
    return [int(one) for one in order[: min(likely, MOST_AT_ONCE, posterior.n_trials)]]
