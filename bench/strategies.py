"""`python -m bench.strategies`: best score so far against trials and time, Unitune's strategies and their peers.

Every search chooses as it usually does: KerasTuner, and Optuna around plain `fit`, by one hold-out set, Unitune by 5
folds. What was best so far after each trial is then trained anew on 5 other folds, the same for all, which is the score
that is shown; this is not in the times. A peer runs until it has had both the trials and the seconds, Unitune once for
each. Each run has a process of its own, and imports are made before the clock starts.

`--trials 10 --seconds 20 --seeds 5 --save runs.json --picture docs/images/strategies.png` takes an hour and a half.
What is in the file already is not run again. More trials and seconds are for a patient machine.
`--overhead` measures how much of the wall time proposing takes. Needs `pip install keras-tuner tensorboard`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.apart import run_apart

EPOCHS = 20
UNITS, ACTIVATIONS, RATES, DROPOUTS = [16, 32, 64, 128], ["relu", "tanh", "gelu"], (1e-4, 1e-1), (0.0, 0.5)
OURS = ("auto", "racing", "halving")
PEERS = ("KerasTuner RandomSearch", "KerasTuner BayesianOptimization", "KerasTuner Hyperband", "Optuna TPE, plain fit")
METHODS = (*(f"Unitune {one}" for one in OURS), *PEERS)


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_breast_cancer, load_digits, make_classification

    if name == "digits":
        x, y = load_digits(return_X_y=True)
        x = x / 16
    elif name == "noisy":
        x, y = make_classification(600, 20, n_informative=4, n_redundant=4, flip_y=0.25, random_state=0)
    else:
        x, y = load_breast_cancer(return_X_y=True)
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    order = np.random.default_rng(0).permutation(len(x))  # peers hold out the last rows
    return x[order].astype("float32"), y[order]


DATA = ("digits", "noisy", "cancer")

# Searches: each gives (seconds, trials, configuration) whenever there is a new best ------------------------------

Steps = list[tuple[float, int, dict[str, Any]]]


def ours(strategy: str, data: str, seed: int, *, trials: int | None, seconds: float | None) -> tuple[Steps, float, int]:
    import unitune

    x, y = rows_of(data)
    steps: Steps = []

    class Watch(unitune.Listener):
        n = 0

        def on_trial(self, trial: Any, best: Any) -> None:
            self.n += 1
            if best is not None and (not steps or steps[-1][2] != best.configuration):
                steps.append((time.perf_counter() - began, self.n, dict(best.configuration)))

    watch = Watch()
    keras_is_there()
    began = time.perf_counter()
    unitune.tune(
        x,
        y,
        units=UNITS,
        activations=ACTIVATIONS,
        learning_rates=unitune.Float(*RATES, log=True),
        dropouts=unitune.Float(*DROPOUTS),
        epochs=EPOCHS,
        folds=5,
        strategy=strategy,
        trials=trials or 100_000,
        time_limit_s=seconds,
        seed=seed,
        progress=False,
        callbacks=[watch],
    )
    return steps, time.perf_counter() - began, watch.n


def keras_is_there() -> None:
    from unitune.models import backend

    backend.ensure()


def model_of(configuration: dict[str, Any], n_features: int, n_classes: int) -> Any:
    import keras

    model = keras.Sequential(
        [
            keras.Input((n_features,)),
            keras.layers.Dense(configuration["units"], activation=configuration["activation"]),
            keras.layers.Dropout(configuration["dropout"]),
            keras.layers.Dense(n_classes, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(configuration["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def peer(name: str, data: str, seed: int, *, trials: int, seconds: float) -> tuple[Steps, float, int]:
    x, y = rows_of(data)
    keras_is_there()
    import keras

    keras.utils.set_random_seed(seed)
    held = len(x) // 5
    rows, held_out = (x[:-held], y[:-held]), (x[-held:], y[-held:])
    run = with_optuna if name.startswith("Optuna") else with_keras_tuner
    return run(name, rows, held_out, seed, trials, seconds)


def with_optuna(name: str, rows: Any, held_out: Any, seed: int, trials: int, seconds: float) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    steps: Steps = []
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    began, best, n = time.perf_counter(), -1.0, 0
    while n < trials or time.perf_counter() - began < seconds:
        trial = study.ask()
        configuration = {
            "units": trial.suggest_categorical("units", UNITS),
            "activation": trial.suggest_categorical("activation", ACTIVATIONS),
            "learning_rate": trial.suggest_float("learning_rate", *RATES, log=True),
            "dropout": trial.suggest_float("dropout", *DROPOUTS),
        }
        model = model_of(configuration, rows[0].shape[1], int(rows[1].max()) + 1)
        history = model.fit(*rows, epochs=EPOCHS, batch_size=32, validation_data=held_out, verbose=0).history
        score, n = history["val_accuracy"][-1], n + 1
        study.tell(trial, score)
        if score > best:
            best = score
            steps.append((time.perf_counter() - began, n, configuration))
    return steps, time.perf_counter() - began, n


class _EnoughError(Exception):
    """Both the trials and the seconds are over."""


def with_keras_tuner(name: str, rows: Any, held_out: Any, seed: int, trials: int, seconds: float) -> Any:
    import keras_tuner

    def build(hp: Any) -> Any:
        configuration = {
            "units": hp.Choice("units", UNITS),
            "activation": hp.Choice("activation", ACTIVATIONS),
            "learning_rate": hp.Float("learning_rate", *RATES, sampling="log"),
            "dropout": hp.Float("dropout", *DROPOUTS),
        }
        return model_of(configuration, rows[0].shape[1], int(rows[1].max()) + 1)

    steps: Steps = []
    n = 0

    def watched(base: type) -> type:
        class Watched(base):  # type: ignore[misc,valid-type]
            def on_trial_end(self, trial: Any) -> None:
                nonlocal n
                super().on_trial_end(trial)
                n += 1
                elapsed = time.perf_counter() - began
                (best,) = self.oracle.get_best_trials(1)
                values = {name: best.hyperparameters.values[name] for name in ("units", "activation")}
                values |= {name: float(best.hyperparameters.values[name]) for name in ("learning_rate", "dropout")}
                if not steps or steps[-1][2] != values:
                    steps.append((elapsed, n, values))
                if n >= trials and elapsed >= seconds:
                    raise _EnoughError

        return Watched

    kind = watched(getattr(keras_tuner, name.split()[1]))
    limits = {"max_epochs": EPOCHS, "hyperband_iterations": 100} if "Hyperband" in name else {"max_trials": 100_000}
    with tempfile.TemporaryDirectory() as folder:
        tuner = kind(build, objective="val_accuracy", seed=seed, directory=folder, **limits)
        began = time.perf_counter()
        try:
            fit = {} if "Hyperband" in name else {"epochs": EPOCHS}
            tuner.search(*rows, batch_size=32, validation_data=held_out, verbose=0, **fit)
        except _EnoughError:
            pass
        return steps, time.perf_counter() - began, n


# The yardstick, the table, the picture --------------------------------------------------------------------------


def on_other_folds(data: str, configurations: list[dict[str, Any]]) -> list[float]:
    """The cross-validated accuracy of each configuration, on folds that no search has seen."""
    import unitune

    x, y = rows_of(data)
    found = unitune.tune(
        x,
        y,
        units=UNITS,
        activations=ACTIVATIONS,
        learning_rates=unitune.Float(*RATES, log=True),
        dropouts=unitune.Float(*DROPOUTS),
        epochs=EPOCHS,
        folds=5,
        seed=10_000,
        strategy="random",
        enqueue=configurations,
        trials=len({json.dumps(one, sort_keys=True) for one in configurations}),
        progress=False,
    )
    names = ("units", "activation", "learning_rate", "dropout")
    scores = {
        tuple(t.configuration[name] for name in names): t.scores["accuracy"].mean if t.state == "complete" else 0.0
        for t in found.trials
    }
    return [scores[tuple(one[name] for name in names)] for one in configurations]


def work(options: argparse.Namespace) -> dict[str, Any]:
    """One search in this process: its steps with the yardstick's scores."""
    method, data, seed, trials, seconds = options.worker
    budget = {"trials": int(trials) or None, "seconds": float(seconds) or None}
    steps, elapsed, n = (ours if method in OURS else peer)(method, data, int(seed), **budget)  # type: ignore[arg-type]
    names = ("units", "activation", "learning_rate", "dropout")
    steps = [(s, k, {name: one[name] for name in names}) for s, k, one in steps]
    scores = on_other_folds(data, [one for _, _, one in steps])
    return {"steps": [(s, k, score) for (s, k, _), score in zip(steps, scores, strict=True)], "s": elapsed, "n": n}


def measure(method: str, data: str, seed: int, trials: int, seconds: float) -> dict[str, Any]:
    return dict(run_apart("bench.strategies", "--worker", method, data, seed, trials, seconds))


def reached(run: dict[str, Any], axis: int, limit: float) -> float:
    """The score of what was best at this time (axis 0) or trial (axis 1); NaN before there is any."""
    scores = [step[2] for step in run["steps"] if step[axis] <= limit]
    return scores[-1] if scores else float("nan")


Runs = dict[str, dict[str, dict[str, list[dict[str, Any]]]]]


def compare(options: argparse.Namespace) -> None:
    """Runs what is not in the file of an earlier run yet, a row after another."""
    kept = Path(options.save) if options.save else None
    done: Runs = json.loads(kept.read_text()) if kept and kept.is_file() else {}
    methods = [name for name in METHODS if options.only in name]
    for data in options.data.split(","):
        for method in methods:
            if method not in done.setdefault(data, {}):
                done[data][method] = searches(method, data, options)
                if kept:
                    kept.write_text(json.dumps(done))
            print(row(method, done[data][method], options), file=sys.stderr, flush=True)
    print(table(done, options))
    if options.picture:
        draw({data: {m: each["by_time"] for m, each in runs.items()} for data, runs in done.items()}, options)


def searches(method: str, data: str, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """All searches of a method on a data set: to the number of trials, and to the time."""
    seeds = range(options.seeds)
    if method in PEERS:
        both = [measure(method, data, seed, options.trials, options.seconds) for seed in seeds]
        return {"by_trials": both, "by_time": both}
    name = method.split()[1]
    return {
        "by_trials": [measure(name, data, seed, options.trials, 0) for seed in seeds],
        "by_time": [measure(name, data, seed, 0, options.seconds) for seed in seeds],
    }


def row(method: str, runs: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> str:
    """A method's row of the table."""
    by_trials, by_time = runs["by_trials"], runs["by_time"]
    one = statistics.median(reached(run, 1, options.trials) for run in by_trials)
    took = statistics.median(run["s"] * options.trials / max(run["n"], 1) for run in by_trials)
    other = statistics.median(reached(run, 0, options.seconds) for run in by_time)
    n = statistics.median(run["n"] * min(1.0, options.seconds / run["s"]) for run in by_time)
    return f"| {method} | {_shown(one)} | {took:,.1f} | {_shown(other)} | {n:,.0f} |"


def _shown(score: float) -> str:
    """A score; a dash where at that time no trial was finished."""
    return "–" if np.isnan(score) else f"{score:.4f}"


def table(done: Runs, options: argparse.Namespace) -> str:
    """All rows, a table for each data set."""
    lines = [f"{os.cpu_count()} cores; medians of {options.seeds} seeds; accuracy on 5 folds that no search has seen"]
    for data, runs in done.items():
        lines += ["", f"| {data} | after {options.trials} trials | in s | after {options.seconds:g} s | in trials |"]
        lines += ["| --- | --- | --- | --- | --- |", *(row(method, each, options) for method, each in runs.items())]
    return "\n".join(lines)


def draw(curves: dict[str, dict[str, list[dict[str, Any]]]], options: argparse.Namespace) -> None:
    """The median best score so far against time, a panel for each data set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(curves), 3.6), layout="constrained")
    times = np.geomspace(0.5, options.seconds, 200)
    for panel, (data, runs) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for method, each in runs.items():
            scores = np.array([[reached(run, 0, t) for t in times] for run in each])
            known = np.isfinite(scores).all(axis=0)
            style = {
                "color": f"C{METHODS.index(method)}",
                "linestyle": "--" if method in PEERS else "-",
                "label": method,
            }
            panel.step(times[known], np.median(scores[:, known], axis=0), where="post", **style)
        panel.set(xscale="log", xlabel="seconds", title=data, ylabel="accuracy of the best so far")
        ticks = [t for t in (2, 5, 10, 20, 50, 100, 200) if t <= options.seconds]
        panel.set_xticks(ticks, labels=[str(t) for t in ticks])
        panel.minorticks_off()
    shown = {text: line for panel in figure.axes for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown, loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(options.picture, dpi=130)


# What proposing costs --------------------------------------------------------------------------------------------


def overhead(trials: int, strategy: str) -> None:
    """How much of the wall time of a search is spent proposing, and waiting for proposals."""
    import unitune

    x, y = rows_of("cancer")
    keras_is_there()
    began = time.perf_counter()
    found = unitune.tune(
        x,
        y,
        units="8:128:8",
        activations=["relu", "tanh", "gelu", "sigmoid"],
        layers=[1, 2],
        learning_rates="1e-4:1e-1:log",
        dropouts="0:0.5",
        weight_decays="1e-6:1e-2:log",
        optimizers=["adam", "sgd"],
        batch_sizes=[32, 64],
        epochs=EPOCHS,
        folds=5,
        strategy=strategy,
        trials=trials,
        progress=False,
    )
    wall = time.perf_counter() - began
    spent = found.run.elapsed_s
    report = {
        "strategy": found.run.strategy,
        "trials": len(found.trials),
        "wall_s": round(wall, 1),
        "proposing_s": round(spent.get("proposing", 0.0), 2),
        "waited_s": round(spent.get("waited for proposals", 0.0), 2),
        "waited_share": round(spent.get("waited for proposals", 0.0) / wall, 4),
        "proposing_share": round(spent.get("proposing", 0.0) / wall, 4),
    }
    print(json.dumps(report))


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.strategies", description=__doc__)
    parser.add_argument("--data", default=",".join(DATA), help="names with commas: " + ", ".join(DATA))
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="methods whose name has this in it")
    parser.add_argument("--picture", help="where to draw it")
    parser.add_argument(
        "--save", metavar="FILE", help="where runs are kept; those that it has already are not run again"
    )
    parser.add_argument("--overhead", action="store_true", help="what proposing costs, with --trials and --strategy")
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--worker", nargs=5, metavar=("METHOD", "DATA", "SEED", "TRIALS", "S"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(options)))
    elif options.overhead:
        overhead(options.trials, options.strategy)
    else:
        compare(options)


if __name__ == "__main__":
    main()
