"""A probe before trust: does a program do to a network what Keras does to the user's own model?

Before a program trains networks of the user's own, one of them is trained on two small batches twice: by the program,
and by `train_step` of the model that the user compiled, from the same weights and seeds. What they logged (the losses
with their penalties, the metrics, on training and on validation rows), what comes out in inference, and the weights
afterwards must be equal to rounding. So whatever was read wrongly, or lost on the way, ends in plain `fit`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitune.data.arrays import Split, as_inputs, n_rows, row_shape, take_rows
from unitune.engine.contract import Job
from unitune.engine.lift.own import users_lifts
from unitune.engine.program import Program
from unitune.engine.program_key import State
from unitune.engine.solo import (
    as_the_inputs_take,
    as_the_loss_takes,
    by_key,
    in_the_log,
    logged_names,
    member_model,
    predict,
    quiet_arrays,
)
from unitune.engine.state import initial_state, tensors
from unitune.engine.tile import Slots, hyperparameters, schedule_of, stacked_weights, unpadded
from unitune.models import backend
from unitune.models.optimizers import learning_rate_schedule
from unitune.records import Array

logger = logging.getLogger(__name__)

HELD_OUT = 5
FURTHER = 3  # rows of the second batch
LARGE = 64  # rows of a batch, from which on one small batch is tried
FEW = 24
# Relative to the largest number of an array: programs are compiled, and so round otherwise than single operations.
TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
OF_CHANGE = 2e-3  # weights may differ by so much of what two steps change
NUDGED = 30.0  # and everything by so many times what half a unit in the last place of the first weights does


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What two small batches did.

    Attributes:
        logs: From a name of `fit`'s logs to its value.
        predictions: `(row, output)` in inference, at the weights after training; None where these are averages of
            which only one side knows.
        weights: In the order of `keras.Model.get_weights()`.
    """

    logs: Mapping[str, float]
    predictions: Array | None
    weights: tuple[Array, ...]


def small_split(split: Split, job: Job) -> Split | None:
    """A few rows of a split: what is tried on; None where there are too few."""
    size = job.training.batch_size
    whole = n_rows(split.x_val) + n_rows(split.x_train)
    held_out = min(HELD_OUT, whole - 1)
    several = len(job.training.outputs) > 1  # whose losses are averaged otherwise where batches differ in size
    further = size if backend.backend_name() == "jax" else FURTHER  # where a batch of another size is compiled apart
    wanted = FEW if size > LARGE else size if several else size + further
    wanted = min(wanted, n_rows(split.x_train))  # an epoch of the program holds no more
    if held_out < 1:
        return None

    def rows(first: int, last: int) -> Callable[[Any, Any], Any]:
        """Rows of both parts, validation rows first, as a program holds them."""
        n = n_rows(split.x_val)

        def taken(held: Any, trained: Any) -> Any:
            if held is None or trained is None:
                return None
            parts = [take_rows(held, slice(first, min(last, n)))] * (first < n)
            parts += [take_rows(trained, slice(max(0, first - n), last - n))] * (last > n)
            if isinstance(held, tuple):
                return tuple(np.concatenate(own) for own in zip(*parts, strict=True))
            return np.concatenate(parts)

        return taken

    val, train = rows(0, held_out), rows(held_out, min(whole, held_out + wanted))
    w_train, w_val = split.w_train, split.w_val
    if w_train is not None or w_val is not None:
        w_train = np.ones(n_rows(split.x_train), "float32") if w_train is None else w_train
        w_val = np.ones(n_rows(split.x_val), "float32") if w_val is None else w_val
    return replace(
        split,
        x_train=train(split.x_val, split.x_train),
        y_train=train(split.y_val, split.y_train),
        w_train=train(w_val, w_train),
        x_val=val(split.x_val, split.x_train),
        y_val=val(split.y_val, split.y_train),
        w_val=val(w_val, w_train),
    )


def by_program(program: Program, slots: Slots, split: Split, small: Split, data: State) -> Seen:
    """What a program does to the member in the first of these slots.

    Args:
        program: Compiled.
        slots: The member, in each of them.
        split: Its rows, all of them.
        small: Those that are tried.
        data: The rows of the split on the device; the first ones are those of `small`.
    """
    key, tensor = program.key, program.backend.tensor
    shape, n_train, n_val = row_shape(split.x_train), n_rows(small.x_train), n_rows(small.x_val)
    plan = schedule_of(slots, key, n_rows(split.x_train), 0)
    plan["order"][0, :n_train] = np.arange(n_train)
    plan |= {"epochs": np.int32(1), "final": np.bool_(True)}
    rows = data | tensors({"n_train": np.int32(n_train), "n_val": np.int32(n_val)}, tensor)
    hyper = tensors(hyperparameters(slots, program, shape), tensor)
    state, result = program.run(
        initial_state(program, stacked_weights(slots, program, shape)), hyper, rows, tensors(plan, tensor)
    )
    history = np.asarray(result["history"])[0, 0]
    prefixes = {"train": "", "validation": "val_"}
    logs = {
        prefixes[kind] + name: float(history[i])
        for i, (kind, name, _) in enumerate(program.columns)
        if kind in prefixes
    }
    averaged = program.optimizer.uses_ema and key.stopping
    return Seen(
        logs=logs,
        predictions=None if averaged else np.asarray(result["predictions"])[0, : n_val + n_train],
        weights=unpadded(program, slots, [np.asarray(w) for w in state["weights"]], shape)[0],
    )


def by_keras(
    job: Job, split: Split, small: Split, *, graph: bool = False, nudge: bool = False
) -> tuple[Seen, tuple[Array, ...]]:
    """What the user's own model does, and the weights that it begins with.

    Args:
        job: The member; its blueprint has a source.
        split: Its rows.
        small: Those that are tried.
        graph: Whether steps are compiled as `fit` compiles them. On TensorFlow that takes longer than all the rest, and
            matters little: a graph rounds half precision otherwise.
        nudge: Whether the first weights are moved by half a unit in their last place: what that changes is rounding.
    """
    with quiet_arrays(), _quiet_tracing(), member_model(job, split, seeded=True) as model:
        first = tuple(np.array(weight) for weight in model.get_weights())
        if nudge:
            rng = np.random.default_rng(0)
            half = {weight.dtype: np.finfo(weight.dtype).eps / 2 for weight in first if weight.dtype.kind == "f"}
            moved = [w * (1 + half.get(w.dtype, 0.0) * rng.choice([-1, 1], w.shape)).astype(w.dtype) for w in first]
            model.set_weights(moved)
        _at_first_rate(model.optimizer, job)
        rows, size = as_the_loss_takes(model, small), job.training.batch_size
        keys, logs = job.blueprint.output_keys, {}
        model.reset_metrics()
        for start in range(0, n_rows(rows.x_train), size):
            chosen = slice(start, start + size)
            logs = _step(
                model, _batch(model, rows.x_train, rows.y_train, rows.w_train, chosen, keys), train=True, graph=graph
            )
        after = tuple(np.array(weight) for weight in model.get_weights())
        model.reset_metrics()
        held_out = _step(
            model, _batch(model, rows.x_val, rows.y_val, rows.w_val, slice(None), keys), train=False, graph=graph
        )
        names = logged_names(model, job.training)
        if not job.training.outputs:
            names = in_the_log(names, logs)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        call = _compiled(model) if graph else model
        predictions = np.concatenate([predict(model, x, call=call) for x in (small.x_val, small.x_train)])
    found = {ours: logs[theirs] for ours, theirs in names.items() if theirs in logs}
    found |= {f"val_{ours}": held_out[theirs] for ours, theirs in names.items() if theirs in held_out}
    return Seen(logs=found, predictions=predictions, weights=after), first


def _at_first_rate(optimizer: Any, job: Job) -> None:
    """Sets the rate with which a callback would begin, which the optimizer does not know of."""
    schedule = job.training.schedule
    if schedule.name == "keras" and learning_rate_schedule(optimizer) is None:
        optimizer.learning_rate = float(schedule.source(0)) * job.training.optimizer.learning_rate


def again_differs(job: Job, split: Split) -> str:
    """In what a model that is built again from its blueprint differs from the user's own; empty where in nothing."""
    small = small_split(split, job)
    if small is None or job.blueprint.source is None:
        return ""
    own, first = by_keras(job, split, small)
    built = replace(job, initial_weights=first, blueprint=replace(job.blueprint, source=None))
    mine, _ = by_keras(built, split, small)
    return difference(mine, own, first, lambda **how: by_keras(job, split, small, **how)[0], str(first[0].dtype))


def told(job: Job, found: str) -> str:
    """The reason for the user that a job's program differs from Keras, after a warning that says what to do."""
    own = sorted({layer.class_name for layer in job.blueprint.layers if "class" in layer.config} & set(users_lifts()))
    lifts = ", ".join(f"`{name}`" for name in own)
    remedy = (
        f"Please see whether the lift{'s' * (len(own) > 1)} registered for {lifts} "
        f"do{'es' * (len(own) < 2)} what the layer{'s do' if len(own) > 1 else ' does'}."
        if own
        else "This is a fault of Unitune's: please report it, with the model."
    )
    logger.warning(
        "A program of `%s` differs from Keras in %s, and so its networks are trained with plain `fit`. %s",
        job.blueprint.name or "the model",
        found,
        remedy,
    )
    return f"its program differs from Keras in {found}"


def _batch(model: Any, x: Any, y: Any, w: Any, chosen: slice, keys: Any) -> tuple[Any, ...]:
    keras = backend.ensure()
    rows = [take_rows(x, chosen), take_rows(y, chosen)]
    given = [tuple(keras.ops.convert_to_tensor(one) for one in as_inputs(part)) for part in rows]
    x, y = (part if len(part) > 1 else part[0] for part in given)
    x, y = as_the_inputs_take(model, x), by_key(y, keys)
    if w is None:
        return x, y
    weights = keras.ops.convert_to_tensor(w[chosen])
    several = isinstance(y, tuple | dict)
    return x, y, by_key(tuple(weights for _ in y), keys) if several else weights


def _compiled(function: Any) -> Any:
    """A function as `fit` compiles it; elsewhere than on TensorFlow that has been done."""
    if backend.backend_name() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function)


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    """TensorFlow advises against tracing as often as a careful look needs it."""
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _step(model: Any, batch: tuple[Any, ...], *, train: bool, graph: bool) -> dict[str, float]:
    """One batch as `fit` would take it."""
    keras = backend.ensure()
    if keras.config.backend() == "tensorflow":
        step = model.train_step if train else model.test_step
        logs = (_compiled(step) if graph else step)(batch)
    else:
        # There it begins with metrics of nothing, unlike within an epoch.
        model.reset_metrics = lambda: None
        try:
            logs = (model.train_on_batch if train else model.test_on_batch)(*batch, return_dict=True)
        finally:
            del model.reset_metrics
    return {name: float(np.asarray(keras.ops.convert_to_numpy(value))) for name, value in logs.items()}


def difference(
    program: Seen, keras: Seen, first: tuple[Array, ...], again: Callable[..., Seen], dtype: str = "float32"
) -> str:
    """In what a program differs from Keras beyond rounding; empty where in nothing.

    Args:
        program, keras: What they did.
        first: The weights before.
        again: As `by_keras`, by `graph` and `nudge`: asked where they seem to differ, to know how much rounding can do.
        dtype: Of the numbers.
    """
    if not _beyond(program, keras, first, dtype, None):
        return ""
    compiled = again(graph=True)
    if not _beyond(program, compiled, first, dtype, None):
        return ""
    return _beyond(program, compiled, first, dtype, again(graph=True, nudge=True))


def _beyond(one: Seen, other: Seen, first: tuple[Array, ...], dtype: str, moved: Seen | None) -> str:
    tolerance = TOLERANCE[dtype]

    def apart(a: Any, b: Any, c: Any, scale: float) -> bool:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return True
        real = np.isfinite(a)
        if not real.any():
            return False
        allowed = scale
        if c is not None:
            further = np.abs(np.asarray(c, np.float64) - b)[real]
            allowed += NUDGED * float(np.nanmax(further, initial=0.0))
        return float(np.abs(a - b)[real].max()) > allowed

    for name, value in one.logs.items():
        if name not in other.logs:
            continue
        mine, theirs = value, other.logs[name]
        scale = tolerance * max(abs(mine), abs(theirs), 1e-3) if math.isfinite(theirs) else 0.0
        if apart(mine, theirs, None if moved is None else moved.logs[name], scale):
            return f"`{name}` ({mine:.6g} for {theirs:.6g})"
    if one.predictions is not None and other.predictions is not None:
        scale = tolerance * float(np.max(np.abs(other.predictions[np.isfinite(other.predictions)]), initial=1e-3))
        if apart(one.predictions, other.predictions, None if moved is None else moved.predictions, scale):
            return "its predictions"
    if len(one.weights) != len(other.weights):
        return "its weights"
    for place, (own, their, before) in enumerate(zip(one.weights, other.weights, first, strict=True)):
        if own.dtype.kind != "f" or own.shape != their.shape:
            if not np.array_equal(own, their):
                return f"weight {place}"
            continue
        change = np.abs(their.astype(np.float64) - before)
        largest = np.abs(their[np.isfinite(their)])
        scale = OF_CHANGE * float(np.max(change[np.isfinite(change)], initial=0.0))
        scale += 16 * float(np.finfo(own.dtype).eps) * float(np.max(largest, initial=0.0))
        if apart(own, their, None if moved is None else moved.weights[place], scale):
            return f"what a step does to weight {place}"
    return ""
