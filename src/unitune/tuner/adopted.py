"""`compare`: Keras models that the user built, trained on the same folds, side by side."""

from __future__ import annotations

import time
from dataclasses import replace

from unitune.adoption.outputs import check_one_output, read_rows, why_not
from unitune.engine.choose import check_engine
from unitune.models import backend
from unitune.models.adopt import adopt, check_compiled, predicts_logits
from unitune.models.blueprint import EarlyStopping
from unitune.models.description import describe, fingerprint
from unitune.models.source import LiveModel
from unitune.options import Budget, CompareOptions, takes
from unitune.report.progress import all_listeners
from unitune.result import Result
from unitune.search import Grid
from unitune.space import Choice, Hyperparameter, Space
from unitune.tuner.described import describe_call, recorded_call
from unitune.tuner.executors import check_executor, engine_on
from unitune.tuner.failures import Failures
from unitune.tuner.loop import Network
from unitune.tuner.pose import Posed, in_memory, pose, row_options
from unitune.tuner.run import checked_folder, run

TRAINING = ("epochs", "batch_size", "patience", "normalize", "shuffle")


@takes(CompareOptions)
def compare(options: CompareOptions) -> Result:
    """Trains compiled Keras models on the same folds and ranks them.

    Each model starts in every fold from the weights that it has now; the models themselves are left as they are.

    A run goes on only with models that have the weights with which it began: build them after
    `keras.utils.set_random_seed`, or load them.

    Args: ...

    Returns:
        A `Result` whose only hyperparameter is `model`.

    Raises:
        InputError: An argument, a model or the data break a rule.
        TrainingError: Every model failed.

    Example:
        >>> import keras, numpy as np
        >>> x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
        >>> def network(units):
        ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> models = {"small": network(2), "large": network(8)}
        >>> result = compare(models, x, x[:, 0], folds=2, epochs=1, progress=False)
        >>> sorted(result.table()["model"])
        ['large', 'small']
    """
    started = time.perf_counter()
    check_engine(options.engine)
    check_executor(options.executor)
    folder = checked_folder(options)
    models, patience = options.models, options.patience
    backend.ensure()
    for model in models.values():
        check_compiled(model)
    check_one_output(models)
    call = {key: value for key, value in options.changed().items() if key not in ("models", "x", "y")}
    settings = {name: getattr(options, name) for name in TRAINING if getattr(options, name) is not None}
    options = in_memory(options)
    data = read_rows(models, options.x, options.y, normalize=options.normalize, **row_options(options))
    problem, tests, notes = pose(data, options, as_given=True)
    networks, failures = {}, Failures()
    for key, model in models.items():
        design, training, weights = adopt(model, problem.input_shape)
        design = replace(design, source=LiveModel(model, problem.input_shape))
        training = replace(
            training,
            batch_size=options.batch_size,
            epochs=options.epochs,
            early_stopping=None if patience is None else EarlyStopping(patience=patience),
            shuffle=options.shuffle,
        )
        networks[key] = Network(
            blueprint=design,
            training=training,
            initial_weights=weights,
            logits=predicts_logits(training),
        )
        reason = why_not(model, problem.input_shape, data.given)
        if reason:
            failures.add(design, reason)
    space = Space([Hyperparameter("model", Choice(tuple(models)))])
    posed = Posed(
        data=data,
        problem=problem,
        tests=tests,
        notes=notes,
        space=space,
        network=lambda configuration: networks[configuration["model"]],
    )
    with engine_on(options.engine, options.executor) as engine:
        return run(
            posed,
            Grid(space),
            engine=failures.before(engine) if failures else engine,
            budget=Budget(),
            tolerance=options.tolerance,
            started=started,
            listeners=all_listeners(options.progress, options.callbacks),
            kept=options,
            folder=folder,
            command=describe_call("compare", {"models": list(models), **call}),
            settings={
                **{key: value for key, value in recorded_call(settings).items() if key in TRAINING},
                "models": {key: describe(one.blueprint, one.training) for key, one in networks.items()},
                "weights": {key: fingerprint(one.initial_weights or ()) for key, one in networks.items()},
            },
        )
