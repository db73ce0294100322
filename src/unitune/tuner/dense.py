"""`tune`: from data and a few lists to a ranked table and a trained model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unitune.engine.choose import check_engine
from unitune.engine.device import this_device
from unitune.errors import OptionError
from unitune.models import backend
from unitune.report.progress import Listener, all_listeners
from unitune.result import Result
from unitune.search import Given, Goal, Strategy, make_strategy
from unitune.store import check_folder
from unitune.tuner.budget import check_budget
from unitune.tuner.described import describe_call, recorded_call
from unitune.tuner.executors import check_executor, engine_on
from unitune.tuner.function import Function
from unitune.tuner.nested import check_nested, nested_estimates
from unitune.tuner.objectives import first_of, further_objectives
from unitune.tuner.pose import check_number, check_options, in_memory
from unitune.tuner.posed import function_of, pose_by_function, pose_dense, pose_rows
from unitune.tuner.problem import Problem
from unitune.tuner.references import check_references
from unitune.tuner.run import run, run_folder
from unitune.tuner.spend import check_spend
from unitune.tuner.warm import warm_trials


def tune(
    x: Any,
    y: Any = None,
    *rows: Any,
    target: str | int | Sequence[str] | None = None,
    ignore: str | Sequence[str] | None = None,
    id: str | Sequence[str] | None = None,
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
    objectives: Sequence[str] | None = None,
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
    target_scale: str = "auto",
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    strategy: str | Strategy = "auto",
    baseline: Mapping[str, Any] | None = None,
    enqueue: Sequence[Mapping[str, Any]] | None = None,
    warm_start: Result | str | Path | None = None,
    trials: int | None = None,
    member_limit: int | None = None,
    epoch_limit: int | None = None,
    time_limit_s: float | None = None,
    target_score: float | None = None,
    spend: str | None = None,
    tolerance: float | None = None,
    nested: int | None = None,
    references: Any = "auto",
    engine: str = "auto",
    executor: Any = None,
    seed: int = 0,
    out: str | Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    store: str | None = None,
    keep: int = 0,
    progress: bool = True,
    callbacks: Iterable[Listener] = (),
) -> Result:
    """Trains dense networks of many configurations on the same folds, and ranks them.

    `tune(build_model, x, y, ...)` searches the hyperparameters that a function `build_model(hp)` asks for, or a
    `HyperModel`, in place of those of dense networks; `batch_sizes` and `epochs` are searched beside them.

    A hyperparameter takes a value (fixed), a list (choices), a range as text (`"16:256:16"`, `"1e-4:1e-2:log"`), or a
    domain (`unitune.Int`, `Float`, `Choice`, `Fixed`).

    Args:
        x: Numbers `(row, feature...)`; a pandas or polars frame; or the path or address of a CSV, Parquet or Excel
            file. Where a function builds models with several inputs, a list of arrays in their order, or a dict of them
            by name. Or a `tf.data.Dataset` or `PyDataset` of `(x, y)` or `(x, y, sample_weight)`, which is read into
            memory once.
        y: The target, `(row,)` or `(row, output)`, or the name of its column; None where `x` brings it.
        target: The name of the target's column, instead of `y`; several for several numbers.
        ignore: Columns of a table that are left out.
        id: Columns of a table that are left out, and kept beside the predictions of `Result.predict`.
        units: Units of a hidden layer, 1 or more. Where neither they nor `activations` are given, depth, learning rate,
            dropout and weight decay vary beside both, in as many trials as are worth their time.
        activations: Names of Keras activations, layers such as `keras.layers.LeakyReLU(0.1)`, or functions. Relu, tanh
            and gelu if only `units` are given, and 16 to 256 units if only these are.
        layers: How many hidden layers, 1 to 8; 1 if not given.
        per_layer: Whether each layer has its own units and activation; no if not given.
        optimizers: Names of Keras optimizers; Adam if not given.
        learning_rates: Above 0. If not given 0.003 for Adam where `epochs` are not given either, else the optimizer's
            own.
        schedules: `"constant"`, `"exponential"`, `"cosine"`, `"warmup_cosine"`, `"step"`, `"plateau"`;
            constant if not given.
        dropouts: Rates in [0, 1); 0 if not given.
        weight_decays: Decoupled weight decay, as in AdamW, 0 or more. If not given 0.1 for Adam where `epochs` are not
            given either, else the optimizer's own.
        l1, l2: Penalties on the kernels, 0 or more; 0 if not given.
        batch_normalization: True or False; False if not given.
        initializers: Names of Keras initializers; `"auto"`, which suits the activation, if not given.
        batch_sizes: Rows per step. If not given 32 with `epochs`, else about the root of the rows, from 16 to 512.
        epochs: How long to train, at most. If not given, networks train until the validation loss stops improving, with
            the limit, the patience, the batch size and the learning rate that follow from the rows.
        patience: Stop after so many epochs without improvement of the validation loss, keeping the best weights; with
            `epochs` and without it, all of them are trained.
        task: `"binary"`, `"multiclass"` or `"regression"`; inferred from the target.
        objective: The metric that ranks the trials; accuracy for classes and RMSE for regression if not given.
        objectives: Several objectives: metrics, `"parameters"`, `"seconds"`. The first ranks the trials; `nsga2`,
            `nsga3`, `tpe` and `gp` look for the Pareto front of all (`Result.pareto`).
        direction: `"minimize"` or `"maximize"`; must be that of the objective.
        folds: Folds of a cross-validation, stratified for classes; 5, or fewer where a class has fewer rows.
        repeats: How often, with other folds and seeds.
        groups: `(row,)` labels or the name of a column; rows of one group stay in one fold.
        cv: A scikit-learn splitter or pairs of row numbers, instead of `folds`.
        time_ordered: Train on earlier rows, validate on later ones.
        validation_split: Validate once, on this share of the rows (the last ones), instead of `folds`.
        validation_data: Validate once on these rows: `(x, y)`, `(x, y, sample_weight)`, a frame, a path or
            batches.
        test_data: Likewise; looked at once, at the end (`Result.test_scores`).
        sample_weight: `(row,)` or the name of a column.
        class_weight: From a class to its weight in training, or `"balanced"`; all alike if not given.
        normalize: Whether features are normalised inside the model; `"auto"`: where they need it.
        target_scale: On which scale networks learn a regression's target: `"standard"` (mean 0, standard deviation 1),
            `"log"` (its logarithm is so), or `"auto"`: the logarithm for positive targets with a heavy tail. Scores and
            predictions are in its own units.
        separator, decimal, encoding: Of a CSV file; found if not given.
        header: Whether the first row of a CSV or Excel file holds the names of the columns; found if not given.
        strategy: `"grid"`, `"random"`, `"qmc"`, `"tpe"`, `"gp"`, `"cmaes"`, `"nsga2"`, `"nsga3"`, `"racing"`,
            `"halving"`, `"hyperband"`, `"one-at-a-time"`, or a `unitune.strategy.Strategy`; `"auto"` chooses by space
            and budget, and says why.
        baseline: Values of the first trial, from which `"one-at-a-time"` starts; what is left out is in the middle of
            its domain.
        enqueue: Configurations that are trained next, or parts of them.
        warm_start: A result or run folder on the same rows: its trials are known to the strategy, and its best is
            trained again.
        trials: Trials at most; if nothing limits a search of endlessly many configurations, 100.
        member_limit: Networks at most.
        epoch_limit: Epochs at most, over all networks; no trial is started that could exceed them.
        time_limit_s: Seconds at most, before the refit: no trial is started that is not expected to end in time, and
            what is half-trained then is given up. The first trial is always trained to its end.
        target_score: Begin no further trials once one has reached this mean score in the objective.
        spend: `"repeats"`: what the search leaves of the budget (a third is kept where it would use all) goes to
            repeats of the trials for which they are worth most, until the expected loss is within the tolerance.
        tolerance: What may be given away, in units of the objective, for a cheaper trial (`Result.recommended`), 0 or
            more; a quarter of the standard error of a score if not given. 0 takes the trial of the smallest expected
            loss.
        nested: Outer folds of nested cross-validation, from 2: the whole search again inside each, its winner trained
            on the outer training rows and scored on the others. `Result.estimate` is then this, at `nested` times the
            cost; a time limit is shared, and other limits hold for each search.
        references: Simpler models that are shown beside the trials, on the same folds (`Result.references`):
            `"majority"` (of numbers the mean), `"linear"`, `"boosting"`; False for none. `"auto"`: all three for dense
            networks, boosting only up to 100,000 rows and where it takes no longer than the search.
        engine: `"auto"` (the fastest for each network: plain `fit` where there are too few to compile a program for),
            `"fused"` (programs for all; an error where a network has no fused form) or `"solo"` (`fit` for all).
        executor: Where members are trained: `"threads"` of this process if not given; `"ray"`, or a `unitune.Ray(...)`
            that says how, for the workers of a Ray cluster.
        seed: The seed of everything random, 0 or more.
        out: The folder of run folders; without `out` and `name` nothing is saved (see `Result.save`).
        name: The name of the run folder; the date and time if not given.
        overwrite: Whether an older run of that name may be replaced.
        resume: Whether a run of that name goes on where it stopped; it must be the same search of the same rows. Where
            there is none, one begins. In a shared store, whether this process joins those that work on it.
        store: The URL of a PostgreSQL database (`"postgresql+psycopg://user@host/database"`) in which the run is kept
            and which several processes may share, instead of a file in the run folder.
        keep: Of how many of the best trials the weights of all members are kept in the store (`Result.weights`), 0 or
            more.
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
        >>> result = tune(x, (x[:, 0] > 0).astype(int), units=[2, 4], activations="relu", epochs=2, progress=False)
        >>> len(result.trials), result.best.configuration["units"] in (2, 4)
        (2, True)
    """
    call = {key: value for key, value in locals().items() if value is not None and key != "rows"}
    started = time.perf_counter()
    function = function_of(call, rows)
    check_options(
        repeats=repeats, trials=trials, time_limit_s=time_limit_s, seed=seed, patience=patience, tolerance=tolerance
    )
    check_spend(spend)
    check_nested(nested, cv=cv, validation_data=validation_data)
    kinds = check_references(False if references == "auto" and function is not None else references)
    check_engine(engine)
    check_executor(executor)
    check_number("keep", keep, low=0, whole=True)
    folder = run_folder(out, name, resume=resume, store=store)
    if keep and folder is None:
        raise OptionError("`keep` needs a run folder", "there is none", 'Give it a name: `name="mine"`.')
    if folder is not None:
        check_folder(folder, overwrite=overwrite, resume=resume)
    budget = check_budget(member_limit=member_limit, epoch_limit=epoch_limit, target_score=target_score)
    if nested is not None and not isinstance(strategy, str):
        raise OptionError("with `nested`, `strategy` must be a name", f"got {strategy!r}", "Each search has its own.")
    call |= first_of(objectives, objective)
    arrays = in_memory(call)
    posed = pose_dense(arrays) if function is None else pose_by_function(function, arrays)
    problem, space = posed.problem, posed.space
    more = further_objectives(problem, objectives)
    goal = Goal(
        metric=problem.objective, direction=problem.direction, validation_ratio=problem.validation_ratio, more=more
    )
    given = Given(baseline=baseline, enqueue=enqueue or ())
    if warm_start is not None:
        if not isinstance(warm_start, Result):
            call["warm_start"] = str(Path(warm_start).absolute())
        warm, note = warm_trials(warm_start, problem, space)
        given = replace(given, warm=warm, notes=(note,))
    ends = any(one is not None for one in (time_limit_s, member_limit, epoch_limit))

    def strategy_made() -> tuple[Strategy, int | None]:
        return make_strategy(strategy, space, goal=goal, seed=seed, trials=trials, ends=ends, given=given)

    notes = posed.notes
    if trials is None and not ends and posed.cost is not None:
        trials = posed.cost.trials
        notes = (*notes, posed.cost.sentence(this_device(backend.backend_name()).threads))
    chosen, limit = strategy_made()
    listeners = all_listeners(progress, callbacks)
    with engine_on(engine, executor) as chosen_engine:
        if function is not None:
            chosen_engine = function.failing(chosen_engine)
        outer = {}
        if nested is not None:
            share = None if time_limit_s is None else time_limit_s / (nested + 1)
            outer = nested_estimates(
                posed.data,
                nested,
                pose=lambda data: pose_rows(data, space, arrays, function),
                strategy=strategy_made,
                space=space,
                engine=chosen_engine,
                time_limit_s=share,
                time_ordered=time_ordered,
                spend=spend,
                tolerance=tolerance,
                budget=budget,
                seed=seed,
            )
        return run(
            problem,
            chosen,
            space=space,
            network=posed.network,
            engine=chosen_engine,
            limit=limit,
            time_limit_s=time_limit_s,
            started=started,
            listeners=listeners,
            notes=notes,
            tests=posed.tests,
            command=describe_call("tune", call),
            call=recorded_call(call) | ({} if function is None else {"build_model": function.name}),
            folder=folder,
            overwrite=overwrite,
            spend=spend,
            nested=outer,
            store=store,
            resume=resume,
            keep=keep,
            settings=training_settings(call) | _network_settings(function, problem),
            budget=budget,
            objectives=goal.objectives if goal.more else (),
            tolerance=None if tolerance is None else float(tolerance),
            references=kinds,
            all_references=references != "auto",
            by_steps=posed.by_steps,
        )


def training_settings(call: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that decide what is trained, beside rows and space, as JSON has them."""
    names = ("patience", "target_scale", "normalize", "nested", "spend", "baseline", "enqueue", "objectives")
    return {name: value for name, value in recorded_call(call).items() if name in names}


def _network_settings(function: Function | None, problem: Problem) -> dict[str, Any]:
    """What a function builds first: another function is not to go on with this one's run."""
    return {} if function is None else {"network": function.described(problem.input_shape)}
