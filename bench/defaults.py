"""`python -m bench.defaults`: what a table and nothing else gives, beside what scikit-learn gives.

Thirteen data sets, the same splits for all: `unitune.tune(x, y)` with all its defaults, the model that it hands over
scored on rows that it never saw; scikit-learn's MLP (`max_iter=1000`, with and without `early_stopping`), a linear
model, gradient boosting and a random forest with their defaults. `--splits 1 --sets "iris;moons"` for a part,
`--save runs.json` keeps each score as it comes, and a later call goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.base import is_classifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.apart import run_apart

Rows = tuple[np.ndarray, np.ndarray]


def prices() -> Rows:
    """Prices with a heavy tail: a product of effects, log-normal around them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 8))
    effect = 0.6 * x[:, 0] + 0.4 * x[:, 1] * (x[:, 2] > 0) + 0.3 * np.abs(x[:, 3]) - 0.2 * x[:, 4]
    return x, np.exp(12 + effect + 0.3 * rng.normal(size=1000))


SETS: Mapping[str, Callable[[], Rows]] = {
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "moons": lambda: datasets.make_moons(1000, noise=0.2, random_state=0),
    "20 features, 5 informative": lambda: datasets.make_classification(
        1000, 20, n_informative=5, n_redundant=2, n_clusters_per_class=3, flip_y=0.05, random_state=1
    ),
    "3 hard classes": lambda: datasets.make_classification(
        1000, 10, n_informative=6, n_classes=3, n_clusters_per_class=2, flip_y=0.1, random_state=2
    ),
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "friedman1": lambda: datasets.make_friedman1(500, noise=1.0, random_state=0),
    "friedman2": lambda: datasets.make_friedman2(500, noise=50.0, random_state=0),
    "friedman3": lambda: datasets.make_friedman3(500, noise=0.1, random_state=0),
    "linear data": lambda: datasets.make_regression(500, 20, n_informative=10, noise=20.0, random_state=0),
    "prices": prices,
}

PEERS: Mapping[str, tuple[Callable[[int], Any], Callable[[int], Any]]] = {
    "MLP": (
        lambda seed: MLPClassifier(max_iter=1000, random_state=seed),
        lambda seed: MLPRegressor(max_iter=1000, random_state=seed),
    ),
    "MLP, early stopping": (
        lambda seed: MLPClassifier(max_iter=1000, early_stopping=True, random_state=seed),
        lambda seed: MLPRegressor(max_iter=1000, early_stopping=True, random_state=seed),
    ),
    "linear": (lambda seed: LogisticRegression(max_iter=5000), lambda seed: RidgeCV(np.logspace(-3, 3, 13))),
    "boosting": (
        lambda seed: HistGradientBoostingClassifier(random_state=seed),
        lambda seed: HistGradientBoostingRegressor(random_state=seed),
    ),
    "forest": (
        lambda seed: RandomForestClassifier(random_state=seed),
        lambda seed: RandomForestRegressor(random_state=seed),
    ),
}
OURS = "Unitune"
METHODS = (OURS, *PEERS)


def split_of(name: str, seed: int) -> tuple[np.ndarray, ...]:
    """Three quarters of a set's rows and their target to train on, and the rest; stratified for classes."""
    x, y = SETS[name]()
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.25, random_state=seed, stratify=y if is_classes(y) else None
    )
    return train_x, train_y, test_x, test_y


def is_classes(y: np.ndarray) -> bool:
    """Whether a target holds classes."""
    return y.dtype.kind in "iu"


def score_of(y: np.ndarray, predicted: np.ndarray) -> float:
    """Accuracy of classes, else the root of the mean squared error."""
    return float(accuracy_score(y, predicted) if is_classes(y) else root_mean_squared_error(y, predicted))


def measure(method: str, name: str, seed: int) -> dict[str, float]:
    """Test score, seconds and core seconds of one method on one split."""
    train_x, train_y, test_x, test_y = split_of(name, seed)
    if method == OURS:
        import unitune
        from unitune.models.backend import ensure

        ensure()
        started, processor = time.perf_counter(), time.process_time()
        task = None if is_classes(train_y) else "regression"
        result = unitune.tune(train_x, train_y, task=task, seed=seed, progress=False)
        predicted = result.predict(test_x)["prediction"].to_numpy()
    else:
        started, processor = time.perf_counter(), time.process_time()
        model = PEERS[method][0 if is_classes(train_y) else 1](seed)
        assert is_classifier(model) == is_classes(train_y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Networks and linear models need scaled features; as everybody knows who uses them.
            predicted = make_pipeline(StandardScaler(), model).fit(train_x, train_y).predict(test_x)
    return {
        "score": score_of(test_y, predicted),
        "seconds": time.perf_counter() - started,
        "core_seconds": time.process_time() - processor,
    }


def apart(method: str, name: str, seed: int) -> dict[str, float]:
    """`measure` in a process of its own, so that every compilation counts."""
    return dict(run_apart("bench.defaults", "--worker", method, name, seed))


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.defaults", description=__doc__)
    parser.add_argument("--sets", default=";".join(SETS), help="names with semicolons")
    parser.add_argument("--methods", default=";".join(METHODS), help="names with semicolons")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--save", type=Path, help="a JSON file of the scores, from which a later call goes on")
    parser.add_argument("--worker", nargs=3, metavar=("METHOD", "SET", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        method, name, seed = options.worker
        print(json.dumps(measure(method, name, int(seed))))
        return
    runs: dict[str, dict[str, float]] = {}
    if options.save and options.save.exists():
        runs = json.loads(options.save.read_text())
    sets, methods = options.sets.split(";"), options.methods.split(";")
    for seed in range(options.splits):
        for name in sets:
            for method in methods:
                key = f"{method}|{name}|{seed}"
                if key in runs:
                    continue
                runs[key] = apart(method, name, seed) if method == OURS else measure(method, name, seed)
                if options.save:
                    options.save.write_text(json.dumps(runs, indent=1))
    print("\n".join(table(runs, sets, methods)))


def table(runs: Mapping[str, Mapping[str, float]], sets: list[str], methods: list[str]) -> list[str]:
    """The lines of a table: means over the splits, their mean rank, and how Unitune compares with its peers."""
    scores = {
        name: {m: np.array([r["score"] for k, r in runs.items() if k.startswith(f"{m}|{name}|")]) for m in methods}
        for name in sets
    }
    lines = [f"| | {' | '.join(methods)} | Unitune, s (core s) |", f"| --- |{' --- |' * (len(methods) + 1)}"]
    ranks = []
    for name in sets:
        bigger = is_classes(SETS[name]()[1])
        means = {m: float(values.mean()) for m, values in scores[name].items()}
        order = sorted(means.values(), reverse=bigger)
        ranks.append([np.mean([i + 1 for i, v in enumerate(order) if v == means[m]]) for m in methods])
        mine = [r for k, r in runs.items() if k.startswith(f"{OURS}|{name}|")]
        shown = [f"{means[m]:.3f}" if bigger else f"{means[m]:.4g}" for m in methods]
        spent = " ".join(
            shape.format(np.mean([run[unit] for run in mine]))
            for shape, unit in (("{:.0f}", "seconds"), ("({:.0f})", "core_seconds"))
            if mine
        )
        lines.append(f"| {name}{'' if bigger else ', RMSE'} | {' | '.join(shown)} | {spent} |")
    lines.append(f"| mean rank | {' | '.join(f'{rank:.2f}' for rank in np.mean(ranks, axis=0))} | |")
    if OURS in methods:
        lines += ["", *verdicts(scores, sets)]
    return lines


def verdicts(scores: Mapping[str, Mapping[str, np.ndarray]], sets: list[str]) -> list[str]:
    """Where Unitune is ahead and behind: differences on the same splits, against their standard error."""
    sentences = []
    for peer, names in {"the better MLP": ("MLP", "MLP, early stopping"), "the linear model": ("linear",)}.items():
        ahead, behind = [], []
        for name in sets:
            sign = 1.0 if is_classes(SETS[name]()[1]) else -1.0
            known = [one for one in names if one in scores[name]]
            if not known:
                continue
            best = max((scores[name][one] for one in known), key=lambda values: sign * float(values.mean()))
            difference = sign * (scores[name][OURS] - best)
            error = float(difference.std(ddof=1) / math.sqrt(len(difference))) if len(difference) > 1 else 0.0
            ahead += [name] if difference.mean() > 0 else []
            behind += [name] if difference.mean() < -error else []
        told = ", ".join(behind) or "none"
        single = max(len(values) for one in scores.values() for values in one.values()) < 2
        margin = "" if single else " by more than one standard error"
        sentences.append(f"Ahead of {peer} on {len(ahead)} of {len(sets)}; behind it{margin} on: {told}.")
    return sentences


if __name__ == "__main__":
    main()
