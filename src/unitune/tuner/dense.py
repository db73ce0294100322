"""`tune`: from data and a few lists to a ranked table and a trained model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unitune.engine.choose import check_engine
from unitune.engine.device import this_device
from unitune.errors import OptionError
from unitune.models import backend
from unitune.options import TuneOptions, takes
from unitune.report.progress import all_listeners
from unitune.result import Result
from unitune.search import Given, Goal, Halving, Strategy, make_strategy
from unitune.tuner.described import describe_call, recorded_call
from unitune.tuner.executors import check_executor, engine_on
from unitune.tuner.function import Function
from unitune.tuner.nested import nested_estimates
from unitune.tuner.objectives import first_of, further_objectives
from unitune.tuner.pose import in_memory
from unitune.tuner.posed import function_of, pose_by_function, pose_dense, pose_rows
from unitune.tuner.problem import Problem
from unitune.tuner.references import check_references
from unitune.tuner.run import checked_folder, run
from unitune.tuner.warm import warm_trials


@takes(TuneOptions)
def tune(options: TuneOptions) -> Result:
    """Trains dense networks of many configurations on the same folds, and ranks them.

    `tune(build_model, x, y, ...)` searches the hyperparameters that a function `build_model(hp)` asks for, or a
    `HyperModel`, in place of those of dense networks; `batch_sizes` and `epochs` are searched beside them.

    A hyperparameter takes a value (fixed), a list (choices), a range as text (`"16:256:16"`, `"1e-4:1e-2:log"`), or a
    domain (`unitune.Int`, `Float`, `Choice`, `Fixed`).

    Args: ...

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
    started = time.perf_counter()
    function, options = function_of(options)
    no_references = options.references == "auto" and function is not None
    kinds = check_references(False if no_references else options.references)
    check_engine(options.engine)
    check_executor(options.executor)
    folder = checked_folder(options)
    options = first_of(options)
    if isinstance(options.warm_start, str | Path):
        options = replace(options, warm_start=str(Path(options.warm_start).absolute()))
    read = in_memory(options)
    posed = pose_dense(read) if function is None else pose_by_function(function, read)
    problem, space = posed.problem, posed.space
    more = further_objectives(problem, options.objectives)
    goal = Goal(
        metric=problem.objective, direction=problem.direction, validation_ratio=problem.validation_ratio, more=more
    )
    given = Given(baseline=options.baseline, enqueue=options.enqueue or ())
    if options.warm_start is not None:
        warm, note = warm_trials(options.warm_start, problem, space)
        given = replace(given, warm=warm, notes=(note,))
    notes, trials = posed.notes, options.trials
    if trials is None and not options.ends and posed.cost is not None:
        trials = posed.cost.trials
        notes = (*notes, posed.cost.sentence(this_device(backend.backend_name()).threads))

    def strategy_made(trials: int | None) -> tuple[Strategy, int | None]:
        return make_strategy(
            options.strategy, space, goal=goal, seed=options.seed, trials=trials, ends=options.ends, given=given
        )

    call = options.given()
    chosen, limit = strategy_made(trials)
    if isinstance(chosen.referee, Halving) and check_executor(options.executor) is not None:
        raise OptionError(
            f'`strategy="{chosen.referee.name}"` trains in this process',
            f"got `executor={options.executor!r}`",
            "Leave it out, or take another strategy.",
        )
    listeners = all_listeners(options.progress, options.callbacks)
    with engine_on(options.engine, options.executor) as engine:
        if function is not None:
            engine = function.failing(engine)
        outer = {}
        if options.nested is not None:
            outer = nested_estimates(
                posed.data,
                options,
                pose=lambda data: pose_rows(data, space, read, function),
                strategy=lambda: strategy_made(trials),
                engine=engine,
            )
        return run(
            replace(posed, notes=notes),
            chosen,
            engine=engine,
            budget=replace(options, trials=limit),
            tolerance=options.tolerance,
            started=started,
            listeners=listeners,
            kept=options,
            folder=folder,
            command=describe_call("tune", options.changed()),
            call=recorded_call(call) | ({} if function is None else {"build_model": function.name}),
            nested=outer,
            settings=training_settings(call) | _network_settings(function, problem),
            objectives=goal.objectives if goal.more else (),
            references=kinds,
            all_references=options.references != "auto",
        )


__test__ = {"tune": tune}


def training_settings(call: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that decide what is trained, beside rows and space, as JSON has them."""
    names = ("patience", "target_scale", "normalize", "nested", "spend", "baseline", "enqueue", "objectives")
    return {name: value for name, value in recorded_call(call).items() if name in names}


def _network_settings(function: Function | None, problem: Problem) -> dict[str, Any]:
    """What a function builds first: another function is not to go on with this one's run."""
    return {} if function is None else {"network": function.described(problem.input_shape)}
