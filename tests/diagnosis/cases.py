"""Searches with a known truth, as evidence: healthy unless told otherwise."""

from __future__ import annotations

import numpy as np

from unitune.diagnosis import Evidence
from unitune.records import Score, Trial
from unitune.space import Choice, Fixed, Hyperparameter, Space
from unitune.stats import design_of, model_scores, repeats_to_settle


def curve(start, end, epochs, *, speed=8.0):
    """An exponential fall from `start` to `end`, complete within the epochs."""
    return end + (start - end) * np.exp(-speed * np.arange(epochs) / epochs)


def space(**domains):
    rows = {"layers": 1, "units": 32, "activation": "relu", "learning_rate": 0.001, "dropout": 0.0, "epochs": 40}
    rows = {"weight_decay": None, **rows, **domains}
    return Space(
        Hyperparameter(name, Choice(value, ordered=False) if isinstance(value, list) else Fixed(value))
        for name, value in rows.items()
    )


def search(
    configurations=({},),
    *,
    scores=None,
    seed=0,
    members=5,
    epochs=40,
    noise=0.01,
    spread=None,
    train=None,
    validation=None,
    probes=None,
    explained=(0.9, 0.85),
    task="binary",
    **changes,
):
    """Evidence of a search over `configurations`; every list among their values is what varies.

    `scores` are the trials' accuracies; `train` and `validation` are curves, one for all trials or one for each.
    """
    rng = np.random.default_rng(seed)
    configurations = [dict(c) for c in configurations]
    names = list(dict.fromkeys(name for c in configurations for name in c))
    domains = {n: list(dict.fromkeys(c[n] for c in configurations if n in c)) for n in names}
    own = space(**{n: v if len(v) > 1 else v[0] for n, v in domains.items()})
    fixed = {h.name: h.domain.value for h in own if isinstance(h.domain, Fixed)}
    k = len(configurations)
    scores = [0.9] * k if scores is None else list(scores)
    baseline = 0.69 if task != "regression" else 1.0
    shifts = rng.normal(0, 0.01, members)
    explained = [explained] * k if isinstance(explained[0], float) else explained
    trials = []
    for i, (configuration, score) in enumerate(zip(configurations, scores, strict=True)):
        if score is None:
            trials.append(
                Trial(number=i + 1, configuration={**fixed, **configuration}, state="failed", failure="it diverged")
            )
            continue
        values = score + shifts + rng.normal(0, noise if spread is None else spread, members)
        made = {"accuracy": (values, score + 0.01)}
        inner, outer = explained[i]
        if task == "regression":
            made["r2"] = (np.full(members, outer), inner)
        else:
            made["log_loss"] = (np.full(members, baseline * (1 - outer)), baseline * (1 - inner))
        trials.append(
            Trial(
                number=i + 1,
                configuration={**fixed, **configuration},
                state="complete",
                scores={
                    name: Score(
                        metric=name,
                        mean=float(v.mean()),
                        std=float(v.std(ddof=1)) if members > 1 else float("nan"),
                        low=0.0,
                        high=1.0,
                        train=float(t),
                        values=tuple(v.tolist()),
                    )
                    for name, (v, t) in made.items()
                },
                n_parameters=int(configuration.get("units", 32)) * 10,
            )
        )
    trial = np.repeat(np.arange(k), members)
    m = len(trial)

    def curves(given, default):
        given = default if given is None else np.asarray(given, dtype=float)
        each = np.broadcast_to(given, (k, given.shape[-1]))
        drawn = np.repeat(each, members, axis=0)
        return drawn * (1 + rng.normal(0, noise / 2, drawn.shape))

    train = curves(train, curve(0.65, 0.08, epochs))
    validation = curves(validation, curve(0.65, 0.11, epochs))
    length = train.shape[1]
    given = {name: np.asarray(values, dtype=float) for name, values in (probes or {}).items()}
    rates = np.array([t.configuration["learning_rate"] for t in trials])
    defaults = {
        "space": own,
        "task": task,
        "objective": "accuracy",
        "direction": "maximize",
        "trials": tuple(trials),
        "trial": trial,
        "train": train,
        "validation": validation,
        "learning_rate": np.repeat(np.broadcast_to(rates, (k,)), members)[:, None] * np.ones(length),
        "n_epochs": np.full(m, length),
        "best_epoch": np.full(m, length),
        "probes": {name: np.broadcast_to(v, (m, length, v.shape[-1])) for name, v in given.items()},
        "recall": np.full((m, 2), 0.85),
        "class_labels": ("benign", "malignant"),
        "class_counts": (300, 269),
        "baseline_loss": baseline,
        "n_rows": 569,
        "validation_ratio": 1 / (members - 1) if members > 1 else 0.25,
    }
    return Evidence(**{**defaults, **known(own, trials, members, seed, changes.get("tolerance")), **changes})


def known(own, trials, members, seed, tolerance):
    """What the model of all scores says of these trials, as `unitune.result` hands it over."""
    alive = [place for place, trial in enumerate(trials) if trial.state == "complete"][:300]
    if not alive or members < 2:
        return {}
    posterior = model_scores(
        np.array([trials[place].scores["accuracy"].values for place in alive]),
        "maximize",
        validation_ratio=1 / (members - 1),
        design=design_of(own, [trials[place].configuration for place in alive]) if len(alive) > 1 else None,
        n_draws=512,
        seed=seed,
    )
    draws = np.full((len(posterior.draws), len(trials)), np.nan)
    draws[:, alive] = posterior.draws
    margin = tolerance or posterior.tolerance
    settled = posterior.expected_loss.min() <= margin
    worth = None if settled or len(alive) < 2 else repeats_to_settle(posterior, members=members, tolerance=margin)
    return {
        "draws": draws,
        "tolerance": margin,
        "credible": tuple(trials[alive[place]].number for place in posterior.credible()),
        "is_settled": settled,
        "to_settle": None if worth is None else (len(worth.trials), worth.repeats),
    }


HEALTHY_PROBES = {
    "dead_units": [0.05, 0.08],
    "saturated": [0.1, 0.1],
    "mean_activation": [0.2, 0.2],
    "gradient_norm": [0.4, 0.3, 0.5],
    "weight_norm": [5.0, 5.0, 1.0],
    "update_ratio": [2e-3, 2e-3, 3e-3],
}
GRID = [{"units": u, "activation": a} for u in (16, 32, 64) for a in ("relu", "tanh")]
RISING = np.concatenate([curve(0.65, 0.25, 15), 0.25 + 0.012 * np.arange(1, 26)])


def built(kind, seed, noise=0.01):
    """Evidence that shows one kind, and nothing but what follows from it."""
    shared = {"seed": seed, "noise": noise, "probes": HEALTHY_PROBES}

    def probed(**changed):
        return {**shared, "probes": {**HEALTHY_PROBES, **changed}}

    match kind:
        case "healthy":
            return search(**shared)
        case "overfit":
            return search(validation=RISING, train=curve(0.65, 0.01, 40), **shared)
        case "generalization_gap":
            return search(explained=(0.97, 0.2), **shared)
        case "underfit":
            flat = curve(0.68, 0.55, 40, speed=12)
            return search(train=flat, validation=flat + 0.01, explained=(0.2, 0.18), **shared)
        case "too_few_epochs":
            slow = np.linspace(0.68, 0.35, 40)
            return search(train=slow, validation=slow + 0.01, explained=(0.5, 0.48), **shared)
        case "diverged":
            bad = np.full(40, np.nan)
            bad[:3] = [0.8, 5.0, 900.0]
            return search(
                [{"learning_rate": r} for r in (0.001, 10.0)],
                scores=(0.9, None),
                seed=seed,
                noise=noise,
                train=[curve(0.65, 0.08, 40), bad],
                validation=[curve(0.65, 0.11, 40), bad],
            )
        case "learning_rate_high":
            jumps = np.random.default_rng(seed).uniform(0.3, 0.9, 40)
            return search(train=jumps, validation=jumps, **probed(update_ratio=[0.2, 0.2, 0.1]))
        case "learning_rate_low":
            line = np.linspace(0.72, 0.71, 40)
            return search(train=line, validation=line, explained=(0.0, 0.0), **probed(update_ratio=[2e-5, 2e-5, 1e-5]))
        case "dead_units":
            return search(**probed(dead_units=[0.9, 0.1]))
        case "saturation":
            return search(**probed(saturated=[0.1, 0.85]))
        case "vanishing_gradients":
            return search(**probed(gradient_norm=[1e-6, 1e-4, 0.3]))
        case "exploding_gradients":
            return search(**probed(gradient_norm=[900.0, 30.0, 1.0]))
        case "class_ignored":
            rng = np.random.default_rng(seed)
            recall = np.stack([np.ones(5), rng.uniform(0, 0.04, 5)], axis=1)
            return search(recall=recall, class_counts=(540, 29), **shared)
        case "unstable":
            return search(spread=0.25, scores=[0.7], **shared)
        case "edge_of_space":
            return search([{"units": u} for u in (8, 16, 32)], scores=(0.7, 0.8, 0.9), **shared)
        case "noise_dominated":
            return search(GRID, **shared)
        case "plateaued_capacity":
            units = (4, 16, 64, 256)
            return search([{"units": u} for u in units], scores=(0.7, 0.9, 0.9, 0.9), tolerance=0.03, **shared)
        case "linear_as_good":
            return search(references={"linear": (0.91, 0.9, 0.89, 0.92, 0.9)}, **shared)
        case "boosting_ahead":
            return search(references={"linear": (0.7,) * 5, "boosting": (0.97, 0.98, 0.99, 0.98, 0.97)}, **shared)
        case "suspiciously_easy":
            return search(best_feature="diagnosis_code", best_feature_score=0.998, **shared)
    raise ValueError(kind)
