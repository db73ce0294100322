"""`FusedGridSearchCV` against scikit-learn's `GridSearchCV(n_jobs=2)`, the same estimator, grid, folds and scores.

    python -m bench.sklearn_search [--rounds 3] [--candidates 40]

The peer is timed twice. First with `KerasMLPClassifier(engine="solo")`, whose `fit` is Keras's own `fit`: what
scikit-learn with any Keras wrapper does. Then with `engine="auto"`, whose `fit` compiles a program of ours for each
network and keeps it: no other wrapper does that, and it shows what is left when only single fits are faster. In both,
`FusedGridSearchCV` gets the same estimator; its refit runs in the program of the search.

Each figure is a whole call of `fit`, every compilation and the start of the peer's worker processes included; imports
are made before. Each side runs in processes of its own.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median
from typing import Any

import numpy as np

from bench.apart import run_apart

UNITS = [8, 16, 24, 32, 48, 64, 80, 96, 112, 128]
ACTIVATIONS = ["relu", "tanh", "gelu", "sigmoid"]


def search(kind: str, engine: str, candidates: int) -> dict[str, Any]:
    """One search, timed."""
    import keras
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    from unitune.sklearn import FusedGridSearchCV, KerasMLPClassifier

    x, y = load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32")
    keras.ops.zeros(1)
    network = KerasMLPClassifier(epochs=10, random_state=0, normalize=False, engine=engine)
    grid = {"units": UNITS[: max(1, candidates // len(ACTIVATIONS))], "activation": ACTIVATIONS}
    given: dict[str, Any] = {"cv": StratifiedKFold(5, shuffle=True, random_state=0), "scoring": "neg_log_loss"}
    made = (
        FusedGridSearchCV(network, grid, **given) if kind == "fused" else GridSearchCV(network, grid, n_jobs=2, **given)
    )
    start = time.perf_counter()
    made.fit(x, y)
    elapsed = time.perf_counter() - start
    return {"seconds": elapsed, "refit": made.refit_time_, "scores": made.cv_results_["mean_test_score"].tolist()}


def in_a_process(kind: str, engine: str, candidates: int) -> dict[str, Any]:
    return dict(run_apart("bench.sklearn_search", "--one", kind, engine, "--candidates", candidates))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=40)
    parser.add_argument("--engines", nargs="+", default=["solo", "auto"])
    parser.add_argument("--one", nargs=2, metavar=("KIND", "ENGINE"))
    given = parser.parse_args()
    if given.one:
        print(json.dumps(search(*given.one, given.candidates)))
        return
    for engine in given.engines:
        ratios = []
        for number in range(1, given.rounds + 1):
            ours = in_a_process("fused", engine, given.candidates)
            peer = in_a_process("peer", engine, given.candidates)
            apart = float(np.abs(np.array(ours["scores"]) - peer["scores"]).max())
            ratios.append(peer["seconds"] / ours["seconds"])
            print(
                f"engine={engine} round {number}: FusedGridSearchCV {ours['seconds']:.1f} s "
                f"(refit {ours['refit']:.1f}), GridSearchCV {peer['seconds']:.1f} s, {ratios[-1]:.1f} x; "
                f"scores differ by {apart:.1e} at most",
                flush=True,
            )
        print(f"engine={engine}: median {median(ratios):.1f} x")


if __name__ == "__main__":
    main()
