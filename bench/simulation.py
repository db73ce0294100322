"""Are the statistics right? Searches are simulated whose truth is known, and nothing is trained.

    python -m bench.simulation [--searches 300] [--seed 0]

A search is simulated by its out-of-fold predictions. Trial t answers row i in fold f rightly, or with a smaller error,
according to ``q_t + sqrt(r) * a_i + sqrt(1 - r) * e_ti + m_tf``: its quality, the row's ease (shared by all trials),
the trial's own luck on the row, and the luck of the network of that fold (its seed). On a *null* space all trials are
equally good. The truth is the expectation of the score on new rows and new networks.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from unitune.models.metrics import ATTAINABLE
from unitune.stats import Cell, OutOfFold, model_scores, row_noise, tied_by_rows
from unitune.stats.weighted import scorer

Array = np.ndarray
SHARED = 0.8  # Of the variance of a row's outcome, the part that all trials share.
SURE = 0.95
EASE = 1.5  # Sets the accuracy of a trial of quality 0 at 93 %.


def null(n: int, rng: np.random.Generator) -> Array:
    return np.zeros(n)


def spread(n: int, rng: np.random.Generator) -> Array:
    """Random search: qualities as they come."""
    return rng.normal(size=n) * 0.15


def slope(n: int, rng: np.random.Generator) -> Array:
    """A grid: evenly better."""
    return np.linspace(-0.5, 0, n)


def one_better(n: int, rng: np.random.Generator) -> Array:
    return np.r_[np.full(n - 1, -0.15), 0.0]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A kind of search."""

    space: Callable[[int, np.random.Generator], Array]
    metric: str = "accuracy"
    trials: int = 20
    rows: int = 569
    folds: int = 5
    repeats: int = 1
    member_sd: float = 0.0

    @property
    def name(self) -> str:
        kind = self.space.__name__.replace("_", " ")
        split = f"{self.folds} folds" if self.folds > 1 else "hold-out"
        times = f" x {self.repeats}" if self.repeats > 1 else ""
        luck = f", seeds {self.member_sd:g}" if self.member_sd else ""
        return f"{kind}, {self.metric}, {self.trials} trials, {self.rows} rows, {split}{times}{luck}"


SETTINGS = [
    Setting(space=space, metric=metric, member_sd=luck)
    for space in (null, spread, slope, one_better)
    for metric in ("accuracy", "rmse")
    for luck in (0.0, 0.05)
]
SETTINGS += [
    Setting(space=null, trials=200),
    Setting(space=spread, trials=200),
    Setting(space=null, trials=2),
    Setting(space=null, metric="auc"),
    Setting(space=spread, metric="auc"),
    Setting(space=spread, metric="log_loss"),
    Setting(space=null, folds=10, rows=300),
    Setting(space=null, repeats=3, member_sd=0.05),
    Setting(space=spread, repeats=3, member_sd=0.05),
    Setting(space=null, folds=1),
    Setting(space=spread, folds=1),
]
REDUCED = [
    Setting(space=null, rows=300),
    Setting(space=spread, rows=300, metric="rmse", member_sd=0.05),
    Setting(space=slope, rows=300, trials=50),
]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A simulated search and its truth `(trial,)`."""

    predictions: OutOfFold
    truth: Array
    values: Array
    direction: str


def simulate(setting: Setting, rng: np.random.Generator) -> Search:
    """One search."""
    quality = setting.space(setting.trials, rng)
    regression = setting.metric == "rmse"
    n = setting.rows
    y = rng.integers(0, 2, n)
    ease = rng.normal(size=n)
    own = rng.normal(size=(setting.trials, n))
    cells, columns = [], []
    for repeat in range(setting.repeats):
        order = rng.permutation(n)
        for fold in range(setting.folds):
            rows = np.sort(order[fold :: setting.folds]) if setting.folds > 1 else np.arange(n)
            luck = rng.normal(size=(setting.trials, 1)) * setting.member_sd
            if repeat:  # another network is wrong about other rows in part
                own = np.sqrt(0.5) * own + np.sqrt(0.5) * rng.normal(size=own.shape)
            noise = np.sqrt(SHARED) * ease[rows] + np.sqrt(1 - SHARED) * own[:, rows]
            if regression:
                # The error's size; quality scales it.
                out = (y[rows] + noise * np.exp(-(quality[:, None] + luck) / 2))[..., None]
            else:
                margin = EASE + quality[:, None] + luck + noise
                out = special.expit(1.5 * margin * (2 * y[rows] - 1))[..., None]
            cells.append(Cell(fold=fold, repeat=repeat, rows=rows, trials=np.arange(setting.trials), predictions=out))
            truth_y = y[rows][:, None].astype(float) if regression else y[rows]
            score = scorer(setting.metric, "regression" if regression else "binary", truth_y, out)
            columns.append(score(np.ones((1, len(rows))))[0])
    predictions = OutOfFold(
        task="regression" if regression else "binary",
        y=y[:, None].astype(float) if regression else y,
        numbers=np.arange(setting.trials),
        cells=tuple(cells),
    )
    direction = "minimize" if setting.metric in ("rmse", "log_loss") else "maximize"
    return Search(
        predictions=predictions,
        truth=truth_of(setting, quality),
        values=np.stack(columns, axis=1),
        direction=direction,
    )


def truth_of(setting: Setting, quality: Array) -> Array:
    """The expected score of each quality over rows and networks, by quadrature over the normal luck."""
    nodes, weights = special.roots_hermitenorm(201)
    weights = weights / weights.sum()
    sd = np.sqrt(1 + setting.member_sd**2)
    if setting.metric == "accuracy":
        return stats.norm.cdf((EASE + quality) / sd)
    if setting.metric == "rmse":
        # The mean over networks of the root of their mean square, less the root's bend over a fold of m rows.
        m = setting.rows / setting.folds
        return np.exp(-quality / 2 + setting.member_sd**2 / 8) * (1 - 1 / (4 * m))
    if setting.metric == "log_loss":
        margin = EASE + quality[:, None] + sd * nodes
        return np.logaddexp(0, -1.5 * margin) @ weights
    # AUC: margins of a positive and a negative row are independent; positives win if their sum is above 0. A network's
    # luck is in both margins.
    return stats.norm.cdf(2 * (EASE + quality) / np.sqrt(2 + 4 * setting.member_sd**2))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came out over many searches, of the model of scores without a space.

    Attributes:
        naive_bias, bias, bias_error: How far the score and the estimate of the recommended trial are above its truth,
            in standard errors of the estimate; and the standard error of the second.
        coverage: How often its interval holds its truth.
        holds_best, credible: How often the credible set holds a truly best trial, and its share of the trials.
        false_worse: The share of the other trials that are falsely called worse than the recommended one.
        raced: How often racing's test falsely calls any trial worse than the best.
    """

    naive_bias: float
    bias: float
    bias_error: float
    coverage: float
    holds_best: float
    credible: float
    false_worse: float
    raced: float


def figures(setting: Setting, *, searches: int, seed: int) -> Figures:
    """Simulates searches and compares what is said of them with the truth."""
    rows = np.array([_measure(setting, number, seed) for number in range(searches)], dtype=float)
    error, naive, se, *rest = rows.T
    coverage, holds, credible, worse, raced = (float(one.mean()) for one in rest)
    # Greater is better in all: a positive bias flatters.
    scale = float(np.sqrt(np.mean(se**2)))
    return Figures(
        naive_bias=float(naive.mean() / scale),
        bias=float(error.mean() / scale),
        bias_error=float(error.std() / np.sqrt(searches) / scale),
        coverage=coverage,
        holds_best=holds,
        credible=credible,
        false_worse=worse,
        raced=raced,
    )


def _measure(setting: Setting, number: int, seed: int) -> tuple[float, ...]:
    ratio = 1 / (setting.folds - 1) if setting.folds > 1 else 0.0
    search = simulate(setting, np.random.default_rng((seed, number, zlib.crc32(setting.name.encode()))))
    sign = 1.0 if search.direction == "maximize" else -1.0
    gains, means = sign * search.truth, search.values.mean(axis=1)
    members = np.arange(search.values.shape[1])
    posterior = model_scores(
        search.values,
        search.direction,
        fold=members % setting.folds,
        repeat=members // setting.folds,
        validation_ratio=ratio,
        attainable=ATTAINABLE[setting.metric],
        rows=row_noise(search.predictions, setting.metric, seed=number),
        seed=number,
    )
    pick = int(posterior.expected_loss.argmin())
    low, high = (ends[pick] for ends in posterior.interval())
    credible = posterior.credible()
    worse = np.array([posterior.probability_better(pick, other) >= SURE for other in range(len(gains))])
    best = int((sign * means).argmax())
    ties = tied_by_rows(
        search.predictions, setting.metric, search.direction, best=best, validation_ratio=ratio, seed=number
    )
    # How lucky the rows were for all trials alike: it has mean 0, and without it biases show sooner.
    luck = sign * float((means - search.truth).mean())
    return (
        sign * (posterior.mean[pick] - search.truth[pick]) - luck,
        sign * (means[pick] - search.truth[pick]) - luck,
        (high - low) / 3.92,
        low <= search.truth[pick] <= high,
        (gains[credible] >= gains.max() - 1e-12).any(),
        len(credible) / len(gains),
        (worse & (gains >= gains[pick] - 1e-12)).sum() / max(1, len(gains) - 1),
        (~ties.tied & (gains >= gains[best])).any(),
    )


HEAD = "| search | naive bias | bias | coverage | holds best | credible set | false worse | raced falsely |"


def line(setting: Setting, found: Figures) -> str:
    return (
        f"| {setting.name} | {found.naive_bias:+.2f} | {found.bias:+.2f} ± {2 * found.bias_error:.2f} "
        f"| {100 * found.coverage:.1f} % | {100 * found.holds_best:.1f} % | {100 * found.credible:.0f} % "
        f"| {100 * found.false_worse:.1f} % | {100 * found.raced:.1f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{given.searches} simulated searches each. Biases in standard errors; positive flatters.\n")
    print(HEAD)
    print("| --- |" + " ---: |" * (HEAD.count("|") - 2))
    for setting in SETTINGS:
        print(line(setting, figures(setting, searches=given.searches, seed=given.seed)), flush=True)


if __name__ == "__main__":
    main()
