"""The score of the winner, corrected for its having been chosen.

The best of many noisy scores is too good: it was picked for its luck. The cure is to choose on some rows and to score
the choice on others, many times over, with the out-of-fold predictions that the search left behind; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from unitune.records import Array, Direction
from unitune.stats.out_of_fold import OutOfFold
from unitune.stats.resampling import LARGE, cell_scores, member_variance, nanmean, resamples, rows_once

BAGS = 500
AUC_BAGS = 200
# A winner on some of the folds is far among the best 300 on all of them.
CANDIDATES = 300
NEAR = 20
WINS = 0.01
# Resampling noise in the choice, as a share of a full bootstrap's; the two are extrapolated to none.
NOISE = (0.5, 1.0)
# How much of the bootstrap's variance counts that comes from choosing again, by how often one trial wins: 2 a - 0.15
# within these bounds. Found by simulation, see docs/explanation/statistics.md.
AGREEMENT = (2.0, -0.15)
CHOICE_SHARE = (0.25, 0.9)
MOST_BY_CHOICE = 3.0
OUT_OF_BAG = np.exp(-1.0)

SHARES = ("accuracy", "auc", "f1", "balanced_accuracy")
POSITIVE = ("log_loss", "mae", "rmse", "loss")

HOLD_OUT = "BBC-CV: choice and score by bootstrap on one hold-out set; luck of its seed is not removed"
FOLDS = "BBC-CV with whole folds out of bag, extrapolated to a choice on all rows"
NOTHING_CHOSEN = "bootstrap of the out-of-fold predictions; one trial, nothing was chosen"
FEW_ROWS = "BBC-CV; too few rows for an interval"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What the winner can be expected to score on new rows.

    Attributes:
        metric: The metric.
        mean: The corrected estimate.
        low, high: Its 95 % interval; NaN where nothing can be said.
        method: How it was computed, in words.
        naive: The winner's own mean score, which is too good.
    """

    metric: str
    mean: float
    low: float
    high: float
    method: str
    naive: float


def bbc_cv(
    predictions: OutOfFold,
    metrics: Sequence[str],
    direction: Direction,
    *,
    n_bags: int = BAGS,
    seed: int = 0,
    rescale: bool = True,
) -> dict[str, Estimate]:
    """BBC-CV as published: rows are resampled, the best in bag is scored on the rows out of bag.

    ``mean_b score(best on bag b, rows not in bag b)``. Scores are means over folds and repeats of the score in each.

    It takes the networks of a trial as they are: a trial whose networks had lucky seeds stays lucky out of bag.
    `corrected_estimates` removes that too, where there are folds.

    Args:
        predictions: Of the trials that are candidates.
        metrics: The metric that chooses, then others to estimate.
        direction: Of the first metric.
        n_bags: How many resamples.
        seed: Of the resamples.
        rescale: Whether the percentiles of the out-of-bag scores are drawn in by 0.763. A bag leaves 36.8 % of n rows,
            drawn from them without replacement, so these scores vary by ``(1 - q) / q = 1.72 / n`` (q = 0.368) where
            the mean over n rows varies by ``1 / n``. The paper takes the percentiles as they are, and reports that its
            intervals cover too often.

    Returns:
        An `Estimate` for each metric.

    Source: Tsamardinos, Greasidou and Borboudakis, "Bootstrapping the out-of-sample predictions for efficient and
        accurate cross-validation", Machine Learning 107 (2018), algorithm 4.
    """
    generator = np.random.default_rng(seed)
    bags = resamples(predictions, n_bags, generator)
    sign = 1.0 if direction == "maximize" else -1.0
    in_bag = nanmean(cell_scores(predictions, metrics[0], bags))
    winner = np.where(np.isnan(in_bag), -np.inf, sign * in_bag).argmax(axis=1)
    naive = _naive(predictions, metrics, sign)
    out = (bags == 0).astype(np.uint8)
    estimates = {}
    for metric in metrics:
        scores = nanmean(cell_scores(predictions, metric, out, wanted=np.unique(winner)))
        values = np.take_along_axis(scores, winner[:, None], axis=1)[:, 0]
        values = values[np.isfinite(values)]
        if not len(values):
            estimates[metric] = _unknown(metric, naive[metric], FEW_ROWS)
            continue
        mean = float(values.mean())
        low, high = (float(np.quantile(values, q)) for q in (0.025, 0.975))
        if rescale:
            inside = np.sqrt(OUT_OF_BAG / (1 - OUT_OF_BAG))
            low, high = mean + (low - mean) * inside, mean + (high - mean) * inside
        low, high = _bounded(metric, mean, low, high, _n_rows(predictions))
        estimates[metric] = Estimate(metric=metric, mean=mean, low=low, high=high, method=HOLD_OUT, naive=naive[metric])
    return estimates


def corrected_estimates(
    predictions: OutOfFold, metrics: Sequence[str], direction: Direction, *, n_bags: int | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """What the winner of a search can be expected to score, corrected for the choice, with 95 % intervals.

    For each fold the winner is chosen on the *other* folds, under resampled rows, and scored on the fold itself: on
    other rows, and by networks that had no part in the choice. A choice on ``s`` of the rows with the noise of
    resampling is noisier than the search's own, and so picks worse on average: with a share ``λ`` of that noise it is a
    choice on ``s / (1 + λ)`` of the rows. Two estimates, with λ of 1/2 and 1, are extrapolated in the logarithm of
    ``(1 + λ) / s`` to the search's own choice, at 1. What goes beyond the winner's own score in the metric that it was
    chosen by counts half; so the estimate may now and then be a little better than that score.

    The interval is ``± 1.96`` standard errors on the logarithm of a positive metric, or the logit of one from 0 to 1.
    Its variance is ``v_fixed + w * (v_again - v_fixed) + v_member / n_cells``: of the bootstrap with the winners held
    fixed, of the bootstrap that chooses again, and of networks of one trial beyond the noise of their rows. A bootstrap
    that chooses again sees the noise of the choice twice, in the sample and in the resample, so ``w`` is less than 1:
    0.25 where every resample has another winner, 0.9 where one trial nearly always wins.

    Where all members share one validation set, this is `bbc_cv`.

    Args:
        predictions: Of the trials that are candidates. Of more than 300 the best are taken.
        metrics: The metric that chooses, then others to estimate.
        direction: Of the first metric.
        n_bags: How many resamples; 500, or 200 where the first metric is AUC.
        seed: Of the resamples.

    Returns:
        An `Estimate` for each metric.

    Source: after Tsamardinos, Greasidou and Borboudakis (2018), see `bbc_cv`. Folds out of bag, extrapolation and
        variance are Unitune's own; `python -m bench.simulation` measures their bias and coverage.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    bags_wanted = n_bags or min(AUC_BAGS if metrics[0] == "auc" else BAGS, max(50, LARGE // len(predictions.y)))
    predictions = _prune(predictions, metrics[0], sign)
    if predictions.single_split:
        return bbc_cv(predictions, metrics, direction, n_bags=bags_wanted, seed=seed)
    naive = _naive(predictions, metrics, sign)
    generator = np.random.default_rng(seed)
    # The first bag is the rows as they are.
    bags = np.concatenate([rows_once(predictions), resamples(predictions, bags_wanted, generator)])
    scores = cell_scores(predictions, metrics[0], bags)
    chosen = {noise: _choices(predictions, metrics[0], sign, bags, scores, noise) for noise in NOISE}
    near = _near(scores, sign, chosen[NOISE[0]])
    wanted = np.unique(np.concatenate([*(one.ravel() for one in chosen.values()), near]))
    wanted = wanted[wanted >= 0]
    share = _share_of_rows(predictions)
    method = NOTHING_CHOSEN if predictions.n_trials == 1 else FOLDS
    estimates = {}
    for position, metric in enumerate(metrics):
        # Of the other metrics only AUC is slow; fewer bags do for it.
        few = position > 0 and metric == "auc"
        used = bags[: 1 + AUC_BAGS] if few else bags
        each = scores if position == 0 else cell_scores(predictions, metric, used, wanted=wanted)
        picked = {noise: winner[: len(used) - 1] for noise, winner in chosen.items()}
        estimates[metric] = _extrapolate(
            metric,
            each,
            picked,
            share,
            naive[metric],
            method,
            _n_rows(predictions),
            near,
            sign if position == 0 else 0.0,
        )
    return estimates


def _extrapolate(
    metric: str,
    scores: Array,
    chosen: Mapping[float, Array],
    share: float,
    naive: float,
    method: str,
    n_rows: int,
    near: Array,
    flattered: float,
) -> Estimate:
    """Scores `(1 + bag, trial, cell)` and winners `(bag, cell)` become an estimate.

    `flattered` is the direction in which the choice flatters the metric: 1, -1, or 0 where it was not chosen for.
    """
    cells = np.arange(scores.shape[2])
    n_bags = scores.shape[0] - 1
    means = {}
    for noise, winner in chosen.items():
        picked = np.where(winner >= 0, scores[0][winner, cells], np.nan)
        means[noise] = float(np.nanmean(np.nanmean(picked, axis=0))) if np.isfinite(picked).any() else np.nan
    first, second = NOISE
    mean = means[first] + (means[first] - means[second]) * _reach(first, second, share)
    # The score that was chosen for is seldom too low: what the extrapolation goes beyond it counts half. By simulation,
    # this is the least biased.
    if flattered * (mean - naive) > 0:
        mean = (mean + naive) / 2
    if metric in SHARES:
        # An extrapolation to what no score can be, from one that is not perfect, stops halfway.
        mean = float(np.clip(mean, naive / 2, (1 + naive) / 2))
    if metric in POSITIVE and mean <= 0:
        mean = means[first]
    if not np.isfinite(mean):
        return _unknown(metric, naive, FEW_ROWS)

    winner = chosen[first]
    again = np.where(
        winner >= 0, np.take_along_axis(scores[1:], np.maximum(winner, 0)[:, None, :], axis=1)[:, 0, :], np.nan
    )
    v_again = float(np.nanvar(nanmean(again), ddof=1))
    often, less_often = (_frequencies(chosen[noise], scores.shape[1]) for noise in NOISE)
    with np.errstate(invalid="ignore"):
        fixed = np.einsum("btc,tc->bc", np.where(often > 0, scores[1:], 0.0), often)
    v_fixed = float(np.nanvar(nanmean(fixed), ddof=1)) if n_bags > 1 else np.nan
    # One trial that wins now and then, with a wild score in one fold, is not what the estimate varies by.
    variance = v_fixed + _choice_share(often) * min(max(0.0, v_again - v_fixed), MOST_BY_CHOICE * v_fixed)
    # Extrapolated, a network's luck counts with the weight that it has in both estimates.
    reach = _reach(first, second, share)
    weight = float((((1 + reach) * often - reach * less_often) ** 2).sum(axis=0).mean())
    variance += (
        max(1.0, weight) * member_variance(scores[:, near], 1 / len(near) + often[near].mean(axis=1)) / scores.shape[2]
    )
    half = 1.96 * np.sqrt(variance)
    low, high = _bounded(metric, mean, mean - half, mean + half, n_rows, transform=True)
    return Estimate(metric=metric, mean=mean, low=low, high=high, method=method, naive=naive)


def _reach(first: float, second: float, share: float) -> float:
    """How far beyond two noise levels the search's own choice lies, on a logarithmic scale of the noise."""
    return float(np.log((1 + first) / share) / np.log((1 + second) / (1 + first)))


def _frequencies(winner: Array, n_trials: int) -> Array:
    """How often each trial wins in each cell, `(trial, cell)`, of the winners `(bag, cell)`."""
    counts = np.stack([np.bincount(won[won >= 0], minlength=n_trials) for won in winner.T], axis=1)
    return np.asarray(counts / np.maximum(counts.sum(axis=0), 1))


def _choice_share(often: Array) -> float:
    """The share of the variance of choosing again that counts; `often` `(trial, cell)` is how often each trial wins."""
    trials = often.shape[0]
    if trials == 1:
        return 0.0
    # 0 where all win equally often, 1 where one always wins.
    agreement = (float((often**2).sum(axis=0).mean()) - 1 / trials) / (1 - 1 / trials)
    slope, start = AGREEMENT
    return float(np.clip(slope * agreement + start, *CHOICE_SHARE))


def _choices(predictions: OutOfFold, metric: str, sign: float, bags: Array, scores: Array, noise: float) -> Array:
    """For each bag and cell the trial that is best on the other cells, `(bag, cell)`; -1 where there are none."""
    n_cells = len(predictions.cells)
    chosen = np.full((len(bags) - 1, n_cells), -1, dtype=np.int64)
    for cell in range(n_cells):
        rows = predictions.cells[cell].rows
        rest = [other for other in range(n_cells) if other != cell]
        if any(np.isin(predictions.cells[other].rows, rows).any() for other in rest):
            # Repeats validate on these rows too: the choice must not see them there either.
            masked = bags.copy()
            masked[:, rows] = 0
            others = nanmean(cell_scores(predictions, metric, masked, cells=rest))
        else:
            others = nanmean(scores[:, :, rest])
        value = sign * (others[:1] + np.sqrt(noise) * (others[1:] - others[:1]))
        here = np.zeros(predictions.n_trials, dtype=bool)
        here[predictions.cells[cell].trials] = True
        value = np.where(np.isnan(value) | ~here, -np.inf, value)
        best = value.argmax(axis=1)
        chosen[:, cell] = np.where(np.isfinite(value.max(axis=1)), best, -1)
    return chosen


def _naive(predictions: OutOfFold, metrics: Sequence[str], sign: float) -> dict[str, float]:
    """The mean scores of the trial that the search chooses."""
    rows = rows_once(predictions)
    first = nanmean(cell_scores(predictions, metrics[0], rows))[0]
    winner = int(np.where(np.isnan(first), -np.inf, sign * first).argmax())
    only = np.array([winner])
    return {
        metric: float(nanmean(cell_scores(predictions, metric, rows, wanted=only))[0, winner]) for metric in metrics
    }


def _prune(predictions: OutOfFold, metric: str, sign: float) -> OutOfFold:
    if predictions.n_trials <= CANDIDATES:
        return predictions
    rows = rows_once(predictions)
    scores = nanmean(cell_scores(predictions, metric, rows))[0]
    order = np.argsort(np.where(np.isnan(scores), np.inf, -sign * scores), kind="stable")[:CANDIDATES]
    return predictions.only([int(number) for number in predictions.numbers[np.sort(order)]])


def _near(scores: Array, sign: float, winner: Array) -> Array:
    """The trials whose networks' spread stands for the winner's: of the best twenty the better half of all, three at
    least, and those that win at times. Networks of poor trials may vary more, which says nothing of the winner."""
    means = nanmean(scores[:1])[0]
    order = np.argsort(np.where(np.isnan(means), np.inf, -sign * means), kind="stable")[:NEAR]
    won = np.bincount(winner[winner >= 0], minlength=len(means)) >= WINS * max(1, (winner >= 0).sum())
    half = max(3, -(-len(means) // 2))
    return np.asarray(order[won[order] | (np.arange(len(order)) < half)])


def _share_of_rows(predictions: OutOfFold) -> float:
    """The mean share of validated rows that are left for a choice when a cell's are out of bag."""
    validated = len(np.unique(np.concatenate([cell.rows for cell in predictions.cells])))
    return float(np.mean([1 - len(cell.rows) / validated for cell in predictions.cells]))


def _n_rows(predictions: OutOfFold) -> int:
    return len(np.unique(np.concatenate([cell.rows for cell in predictions.cells])))


def _unknown(metric: str, naive: float, method: str) -> Estimate:
    return Estimate(metric=metric, mean=naive, low=float("nan"), high=float("nan"), method=method, naive=naive)


def _bounded(
    metric: str, mean: float, low: float, high: float, n_rows: int, *, transform: bool = False
) -> tuple[float, float]:
    """Bounds that the metric can take.

    With `transform` the half-width is carried to the logit or the logarithm. Where all rows are right there is no
    spread, and the lower bound is that of Clopper and Pearson with no error.
    """
    half = (high - low) / 2
    if metric in SHARES:
        edge = 0.025 ** (1 / n_rows)
        if mean >= 1.0:
            return min(edge, low), 1.0
        if mean <= 0.0:
            return 0.0, max(1 - edge, high)
        if transform:
            step = half / (mean * (1 - mean))
            centre = special.logit(mean)
            return float(special.expit(centre - step)), float(special.expit(centre + step))
        return max(low, 0.0), min(high, 1.0)
    if metric in POSITIVE:
        if transform and mean > 0:
            factor = float(np.exp(half / mean))
            return mean / factor, mean * factor
        return max(low, 0.0), high
    return low, min(high, 1.0) if metric == "r2" else high
