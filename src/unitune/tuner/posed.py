"""From the arguments of `tune` to rows, folds, a space and its networks: for dense networks and for a function's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from unitune.data.dataset import Dataset
from unitune.data.load import dataset as read_dataset
from unitune.errors import OptionError
from unitune.models.activations import base_name
from unitune.models.dense import blueprint, dense_space, training
from unitune.models.heads import head
from unitune.models.initializers import suits
from unitune.models.scaling import learns_log
from unitune.space import Space
from unitune.tuner.defaults import Cost, cost_of_defaults, default_arguments
from unitune.tuner.function import Function, pose_function, read_rows
from unitune.tuner.hypermodel import HyperModel
from unitune.tuner.loop import Network
from unitune.tuner.pose import pose
from unitune.tuner.problem import Problem

SPACE = (
    "units",
    "activations",
    "layers",
    "optimizers",
    "learning_rates",
    "schedules",
    "dropouts",
    "weight_decays",
    "l1",
    "l2",
    "batch_normalization",
    "initializers",
    "batch_sizes",
    "epochs",
)
ROWS = (
    *("target", "ignore", "id", "task", "sample_weight", "groups", "class_weight"),
    *("separator", "decimal", "encoding", "header"),
)
EVALUATION = ("objective", "direction", "folds", "cv", "validation_split", "validation_data", "test_data")


@dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """What the arguments of `tune` mean before anything is searched.

    `data` are the rows without those held out; `cost` is of a default space; `by_steps` says that how long networks
    train follows from the rows.
    """

    data: Dataset
    problem: Problem
    tests: Dataset | None
    notes: tuple[str, ...]
    space: Space
    network: Callable[[Mapping[str, Any]], Network]
    cost: Cost | None = None
    by_steps: bool = False


def pose_dense(call: Mapping[str, Any]) -> Posed:
    """Reads the rows, the space and the folds from arguments of `tune`; those that are missing have their defaults.

    Raises:
        InputError: An argument or the data break a rule.
    """
    space_of(call)  # a mistake in the space is told before any rows are read
    rows: dict[str, Any] = {name: call.get(name) for name in ROWS}
    data = read_dataset(call["x"], call.get("y"), normalize=call.get("normalize", "auto"), **rows)
    log, note = learns_log(data.y, data.task, call.get("target_scale", "auto"))
    data = replace(data, log_target=log, notes=(*data.notes, note) if note else data.notes)
    return pose_rows(data, None, call)


def space_of(call: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Space:
    """The space of dense networks that arguments of `tune` mean, with `defaults` for those that are missing.

    Raises:
        SpaceError: An argument breaks a rule.
    """
    per_layer = call.get("per_layer")
    given = {name: call[name] for name in SPACE if call.get(name) is not None}
    layered = {"per_layer": ("units", "activation") if per_layer is True else per_layer} if per_layer else {}
    return dense_space(**{**(defaults or {}), **given, **layered})


def function_of(call: dict[str, Any], rows: Sequence[Any]) -> Function | None:
    """The model-building function, where `tune` was given one; the rows in `call` are then those after it.

    Raises:
        OptionError: There are too many arguments, or some that belong to dense networks.
    """
    given = call["x"]
    if not (isinstance(given, HyperModel) or callable(given)):
        if rows:
            raise OptionError("`tune` takes `x` and `y`", f"got {2 + len(rows)} arguments without names")
        return None
    if "y" not in call or len(rows) > 1:
        raise OptionError("`tune` takes a function, `x` and `y`", "got no `x`" if "y" not in call else "got more")
    strange = sorted({*SPACE[:-2], "per_layer"} & set(call))
    if strange:
        raise OptionError(
            "a function that builds models has its own hyperparameters",
            f"got `{strange[0]}`",
            f"Ask for it in the function: `hp.Choice({strange[0]!r}, [...])`.",
        )
    call["x"] = call.pop("y")
    if rows:
        call["y"] = rows[0]
    settings = {name: call.get(name) for name in ("batch_sizes", "epochs", "patience")}
    return Function(given, rows=(call["x"], call.get("y")), **settings)


def pose_by_function(function: Function, call: dict[str, Any]) -> Posed:
    """Reads and splits the rows for a function's models.

    Raises:
        InputError: An argument or the data break a rule.
    """
    return pose_rows(read_rows(function, call, ROWS), function.space, call, function)


def pose_rows(data: Dataset, space: Space | None, call: Mapping[str, Any], function: Function | None = None) -> Posed:
    """Splits rows that were read already. Without `space`, that of dense networks follows from them."""
    evaluation: dict[str, Any] = {name: call.get(name) for name in EVALUATION}
    if function is not None:
        assert space is not None
        problem, tests, notes = pose_function(function, data, evaluation, call)
        network = partial(function.network, problem=problem)
        return Posed(data=data, problem=problem, tests=tests, notes=notes, space=space, network=network)
    problem, tests, notes = pose(
        data,
        repeats=call.get("repeats", 1),
        time_ordered=call.get("time_ordered", False),
        seed=call.get("seed", 0),
        **evaluation,
    )
    defaults, learning = default_arguments(call, problem.folds)
    cost = None
    if space is None:
        space = space_of(call, defaults)
        if learning is not None and {"units", "activations"} <= defaults.keys():
            cost = cost_of_defaults(
                learning,
                n_features=math.prod(problem.input_shape),
                n_outputs=data.n_outputs,
                n_members=problem.n_members,
            )
    patience, min_delta = call.get("patience"), 0.0
    if patience is None and learning is not None:
        patience, min_delta = learning.patience, learning.min_delta
        notes = (*notes, str(learning))
    task_head = head(data.task, n_classes=data.n_classes or None, n_outputs=data.n_outputs)

    def dense(configuration: Mapping[str, Any]) -> Network:
        return Network(
            blueprint=blueprint(configuration, task_head),
            training=training(configuration, task_head, patience=patience, min_delta=min_delta),
        )

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
