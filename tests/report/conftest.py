"""What a run found, made by hand: everything that the report can show, and names that try to break it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unitune.models.blueprint import Blueprint, LayerSpec
from unitune.records import Finding, Score, Trial
from unitune.report.facts import Facts
from unitune.report.prepared.architecture import layers_of

NASTY = "<script>alert(1)</script>"
UNITS, ACTIVATIONS, METRICS = (8, 32, 128), ("relu", NASTY), ("accuracy", "log_loss")


@dataclass(frozen=True)
class Estimate:
    metric: str
    mean: float
    low: float
    high: float
    method: str
    naive: float


def trial(number: int, units: int, activation: str, mean: float, **more: Any) -> Trial:
    values = tuple(mean + shift for shift in (-0.01, 0.0, 0.01))
    scores = {
        metric: Score(
            metric=metric, mean=mean, std=0.01, low=mean - 0.02, high=mean + 0.02, train=mean + 0.01, values=values
        )
        for metric in METRICS
    }
    return Trial(
        number=number,
        configuration={"units": units, "activation": activation, "optimizer": "adam"},
        state="complete",
        scores=scores,
        n_parameters=units * 12 + 1,
        elapsed_s=0.1 * number,
        engine="fused",
        **more,
    )


def history_of(number: int, n_epochs: int = 8) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    return pd.DataFrame(
        [
            (number, fold, 0, epoch, metric, split, float(value + 0.05 * rng.random() + (split == "validation") * 0.1))
            for fold in range(3)
            for epoch in range(1, n_epochs + 1)
            for metric, value in (("loss", 1 / epoch), ("accuracy", 1 - 0.5 / epoch))
            for split in ("train", "validation")
        ],
        columns=["trial", "fold", "repeat", "epoch", "metric", "split", "value"],
    )


def probes_of(number: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (number, fold, 0, epoch, layer, probe, 0.1 * (layer + 1) / epoch + 0.01 * fold)
            for fold in range(3)
            for epoch in range(1, 9)
            for layer in range(2)
            for probe in ("dead_units", "saturated", "gradient_norm", "update_ratio", "mean_activation")
        ],
        columns=["trial", "fold", "repeat", "epoch", "layer", "probe", "value"],
    )


def marginals_of(values: tuple[Any, ...]) -> pd.DataFrame:
    scores = np.linspace(0.9, 0.96, len(values))
    best = {"best_trial": 3, "best_mean": scores + 0.01, "best_low": scores - 0.01, "best_high": scores + 0.02}
    mean = {"mean": scores, "low": scores - 0.02, "high": scores + 0.02}
    return pd.DataFrame({"value": list(values), "n_trials": 2} | mean | best)


def make_facts(**changes: Any) -> Facts:
    """Six trials of which one failed; the third is the best, the first recommended."""
    numbers = iter(range(1, 7))
    scores = iter((0.95, 0.90, 0.96, 0.91, 0.955))
    trials = [
        trial(next(numbers), u, a, s)
        for (u, a), s in zip([(u, a) for u in UNITS for a in ACTIVATIONS], scores, strict=False)
    ]
    trials.append(
        Trial(
            number=6,
            configuration={"units": 128, "activation": NASTY, "optimizer": "adam"},
            state="failed",
            failure=f"it diverged {NASTY}",
        )
    )
    ranking = sorted(trials, key=lambda one: -one.scores["accuracy"].mean if one.scores else 0.0)
    rows = []
    for rank, one in enumerate(ranking, 1):
        score = one.scores.get("accuracy")
        parts = {part: getattr(score, part) if score else np.nan for part in ("mean", "low", "high", "std", "train")}
        parts |= {"expected": parts["mean"] - 0.002, "p_best": 0.5**rank, "expected_loss": 0.001 * rank}
        rows.append(
            {"rank": rank if score else None, "trial": one.number, **parts, "gap": parts["train"] - parts["mean"]}
            | dict(one.configuration)
            | {"parameters": one.n_parameters, "seconds": one.elapsed_s}
        )
    table = pd.DataFrame(rows)
    table["rank"] = table["rank"].astype("Int64")
    chain = Blueprint(
        layers=(
            LayerSpec(class_name="Dense", config={"units": 8, "activation": NASTY}),
            LayerSpec(class_name="Dropout", config={"rate": 0.2}),
            LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"}),
        )
    )
    given: dict[str, Any] = {
        "name": f"run {NASTY}",
        "objective": "accuracy",
        "direction": "maximize",
        "task": "binary",
        "table": table,
        "trials": {one.number: one for one in trials},
        "labels": {
            one.number: f"units {one.configuration['units']}, {one.configuration['activation']}" for one in trials
        },
        "settings": ("units", "activation"),
        "best": 3,
        "recommended": 1,
        "credible": (3, 5, 1),
        "conclusion": (f"Trial 3 wins ({NASTY}).", "Corrected, it is 0.94.", "Use trial 1."),
        "history": history_of,
        "probes": probes_of,
        "best_epoch": lambda number: 6,
        "kinds": lambda number: ("overfit",) if number in (1, 3) else (),
        "estimates": {"accuracy": Estimate("accuracy", 0.94, 0.92, 0.96, "model of all scores", 0.95)},
        "test_scores": {"accuracy": 0.93, "log_loss": 0.2},
        "findings": (
            Finding(
                kind="overfit",
                severity="warning",
                title=f"Overfits {NASTY}",
                trials=(1, 3),
                evidence={"gap": 0.0512, "began": 4.0},
                advice="Add dropout.",
            ),
            Finding(
                kind="edge",
                severity="advice",
                title="On the edge",
                trials=(),
                evidence={"best": "128"},
                advice="Widen.",
            ),
            Finding(kind="ties", severity="info", title="Noise", trials=(1,), evidence={}, advice=""),
        ),
        "next_space": "unitune.tune(x, y, units=[64, 128, 256])",
        "interplay": pd.DataFrame(
            {
                "term": ["units", "activation", "units x activation", "folds", "seeds"],
                "share": [0.4, 0.3, 0.1, 0.15, 0.05],
                "low": [0.2, 0.1, 0.0, 0.1, 0.0],
                "high": [0.6, 0.5, 0.2, 0.2, 0.1],
            }
        ),
        "marginals": {
            "activation": marginals_of(ACTIVATIONS),
            "units": marginals_of(UNITS),
        },
        "trial_health": pd.DataFrame(
            {
                "trial": [1, 2, 3, 4, 5, 6],
                "dead_units": [0.0, 0.1, 0.5, 0.0, 0.2, np.nan],
                "saturated": [0.1, 0.1, np.nan, 0.0, 0.2, np.nan],
                "gradient_flow": [1.0, 1e-4, 0.5, 2.0, 0.0, np.nan],
            }
        ),
        "layers": layers_of(chain, (10,)),
        "how": {"Data": {"rows": "100", "target": NASTY}, "Command": {"": f"unitune tune '{NASTY}'"}},
        "notes": (f"Column {NASTY} was dropped.",),
    }
    return Facts(**given | changes)


@pytest.fixture(scope="session")
def make() -> Callable[..., Facts]:
    return make_facts
