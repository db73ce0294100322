"""What taking the recommended trial costs, measured: `python -m bench.regret`.

Searches on few rows are trained with the engine itself, and so is the truth of each of their configurations, on many
rows that the search never saw (`bench.searches`). *Regret* is how far the true score of a pick is behind that of the
truly best configuration; to add up accuracies and RMSE it is given as a share of the regret of the median
configuration. Each search is read in three ways: by its 5 folds, by all 5 x 3, and by the first fold alone, as one
hold-out set.

    python -m bench.regret [--searches 20] [--keep FOLDER]

`--keep` keeps what was trained in a folder, and takes from there what is there: a change of the model is then measured
in a minute or two.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from bench.searches import DATA, FOLDS, REPEATS, SPACES, Trained, load, save, space_of, train
from unitune.models.metrics import ATTAINABLE
from unitune.stats import OutOfFold, Posterior, design_of, model_scores, row_noise

Array = np.ndarray
READINGS = {"5 folds": FOLDS, "5 folds x 3": FOLDS * REPEATS, "hold-out": 1}
SURE = 0.95


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One search, read in one way. Regrets and the stated loss are shares of the regret of the median configuration.

    Attributes:
        best, recommended, one_se: Regrets of the highest mean, of the recommended, and of the cheapest within one
            standard error of the highest mean.
        parameters: Logarithm of those of the recommended, for each of the best.
        size: Of the credible set, as a share of the trials.
        holds: Whether it holds the truly best.
        stated: The expected loss of the recommended.
        covers: Whether the 95 % interval of the recommended holds its true score.
        covers_all: The share of all trials' intervals that hold theirs.
        claims, false: Pairs of which one is said to be better, or that are said to be practically equal; and how many
            of these are not so.
    """

    best: float
    recommended: float
    one_se: float
    parameters: float
    size: float
    holds: float
    stated: float
    covers: float
    covers_all: float
    claims: float
    false: float


def posterior_of(trained: Trained, reading: str, *, seed: int = 0) -> Posterior:
    """The posterior of a search read in one way."""
    n = READINGS[reading]
    kept = trained.predictions
    predictions = OutOfFold(task=kept.task, y=kept.y, numbers=kept.numbers, cells=kept.cells[:n])
    return model_scores(
        trained.values[:, :n],
        trained.direction,
        fold=np.arange(n) % FOLDS,
        repeat=np.arange(n) // FOLDS,
        validation_ratio=1 / (FOLDS - 1),
        design=design_of(space_of(trained.space), trained.configurations),
        attainable=ATTAINABLE[trained.metric],
        rows=row_noise(predictions, trained.metric, seed=seed),
        seed=seed,
    )


def measure(trained: Trained, reading: str, *, tolerance: float | None = None) -> Measured:
    """Reads a search in one way, and compares with the truth.

    Args:
        trained: The search.
        reading: One of `READINGS`.
        tolerance: In standard errors of a score; the usual one if not given.
    """
    posterior = posterior_of(trained, reading)
    sign = 1.0 if trained.direction == "maximize" else -1.0
    truth, gains = trained.truth, sign * trained.truth
    values = trained.values[:, : READINGS[reading]]
    means = sign * values.mean(axis=1)
    unit = gains.max() - np.sort(gains)[len(gains) // 2]
    best = int(means.argmax())
    margin = None if tolerance is None else tolerance * posterior.standard_error
    pick = posterior.recommend(trained.n_parameters.tolist(), [1.0] * len(truth), margin)
    error = values[best].std(ddof=1) / np.sqrt(values.shape[1]) if values.shape[1] > 1 else 0.0
    near = np.flatnonzero(means >= means[best] - error)
    cheapest = int(near[trained.n_parameters[near].argmin()])
    # The truth is measured too, on few networks and rows: an interval must allow for how far it may be off.
    networks = trained.truth_networks
    rng = np.random.default_rng(0)
    own = np.median((networks - networks.mean(axis=0)).std(axis=1, ddof=1))
    level, beside = trained.luck_of_unseen
    off = np.sqrt(own**2 / networks.shape[1] + beside)
    off_all = np.sqrt(networks.mean(axis=0).var(ddof=1) / networks.shape[1] + level)
    draws = posterior.draws + off * rng.standard_normal(posterior.draws.shape)
    draws += off_all * rng.standard_normal((len(draws), 1))
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    inside = (low <= truth) & (truth <= high)
    credible = posterior.credible()
    claims, false = _claims(posterior, pick, gains, 2 * own / np.sqrt(networks.shape[1]))
    return Measured(
        best=float((gains.max() - gains[best]) / unit),
        recommended=float((gains.max() - gains[pick]) / unit),
        one_se=float((gains.max() - gains[cheapest]) / unit),
        parameters=float(np.log(trained.n_parameters[pick] / trained.n_parameters[best])),
        size=len(credible) / len(truth),
        holds=float(int(gains.argmax()) in credible),
        stated=float(posterior.expected_loss[pick] / unit),
        covers=float(inside[pick]),
        covers_all=float(inside.mean()),
        claims=float(claims),
        false=float(false),
    )


def _claims(posterior: Posterior, pick: int, gains: Array, slack: float) -> tuple[int, int]:
    """Of the recommended against each other trial: what is said of them, and how much of it is false by more than the
    truth may be off."""
    claims = false = 0
    for other in range(posterior.n_trials):
        if other == pick:
            continue
        gap = gains[pick] - gains[other]
        better = posterior.probability_better(pick, other)
        if better >= SURE or better <= 1 - SURE:
            claims += 1
            false += bool(gap < -slack if better >= SURE else gap > slack)
        elif (np.abs(posterior.draws[:, pick] - posterior.draws[:, other]) <= posterior.tolerance).mean() >= SURE:
            claims += 1
            false += bool(abs(gap) > posterior.tolerance + slack)
    return claims, false


HEAD = (
    "| searches | best | recommended | stated | one s.e. rule | parameters | credible set | holds best "
    "| interval | false claims |"
)


def line(name: str, found: Iterable[Measured]) -> str:
    """A row of the table."""
    rows = list(found)
    mean = {field.name: float(np.nanmean([getattr(one, field.name) for one in rows])) for field in fields(Measured)}
    false = mean["false"] / max(mean["claims"], 1e-9)
    return (
        f"| {name} ({len(rows)}) | {mean['best']:.3f} | {mean['recommended']:.3f} | {mean['stated']:.3f} "
        f"| {mean['one_se']:.3f} | {np.exp(mean['parameters']):.2f} | {100 * mean['size']:.0f} % "
        f"| {100 * mean['holds']:.0f} % | {100 * mean['covers']:.0f} % ({100 * mean['covers_all']:.0f} %) "
        f"| {100 * false:.1f} % |"
    )


def trained_searches(searches: int, keep: Path | None) -> Iterable[Trained]:
    """All searches, those that were kept from there."""
    for number in range(searches):
        for data in DATA:
            for space in SPACES:
                found = load(data, space, number, keep) if keep is not None else None
                if found is None:
                    found = train(data, space, number)
                    if keep is not None:
                        save(found, keep)
                yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--tolerance", type=float, default=None, help="in standard errors of a score")
    given = parser.parse_args()
    found: dict[tuple[str, str, str], list[Measured]] = {}
    for trained in trained_searches(given.searches, given.keep):
        for reading in READINGS:
            key = (trained.data, trained.space, reading)
            found.setdefault(key, []).append(measure(trained, reading, tolerance=given.tolerance))
    print(HEAD)
    print("| --- |" + " ---: |" * (HEAD.count("|") - 2))
    for (data, space, reading), rows in sorted(found.items(), key=lambda item: list(READINGS).index(item[0][2])):
        print(line(f"{data}, {space}, {reading}", rows))
    for reading in READINGS:
        print(line(f"**all, {reading}**", [one for key, rows in found.items() if key[2] == reading for one in rows]))
    print(line("**all**", [one for rows in found.values() for one in rows]))


if __name__ == "__main__":
    main()
