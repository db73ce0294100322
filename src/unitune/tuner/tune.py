"""`tune`: from data and a few lists to a ranked table and a trained model."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from unitune.data.dataset import Dataset
from unitune.data.folds import make_folds
from unitune.data.load import dataset as read_dataset
from unitune.data.load import like
from unitune.engine.choose import choose_engine
from unitune.engine.contract import Engine
from unitune.errors import OptionError, SaveError, TrainingError
from unitune.models import backend, preprocessing
from unitune.models.activations import base_name
from unitune.models.dense import blueprint, dense_space, training
from unitune.models.heads import head
from unitune.models.initializers import suits
from unitune.models.splits import split_arrays
from unitune.report.progress import Listener, Plan, make_progress
from unitune.result import Result
from unitune.search import Goal, OneAtATime, Strategy, make_strategy
from unitune.space import Space
from unitune.store import Run, check_folder, history_table, member_table
from unitune.tuner.loop import Network, search
from unitune.tuner.problem import Problem, check_number, choose_objective, unscaled, validation_ratio
from unitune.tuner.refit import Refitter

DEFAULT_FOLDS = 5


def tune(
    x: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    units: Any = None,
    activations: Any = None,
    layers: Any = None,
    per_layer: bool | Sequence[str] | None = None,
    optimizers: Any = None,
    learning_rates: Any = None,
    schedules: Any = None,
    dropouts: Any = None,
    weight_decays: Any = None,
    l1: Any = None,
    l2: Any = None,
    batch_normalization: Any = None,
    initializers: Any = None,
    batch_sizes: Any = None,
    epochs: Any = None,
    patience: int | None = None,
    task: str | None = None,
    objective: str | None = None,
    direction: str | None = None,
    folds: int | None = None,
    repeats: int = 1,
    groups: Any = None,
    cv: Any = None,
    time_ordered: bool = False,
    validation_split: float | None = None,
    validation_data: Any = None,
    test_data: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    normalize: Any = "auto",
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    strategy: str = "auto",
    baseline: Mapping[str, Any] | None = None,
    trials: int | None = None,
    time_limit_s: float | None = None,
    engine: str = "auto",
    seed: int = 0,
    out: str | Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
    callbacks: Iterable[Listener] = (),
) -> Result:
    """Trains dense networks of many configurations on the same folds, and ranks them.

    A hyperparameter takes a value (fixed), a list (choices), a range as text (`"16:256:16"`, `"1e-4:1e-2:log"`), or a
    domain (`unitune.Int`, `Float`, `Choice`, `Fixed`).

    Args:
        x: Numbers `(row, feature...)`; a pandas or polars frame; or the path of a CSV or Parquet file.
        y: The target, `(row,)` or `(row, output)`, or the name of its column.
        target: The name of the target's column, instead of `y`.
        units: Units of a hidden layer, 1 or more.
        activations: Names of Keras activations, layers such as `keras.layers.LeakyReLU(0.1)`, or functions.
        layers: How many hidden layers, 1 to 8.
        per_layer: Whether each layer has its own units and activation.
        optimizers: Names of Keras optimizers.
        learning_rates: Above 0.
        schedules: `"constant"`, `"exponential"`, `"cosine"`, `"warmup_cosine"`, `"step"`, `"plateau"`.
        dropouts: Rates in [0, 1).
        weight_decays: Decoupled weight decay, as in AdamW, 0 or more.
        l1, l2: Penalties on the kernels, 0 or more.
        batch_normalization: True or False.
        initializers: Names of Keras initializers; `"auto"` suits the activation.
        batch_sizes: Rows per step.
        epochs: How long to train, at most.
        patience: Stop after so many epochs without improvement of the validation loss, keeping the best weights.
        task: `"binary"`, `"multiclass"` or `"regression"`; inferred from the target.
        objective: The metric that ranks the trials; accuracy for classes and RMSE for regression if not given.
        direction: `"minimize"` or `"maximize"`; must be that of the objective.
        folds: Folds of a cross-validation, stratified for classes; 5, or fewer where a class has fewer rows.
        repeats: How often, with other folds and seeds.
        groups: `(row,)` labels or the name of a column; rows of one group stay in one fold.
        cv: A scikit-learn splitter or pairs of row numbers, instead of `folds`.
        time_ordered: Train on earlier rows, validate on later ones.
        validation_split: Validate once, on this share of the rows (the last ones), instead of `folds`.
        validation_data: Validate once on these rows: `(x, y)`, `(x, y, sample_weight)`, a frame or a path.
        test_data: Likewise; looked at once, at the end (`Result.test_scores`).
        sample_weight: `(row,)` or the name of a column.
        class_weight: From a class to its weight in training, or `"balanced"`.
        normalize: Whether features are normalised inside the model; `"auto"`: where they need it.
        separator, decimal, encoding: Of a CSV file; found if not given.
        strategy: `"grid"`, `"random"`, `"one_at_a_time"`; `"auto"` is a grid where it is small, else random.
        baseline: Values from which `"one_at_a_time"` starts.
        trials: Trials at most.
        time_limit_s: Seconds at most; no trial is started that is not expected to end in time.
        engine: `"auto"` (the fastest for each network), `"fused"` or `"solo"`.
        seed: The seed of everything random, 0 or more.
        out: The folder of run folders; without `out` and `name` nothing is saved (see `Result.save`).
        name: The name of the run folder; the date and time if not given.
        overwrite: Whether an older run of that name may be replaced.
        progress: Whether to tell how it goes, on standard error.
        callbacks: Listeners that are told how it goes.

    Returns:
        A `Result`. After Ctrl-C it holds what was done so far, and `interrupted` is true.

    Raises:
        InputError: An argument or the data break a rule; nothing was trained or written.
        TrainingError: Every trial failed.
        SaveError: The run could not be saved completely; its `result` holds everything.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> result = tune(x, (x[:, 0] > 0).astype(int), units=[2, 4], epochs=2, folds=3, progress=False)
        >>> len(result.trials), result.best.configuration["units"] in (2, 4)
        (2, True)
    """
    call = {key: value for key, value in locals().items() if value is not None}
    started = time.perf_counter()
    check_options(repeats=repeats, trials=trials, time_limit_s=time_limit_s, seed=seed, patience=patience)
    chosen_engine = choose_engine(engine)
    folder = run_folder(out, name)
    if folder is not None:
        check_folder(folder, overwrite=overwrite)
    given = {
        "units": units,
        "activations": activations,
        "layers": layers,
        "per_layer": ("units", "activation") if per_layer is True else per_layer or None,
        "optimizers": optimizers,
        "learning_rates": learning_rates,
        "schedules": schedules,
        "dropouts": dropouts,
        "weight_decays": weight_decays,
        "l1": l1,
        "l2": l2,
        "batch_normalization": batch_normalization,
        "initializers": initializers,
        "batch_sizes": batch_sizes,
        "epochs": epochs,
    }
    space = dense_space(**{key: value for key, value in given.items() if value is not None})
    data = read_dataset(
        x,
        y,
        target=target,
        task=task,
        sample_weight=sample_weight,
        groups=groups,
        class_weight=class_weight,
        normalize=normalize,
        separator=separator,
        decimal=decimal,
        encoding=encoding,
    )
    problem, tests, notes = pose(
        data,
        more_notes=initializer_notes(space),
        objective=objective,
        direction=direction,
        folds=folds,
        repeats=repeats,
        cv=cv,
        time_ordered=time_ordered,
        validation_split=validation_split,
        validation_data=validation_data,
        test_data=test_data,
        seed=seed,
    )
    goal = Goal(metric=problem.objective, direction=problem.direction, validation_ratio=problem.validation_ratio)
    chosen, limit = make_strategy(strategy, space, goal=goal, seed=seed, trials=trials, baseline=baseline)
    task_head = head(data.task, n_classes=data.n_classes or None, n_outputs=data.n_outputs)

    def network(configuration: Mapping[str, Any]) -> Network:
        return Network(
            blueprint=blueprint(configuration, task_head),
            training=training(configuration, task_head, patience=patience),
        )

    return run(
        problem,
        chosen,
        space=space,
        network=network,
        engine=chosen_engine,
        limit=limit,
        time_limit_s=time_limit_s,
        started=started,
        listeners=[*make_progress(progress), *callbacks],
        notes=notes,
        tests=tests,
        command=describe_call("tune", call),
        folder=folder,
        overwrite=overwrite,
    )


def pose(
    data: Dataset,
    *,
    objective: str | None,
    direction: str | None,
    folds: int | None,
    repeats: int,
    cv: Any,
    time_ordered: bool,
    validation_split: float | None,
    validation_data: Any,
    test_data: Any,
    seed: int,
    as_given: bool = False,
    more_notes: Sequence[str] = (),
) -> tuple[Problem, Dataset | None, tuple[str, ...]]:
    """Checks and prepares the rows: the problem, the test rows, and notes for the user.

    With `as_given`, rows keep their shape and regression targets their scale, as the user's own `fit` would have them.
    """
    chosen, natural, metrics = choose_objective(data.task, objective, direction)
    tests = None if test_data is None else _further(data, test_data, "test_data")
    notes = list(data.notes)
    rows = None
    if validation_data is not None:
        held_out = _further(data, validation_data, "validation_data")
        rows = np.arange(data.n_rows, data.n_rows + held_out.n_rows)
        data = data.append(held_out)
    if folds is None and cv is None and validation_split is None and rows is None:
        folds = _default_folds(data)
        if folds < DEFAULT_FOLDS:
            notes.append(f"{folds} folds instead of {DEFAULT_FOLDS}: the smallest class has {folds} rows.")
    made = make_folds(
        data,
        folds=folds,
        repeats=repeats,
        cv=cv,
        time_ordered=time_ordered,
        validation_split=validation_split,
        validation_rows=rows,
        seed=seed,
    )
    backend.ensure()
    splits = []
    prepared: dict[tuple[int, int], Any] = {}
    for fold in made:
        key = (hash(fold.train.tobytes()), len(fold.train))
        if key not in prepared:  # repeats of fixed rows share their statistics
            prepared[key] = preprocessing.fit(data, fold.train, flatten=not as_given)
        split = split_arrays(data, fold, preprocessor=prepared[key])
        splits.append(unscaled(split) if as_given else split)
    notes += [*next(iter(prepared.values())).notes, *more_notes]
    problem = Problem(
        dataset=data,
        folds=made,
        splits=tuple(splits),
        objective=chosen,
        direction=natural,
        metrics=metrics,
        seed=seed,
        validation_ratio=validation_ratio(made),
        as_given=as_given,
    )
    return problem, tests, tuple(notes)


def initializer_notes(space: Space) -> tuple[str, ...]:
    """Which initializers `"auto"` stands for, as a sentence; none where it was not asked for."""
    if not space["initializer"].domain.contains("auto"):
        return ()
    by_initializer: dict[str, list[str]] = {}
    for name in space.names:
        if name.partition("_")[0] != "activation":
            continue
        for value in space[name].domain.values():
            label = str(space.label(name, value))
            found = by_initializer.setdefault(suits(base_name(value)), [])
            if label not in found:
                found.append(label)
    shown = "; ".join(f"{initializer} for {', '.join(labels)}" for initializer, labels in by_initializer.items())
    return (f"Initializers that suit the activation: {shown}.",)


@dataclass(kw_only=True)
class _Phases:
    """Seconds for each phase."""

    last: float
    seconds: dict[str, float]

    def end(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self.last
        self.last = now


def run(
    problem: Problem,
    strategy: Strategy,
    *,
    space: Space,
    network: Callable[[Mapping[str, Any]], Network],
    engine: Engine,
    limit: int | None,
    time_limit_s: float | None,
    started: float,
    listeners: Sequence[Listener],
    notes: Sequence[str],
    tests: Dataset | None,
    command: str,
    folder: Path | None,
    overwrite: bool,
) -> Result:
    """Searches, puts the result together, and saves it where a folder was given."""
    phases = _Phases(last=started, seconds={})
    phases.end("data")
    size = float("inf") if isinstance(strategy, OneAtATime) else space.size
    n_trials = limit if size == float("inf") else int(min(size, limit if limit is not None else size))
    plan = Plan(
        objective=problem.objective,
        direction=problem.direction,
        n_trials=n_trials,
        members_per_trial=problem.n_members,
        strategy=strategy.name,
        engine=engine.name,
        evaluation=problem.evaluation,
        notes=(*notes, *strategy.notes),
    )
    try:
        for listener in listeners:
            listener.on_start(plan)
        found = search(
            problem,
            strategy,
            network=network,
            engine=engine,
            trials=limit,
            time_limit_s=time_limit_s,
            started=started,
            listeners=listeners,
            size=size,
        )
        phases.end("search")
        if not any(trial.state == "complete" for trial in found.trials):
            reason = found.trials[0].failure if found.trials else "no trial was finished"
            raise TrainingError(f"All {len(found.trials):,} trials failed. The first: {reason}.")
        record = Run(
            objective=problem.objective,
            direction=problem.direction,
            metrics=problem.metrics,
            task=problem.dataset.task,
            space=space,
            strategy=strategy.name,
            engine=engine.name,
            seed=problem.seed,
            folds={
                "n_folds": problem.n_folds,
                "repeats": problem.repeats,
                "validation_ratio": problem.validation_ratio,
                "kind": problem.evaluation,
            },
            data=_describe_data(problem),
            elapsed_s=phases.seconds,
            versions=versions(),
            command=command,
            notes=(*notes, *strategy.notes),
            left_out=found.left_out,
            interrupted=found.interrupted,
            logits=tuple(trial.number for trial in found.trials if network(trial.configuration).logits),
            changes=tuple(asdict(c) for c in strategy.changes) if isinstance(strategy, OneAtATime) else (),
        )
        result = Result(
            run=record,
            trials=found.trials,
            members=lambda: member_table(found.blocks),
            histories=lambda: history_table(found.blocks),
            source=Refitter(
                dataset=problem.dataset,
                network=network,
                metrics=problem.metrics,
                seed=problem.seed,
                test_data=tests,
                as_given=problem.as_given,
            ),
        )
        if folder is not None:
            for listener in listeners:
                listener.on_phase("refit")
            result.model()
            phases.end("refit")
            for listener in listeners:
                listener.on_phase("save")
            phases.seconds["total"] = time.perf_counter() - started
            _save(result, folder, overwrite=overwrite)
        else:
            phases.seconds["total"] = time.perf_counter() - started
    finally:
        for listener in listeners:
            listener.on_end()
    return result


def _save(result: Result, folder: Path, *, overwrite: bool) -> None:
    try:
        result.save(folder, overwrite=overwrite)
    except SaveError as error:
        error.result = result
        raise


def run_folder(out: str | Path | None, name: str | None) -> Path | None:
    """Where the run is saved: `out/name`, with `runs` and the date and time where one of them is missing.

    Raises:
        OptionError: The name is no name of a folder.
    """
    if out is None and name is None:
        return None
    if name is not None and (name in ("", ".", "..") or any(mark in name for mark in "/\\\0")):
        raise OptionError(
            "`name` must be the name of a folder, without separators", f"got {name!r}", "Give its place with `out`."
        )
    parent = Path(out) if out is not None else Path("runs")
    if name is not None:
        return parent / name
    stem = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    folder, number = parent / stem, 1
    while folder.exists():
        number += 1
        folder = parent / f"{stem}-{number}"
    return folder


def versions() -> dict[str, str]:
    """Versions of what computed the results."""
    name = backend.backend_name()
    found = {"python": sys.version.split()[0], "backend": name}
    for package in ("unitune", "keras", name, "numpy", "scikit-learn"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            module = sys.modules.get(package)
            found[package] = str(getattr(module, "__version__", "unknown"))
    return found


def describe_call(function: str, call: Mapping[str, Any]) -> str:
    """The command line, or the Python call with the arguments that are short enough to read."""
    if Path(sys.argv[0]).name in ("unitune", "unitune.exe"):
        return shlex.join(["unitune", *sys.argv[1:]])
    defaults = {"repeats": 1, "normalize": "auto", "strategy": "auto", "engine": "auto", "callbacks": ()}
    shown = []
    for key, value in call.items():
        if key in defaults and isinstance(value, type(defaults[key])) and value == defaults[key]:
            continue
        if key == "progress" or value is False:
            continue
        text = repr(value)
        short = isinstance(value, str | int | float | list | tuple | dict | Path) and len(text) <= 200
        shown.append(f"{key}={text if short and 'array(' not in text else '...'}")
    return f"unitune.{function}({', '.join(shown)})"


def _describe_data(problem: Problem) -> dict[str, Any]:
    data = problem.dataset
    return {
        "n_rows": data.n_rows,
        "target": data.target_name,
        "classes": None if data.classes is None else data.classes.tolist(),
        "schema": data.raw_schema.to_json(),
        "standardised": problem.splits[0].y_scale is not None,
        "fingerprint": data.fingerprint,
    }


def _default_folds(data: Dataset) -> int:
    if data.groups is not None:
        return max(2, min(DEFAULT_FOLDS, len(np.unique(data.groups))))
    if data.classes is None:
        return max(2, min(DEFAULT_FOLDS, data.n_rows))
    return max(2, min(DEFAULT_FOLDS, int(np.bincount(data.y, minlength=data.n_classes).min())))


def _further(data: Dataset, given: Any, what: str) -> Dataset:
    """Rows beside the training rows: `(x, y)`, `(x, y, sample_weight)`, or a table that holds the target."""
    if isinstance(given, tuple | list):
        if len(given) not in (2, 3):
            raise OptionError(
                f"`{what}` must be `(x, y)`, `(x, y, sample_weight)`, a frame or a path", f"got {len(given)} items"
            )
        weight = given[2] if len(given) == 3 else None
        return like(data, given[0], given[1], sample_weight=weight, what=what)
    return like(data, given, what=what)


def check_options(*, repeats: Any, trials: Any, time_limit_s: Any, seed: Any, patience: Any) -> None:
    """Refuses numbers that are out of range.

    Raises:
        OptionError: One is.
    """
    check_number("repeats", repeats, low=1, whole=True)
    check_number("seed", seed, low=0, whole=True)
    if trials is not None:
        check_number("trials", trials, low=1, whole=True)
    if patience is not None:
        check_number("patience", patience, low=0, whole=True)
    if time_limit_s is not None:
        check_number("time_limit_s", time_limit_s, low=0)
