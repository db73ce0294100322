"""From the options of `tune` to rows, folds, a space and its networks: for dense networks and for a function's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from unitune.adoption.hypermodel import HyperModel
from unitune.adoption.outputs import read_rows
from unitune.data.dataset import Dataset
from unitune.data.load import dataset as read_dataset
from unitune.errors import OptionError
from unitune.models.activations import base_name
from unitune.models.dense import blueprint, dense_space, training
from unitune.models.heads import head
from unitune.models.initializers import suits
from unitune.models.scaling import learns_log
from unitune.options import SPACE, TuneOptions
from unitune.space import Space
from unitune.tuner.defaults import cost_of_defaults, default_arguments, seconds_of_the_end, within
from unitune.tuner.function import Function
from unitune.tuner.loop import Network
from unitune.tuner.pose import Posed, pose, row_options


def pose_dense(options: TuneOptions) -> Posed:
    """Reads the rows, the space and the folds.

    Raises:
        InputError: An option or the data break a rule.
    """
    dense_space(**options.space())  # a mistake in the space is told before any rows are read
    data = read_dataset(options.x, options.y, normalize=options.normalize, **row_options(options))
    log, note = learns_log(data.y, data.task, options.target_scale)
    data = replace(data, log_target=log, notes=(*data.notes, note) if note else data.notes)
    return pose_rows(data, None, options)


def function_of(options: TuneOptions) -> tuple[Function | None, TuneOptions]:
    """The model-building function, where `tune` was given one; the rows of the options are then those after it.

    Raises:
        OptionError: There are too many arguments, or some that belong to dense networks.
    """
    given = options.x
    if not (isinstance(given, HyperModel) or callable(given)):
        if options.rows is not None:
            raise OptionError("`tune` takes `x` and `y`", "got 3 arguments without names")
        return None, options
    if options.y is None:
        raise OptionError("`tune` takes a function, `x` and `y`", "got no `x`")
    strange = sorted(({*SPACE, "per_layer"} - {"batch_sizes", "epochs"}) & options.given().keys())
    if strange:
        raise OptionError(
            "a function that builds models has its own hyperparameters",
            f"got `{strange[0]}`",
            f"Ask for it in the function: `hp.Choice({strange[0]!r}, [...])`.",
        )
    options = replace(options, x=options.y, y=options.rows, rows=None)
    function = Function(
        given,
        batch_sizes=options.batch_sizes,
        epochs=options.epochs,
        patience=options.patience,
        rows=(options.x, options.y),
    )
    return function, options


def pose_by_function(function: Function, options: TuneOptions) -> Posed:
    """Reads and splits the rows for a function's models.

    Raises:
        InputError: An option or the data break a rule.
    """
    normalize = False if options.normalize == "auto" else options.normalize
    data = read_rows({"model": function.first}, options.x, options.y, normalize=normalize, **row_options(options))
    return pose_rows(data, function.space, options, function)


def pose_rows(data: Dataset, space: Space | None, options: TuneOptions, function: Function | None = None) -> Posed:
    """Splits rows that were read already. Without `space`, that of dense networks follows from them."""
    # The rows that a function's models take keep their shape and scale, as in the user's own `fit`.
    problem, tests, notes = pose(data, options, as_given=function is not None)
    if function is not None:
        assert space is not None
        network = partial(function.network, problem=problem)
        return Posed(data=data, problem=problem, tests=tests, notes=notes, space=space, network=network)
    defaults, learning = default_arguments(options.given(), problem.folds)
    cost = None
    sizes = {
        "n_features": math.prod(problem.input_shape),
        "n_outputs": data.n_outputs,
        "n_members": problem.n_members,
    }
    if learning is not None and options.time_limit_s is not None:
        learning = within(learning, options.time_limit_s - seconds_of_the_end(options.time_limit_s), **sizes)
    if space is None:
        space = dense_space(**{**defaults, **options.space()})
        if learning is not None and {"units", "activations"} <= defaults.keys():
            cost = cost_of_defaults(learning, **sizes)
    patience, min_delta = options.patience, 0.0
    if patience is None and learning is not None:
        patience, min_delta = learning.patience, learning.min_delta
        notes = (*notes, str(learning))
    task_head = head(data.task, n_classes=data.n_classes or None, n_outputs=data.n_outputs)

    def dense(configuration: Mapping[str, Any]) -> Network:
        how = training(configuration, task_head, patience=patience, min_delta=min_delta)
        if learning is not None:  # a time limit is no part of the space, and another one may be given to go on
            how = replace(how, epochs=min(how.epochs, learning.epochs))
        return Network(blueprint=blueprint(configuration, task_head), training=how)

    return Posed(
        data=data,
        problem=problem,
        tests=tests,
        notes=(*notes, *initializer_notes(space)),
        space=space,
        network=dense,
        cost=cost,
        by_steps=learning is not None,
    )


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
