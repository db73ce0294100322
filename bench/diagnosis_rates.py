"""How often is a finding missed, and how often is it a false alarm?

    python -m bench.diagnosis_rates [--cases 200] [--networks 3] [--seed 0]

For each kind, searches are generated that show it and searches that do not, from little to very much (a stretch around
each threshold is left out), with noise in the curves of 0.5 to 5 % between folds. A *miss* is a case that shows the
kind without the finding, a *false alarm* one that does not with it. With `--networks` the networks of
`tests/diagnosis/networks.py` are trained as well, from so many seeds: real faults, and real data on which a finding
about the training would be a false alarm.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from unitune.diagnosis import KINDS, Evidence, diagnose
from unitune.diagnosis.diagnose import judge

TESTS = Path(__file__).parent.parent / "tests" / "diagnosis"
SEARCH_TRUTHS = {"noise_dominated", "plateaued_capacity", "edge_of_space"}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"diagnosis_{name}", TESTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = load("cases")
EPOCHS = 40


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def shared(rng: np.random.Generator, **probes: Any) -> dict[str, Any]:
    """What every case has: noise, a seed, and probes in the range of sound networks."""
    sound = {
        "dead_units": [rng.uniform(0, 0.3), rng.uniform(0, 0.3)],
        "saturated": [rng.uniform(0, 0.4), rng.uniform(0, 0.4)],
        "gradient_norm": [log_uniform(rng, 0.05, 5), log_uniform(rng, 0.05, 5), log_uniform(rng, 0.05, 5)],
        "update_ratio": [log_uniform(rng, 3e-4, 2e-2)] * 3,
    }
    return {"noise": rng.uniform(0.005, 0.05), "seed": int(rng.integers(2**31)), "probes": {**sound, **probes}}


def fitted(rng: np.random.Generator) -> tuple[Any, Any]:
    """Curves of a sound training."""
    speed, end = rng.uniform(8, 15), rng.uniform(0.02, 0.3)
    train = cases.curve(0.65, end, EPOCHS, speed=speed)
    return train, cases.curve(0.65, end + rng.uniform(0.01, 0.1), EPOCHS, speed=speed)


def turned(rng: np.random.Generator, rise: float) -> dict[str, Any]:
    """A validation loss that falls, and rises again to `1 + rise` times its minimum."""
    turn = int(rng.integers(5, 30))
    low = rng.uniform(0.2, 0.5)
    down = cases.curve(0.66, low, turn, speed=8)
    up = low * (1 + rise * np.linspace(0, 1, EPOCHS - turn + 1)[1:])
    return {"validation": np.concatenate([down, up]), "train": cases.curve(0.65, 0.02, EPOCHS, speed=6)}


def of_scores(rng: np.random.Generator, name: str, values: list[Any], scores: Any, **more: Any) -> Evidence:
    options = shared(rng) | more
    options["noise"] = min(options["noise"], 0.02)
    return cases.search([{name: value} for value in values], scores=list(scores), **options)


def case(kind: str, sick: bool, rng: np.random.Generator) -> Evidence:
    """A search that shows a kind, or that does not."""
    train, validation = fitted(rng)
    curves = {"train": train, "validation": validation}
    search: Callable[..., Evidence] = cases.search
    effect = rng.uniform(0.03, 0.1)
    match kind, sick:
        case "overfit", True:
            return search(**turned(rng, log_uniform(rng, 0.2, 3)), **shared(rng))
        case "overfit", False:
            return search(**turned(rng, rng.uniform(0, 0.04)), **shared(rng))
        case "underfit", True:
            flat = cases.curve(0.69, rng.uniform(0.5, 0.66), EPOCHS, speed=12)
            done = 1 - float(flat[-1]) / 0.69
            return search(train=flat, validation=flat + 0.01, explained=(done, done - 0.02), **shared(rng))
        case "underfit", False:  # Noise: larger networks fit more, and predict no better.
            rows = [{"units": u} for u in (8, 32, 128)]
            e = rng.uniform(0.05, 0.35)
            parts = [(e, e - 0.02), (e + 0.15, e - 0.03), (e + 0.3, e - 0.1)]
            return search(rows, scores=(0.9, 0.89, 0.88), explained=parts, **curves, **shared(rng))
        case "too_few_epochs", True:
            slow = cases.curve(0.68, rng.uniform(0.05, 0.3), EPOCHS, speed=rng.uniform(0.5, 2.5))
            return search(train=slow, validation=slow + 0.01, **shared(rng))
        case "diverged", True:
            bad = train.copy()
            bad[int(rng.integers(1, EPOCHS)) :] = np.nan
            rows = [{"learning_rate": r} for r in (0.001, 1.0)]
            return search(rows, scores=(0.9, None), train=[train, bad], validation=[validation, bad], **shared(rng))
        case "learning_rate_high", True:
            jumps = rng.uniform(0.2, 0.2 + log_uniform(rng, 0.15, 3), EPOCHS)
            steps = [log_uniform(rng, 0.05, 1)] * 3
            return search(train=jumps, validation=jumps, **shared(rng, update_ratio=steps))
        case "learning_rate_high", False:  # Noise of small batches around a fit.
            rough = train * rng.lognormal(0, 0.1, EPOCHS)
            return search(train=rough, validation=validation, **shared(rng))
        case "learning_rate_low", True:
            line = np.linspace(0.75, 0.75 - log_uniform(rng, 0.001, 0.1), EPOCHS)
            return search(train=line, validation=line, **shared(rng, update_ratio=[log_uniform(rng, 1e-7, 5e-5)] * 3))
        case "dead_units", True:
            return search(**curves, **shared(rng, dead_units=[rng.uniform(0.45, 1), 0.1]))
        case "saturation", True:
            return search(**curves, **shared(rng, saturated=[0.1, rng.uniform(0.55, 1)]))
        case "vanishing_gradients", True:
            return search(**curves, **shared(rng, gradient_norm=[log_uniform(rng, 1e-8, 3e-4), 0.1, 1.0]))
        case "exploding_gradients", True:
            return search(**curves, **shared(rng, gradient_norm=[log_uniform(rng, 300, 1e6), 10.0, 1.0]))
        case "class_ignored", _:
            counts = (int(rng.integers(200, 2000)), int(rng.integers(15, 60)))
            share = rng.uniform(0, 0.02) if sick else rng.uniform(0.2, 0.9)
            found = rng.binomial(max(3, counts[1] // 5), share, 5) / max(3, counts[1] // 5)
            recall = np.stack([np.full(5, 0.98), found], axis=1)
            return search(recall=recall, class_counts=counts, **curves, **shared(rng))
        case "unstable", _:  # Accuracy on 114 rows: chance alone gives a standard deviation of 0.03.
            chance = np.sqrt(0.8 * 0.2 / 114)
            spread = chance * (rng.uniform(3.5, 7) if sick else rng.uniform(0.7, 1.5))
            return search(scores=[0.8], spread=spread, **curves, **shared(rng))
        case "edge_of_space", True:
            return of_scores(rng, "units", [8, 16, 32], 0.7 + effect * np.arange(3))
        case "edge_of_space", False:
            shape = [[0, 1, 0], [0, 0, 0], [0, 1, 1]][int(rng.integers(3))]
            return of_scores(rng, "units", [8, 16, 32], 0.7 + effect * np.array(shape))
        case "noise_dominated", True:
            return of_scores(rng, "units", [4, 8, 16, 32, 64, 128], np.full(6, 0.9))
        case "noise_dominated", False:
            return of_scores(rng, "units", [4, 8, 16, 32, 64, 128], 0.9 - effect * np.array([0, 1, 2, 3, 4, 5]))
        case "plateaued_capacity", True:
            # Half a step of the other case is what matters to the user.
            return of_scores(
                rng, "units", [4, 16, 64, 256], 0.9 - effect * np.array([2, 0, 0, 0]), tolerance=effect / 2
            )
        case "plateaued_capacity", False:
            return of_scores(
                rng, "units", [4, 16, 64, 256], 0.9 - effect * np.array([3, 2, 1, 0]), tolerance=effect / 2
            )
        case "suspiciously_easy", True:
            leak = {"best_feature": "code", "best_feature_score": rng.uniform(0.982, 1)}
            return search(**leak, **curves, **shared(rng))
        case "suspiciously_easy", False:
            honest = {"best_feature": "size", "best_feature_score": rng.uniform(0, 0.95)}
            return search(**honest, **curves, **shared(rng))
        case _:
            return search(**curves, **shared(rng))


def generated(n: int, seed: int) -> None:
    print(f"{n:,} generated searches that show the kind, and {n:,} that do not\n")
    print(f"| {'kind':<20} | misses | false alarms |\n| {'-' * 20} | -----: | -----------: |")
    for kind in KINDS:
        missed = alarms = 0
        for number in range(n):
            rng = np.random.default_rng((seed, KINDS.index(kind), number))
            missed += kind not in {f.kind for f in diagnose(case(kind, True, rng))}
            alarms += kind in {f.kind for f in diagnose(case(kind, False, rng))}
        print(f"| {kind:<20} | {100 * missed / n:4.1f} % | {100 * alarms / n:10.1f} % |", flush=True)


def trained(n: int, seed: int) -> None:
    networks = load("networks")
    shown: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    healthy = 0
    for own in range(seed, seed + n):
        result = networks.sick(own)
        seen = judge(result._evidence)
        for place, trial in enumerate(result.trials):
            kinds = {kind for kind, (_, found) in seen.items() if found[place]}
            name = trial.configuration["model"]
            if name.startswith("healthy"):
                healthy += 1
                alarms.update(kinds)
            else:
                shown[name] += 1
                missed[name] += name not in kinds
        for kind, build in networks.SICK.items():
            shown[kind] += 1
            missed[kind] += kind not in {finding.kind for finding in build(own).findings}
        for name in networks.CONTROLS:
            seen = judge(networks.control(name, own)._evidence)
            trials = len(next(iter(seen.values()))[1])
            healthy += trials
            alarms.update({kind: int(found.sum()) for kind, (_, found) in seen.items()})
    print(f"\nTrained networks: {sum(shown.values())} with a fault, {healthy} trials without\n")
    print(f"| {'kind':<20} | missed | false alarms |\n| {'-' * 20} | -----: | -----------: |")
    for kind in KINDS:
        if kind not in SEARCH_TRUTHS:
            of = f"{missed[kind]} of {shown[kind]}" if shown[kind] else ""
            print(f"| {kind:<20} | {of:>6} | {f'{alarms[kind]} of {healthy}':>12} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--networks", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generated(options.cases, options.seed)
    if options.networks:
        trained(options.networks, options.seed)


if __name__ == "__main__":
    main()
