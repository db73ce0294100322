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
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from unitune.models.metrics import ATTAINABLE
from unitune.stats import Cell, OutOfFold, bbc_cv, corrected_estimates, model_scores, row_noise, tied_by_rows
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
    """What came out over many searches. Biases are in units of the estimate's standard error, as it is reported.

    The last four are of the model of scores, without a space: how often the interval of the trial of the smallest
    expected loss holds its truth; how often the credible set holds a truly best trial; its share of the trials; and the
    share of the others that are falsely called worse than that trial.
    """

    naive_bias: float
    plain_bias: float
    bias: float
    bias_error: float
    coverage: float
    holds_best: float
    false_better: float
    tied: float
    model_coverage: float
    credible_holds: float
    credible: float
    false_worse: float


def figures(setting: Setting, *, searches: int, seed: int, n_bags: int = 300) -> Figures:
    """Simulates searches and measures bias, coverage and ties."""
    rows = list(_measure(setting, searches, seed, n_bags))
    error, plain, naive, se, covered, holds, false, tied, *of_model = (
        np.array(column, dtype=float) for column in zip(*rows, strict=True)
    )
    model_coverage, credible_holds, credible, false_worse = (float(one.mean()) for one in of_model)
    # Greater is better in all: a positive bias flatters.
    scale = float(np.sqrt(np.mean(se**2)))
    return Figures(
        naive_bias=float(naive.mean() / scale),
        plain_bias=float(plain.mean() / scale),
        bias=float(error.mean() / scale),
        bias_error=float(error.std() / np.sqrt(searches) / scale),
        coverage=float(covered.mean()),
        holds_best=float(holds.mean()),
        false_better=float(false.mean()),
        tied=float(tied.mean()),
        model_coverage=model_coverage,
        credible_holds=credible_holds,
        credible=credible,
        false_worse=false_worse,
    )


def _measure(setting: Setting, searches: int, seed: int, n_bags: int) -> Iterator[tuple[float, ...]]:
    ratio = 1 / (setting.folds - 1) if setting.folds > 1 else 0.0
    for number in range(searches):
        rng = np.random.default_rng((seed, number, zlib.crc32(setting.name.encode())))
        search = simulate(setting, rng)
        sign = 1.0 if search.direction == "maximize" else -1.0
        best = int((sign * search.values.mean(axis=1)).argmax())
        truth = search.truth
        one = corrected_estimates(search.predictions, [setting.metric], search.direction, n_bags=n_bags, seed=number)
        plain = bbc_cv(search.predictions, [setting.metric], search.direction, n_bags=n_bags, seed=number)
        found, published = one[setting.metric], plain[setting.metric]
        ties = tied_by_rows(
            search.predictions, setting.metric, search.direction, best=best, validation_ratio=ratio, seed=number
        )
        # How lucky the rows were for all trials alike: it has mean 0, and without it biases show sooner.
        luck = sign * float((search.values.mean(axis=1) - truth).mean())
        true_best = int((sign * truth).argmax())
        yield (
            sign * (found.mean - truth[best]) - luck,
            sign * (published.mean - truth[best]) - luck,
            sign * (found.naive - truth[best]) - luck,
            (found.high - found.low) / 3.92,
            found.low <= truth[best] <= found.high,
            ties.tied[true_best],
            bool((~ties.tied & (sign * truth >= sign * truth[best])).any()),
            ties.tied.mean(),
            *_of_model(setting, search, ratio, number),
        )


def _of_model(setting: Setting, search: Search, ratio: float, seed: int) -> tuple[float, float, float, float]:
    members = np.arange(search.values.shape[1])
    posterior = model_scores(
        search.values,
        search.direction,
        fold=members % setting.folds,
        repeat=members // setting.folds,
        validation_ratio=ratio,
        attainable=ATTAINABLE[setting.metric],
        rows=row_noise(search.predictions, setting.metric, seed=seed),
        seed=seed,
    )
    gains = search.truth if search.direction == "maximize" else -search.truth
    pick = int(posterior.expected_loss.argmin())
    low, high = posterior.interval()
    credible = posterior.credible()
    worse = np.array([posterior.probability_better(pick, other) >= SURE for other in range(len(gains))])
    return (
        float(low[pick] <= search.truth[pick] <= high[pick]),
        float((gains[credible] >= gains.max() - 1e-12).any()),
        len(credible) / len(gains),
        float((worse & (gains >= gains[pick] - 1e-12)).sum() / max(1, len(gains) - 1)),
    )


HEAD = (
    "| search | naive bias | BBC-CV bias | bias | coverage | holds best | false better | tied "
    "| model: coverage | holds best | credible | false worse |"
)


def line(setting: Setting, found: Figures) -> str:
    return (
        f"| {setting.name} | {found.naive_bias:+.2f} | {found.plain_bias:+.2f} "
        f"| {found.bias:+.2f} ± {2 * found.bias_error:.2f} | {100 * found.coverage:.1f} % "
        f"| {100 * found.holds_best:.1f} % | {100 * found.false_better:.1f} % | {100 * found.tied:.0f} % "
        f"| {100 * found.model_coverage:.1f} % | {100 * found.credible_holds:.1f} % | {100 * found.credible:.0f} % "
        f"| {100 * found.false_worse:.1f} % |"
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
