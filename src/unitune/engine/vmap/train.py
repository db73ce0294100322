"""Trains a tile of vmapped members, an epoch a call, and makes an outcome of what they did."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from unitune.data.arrays import Split, as_inputs
from unitune.engine.callbacks import plateau_numbers, stopping_numbers
from unitune.engine.contract import Job, Outcome
from unitune.engine.order import order_of
from unitune.engine.outcome import failure_of
from unitune.engine.paused import Again
from unitune.engine.program_key import State
from unitune.engine.state import callback_state
from unitune.engine.vmap.program import VmappedProgram
from unitune.models.schedules import factors
from unitune.records import Array

ROWS_PER_PREDICTION = 8_192  # of all members together


def train_tile(
    program: VmappedProgram, jobs: Sequence[Job], splits: Sequence[Split], *, used: Sequence[int], size: int
) -> Outcome:
    """Trains members together.

    Args:
        program: Theirs.
        jobs: The members.
        splits: Among which theirs are.
        used: The numbers of the splits whose rows the program is given, theirs among them.
        size: For how many members the program is compiled; places without one repeat the first.
    """
    import jax

    started = time.perf_counter()
    n = len(jobs)
    filled = [*jobs, *[jobs[0]] * (size - n)]
    dtype, training = str(program.dtype), jobs[0].training
    longest = max(job.last_epoch for job in jobs)
    hyper = _hyper(program, filled, dtype)
    rows = jax.tree.map(jax.numpy.asarray, _rows([splits[number] for number in used]))
    where = np.array([used.index(job.split) for job in filled], "int32")
    rates = np.stack([_rates(job, math.ceil(program.n_train / program.batch_size), longest) for job in filled])
    state = program.first_state(filled) | callback_state(
        size, dtype, stopping=True, further_stops=len(training.further_stopping), plateau=training.plateau is not None
    )
    state["kept"] = [array.copy() for array in (*state["trained"], *state["others"])]
    history: list[Array] = []
    for epoch in range(longest):
        plan = {
            "split": where,
            "order": _orders(filled, program.n_train, epoch),
            "rates": rates[:, epoch].astype(dtype),
            "epoch": np.int32(epoch),
        }
        state, row = program.run(state, hyper, rows, plan)
        history.append(np.asarray(row)[:n])
        if not np.asarray(state["active"])[:n].any():
            break
    predictions = _predictions(program, state["kept"], where, rows["x"])[:n]
    return _outcome(program, jobs, state, np.stack(history, axis=1), rates, predictions, time.perf_counter() - started)


def _hyper(program: VmappedProgram, jobs: Sequence[Job], dtype: str) -> State:
    hyper = stopping_numbers([job.training for job in jobs], program.metrics, dtype)
    hyper["epochs"] = np.array([job.last_epoch for job in jobs], "int32")
    if jobs[0].training.plateau is not None:
        rates = [job.training.optimizer.learning_rate for job in jobs]
        hyper |= plateau_numbers([job.training.plateau for job in jobs], rates, program.metrics, dtype)
    return hyper


def _rows(splits: Sequence[Split]) -> State:
    """The rows of splits of one size `(split, row, ...)`, the training rows first."""

    return {
        "x": _stacked([(split.x_train, split.x_val) for split in splits]),
        "y": _stacked([(split.y_train, split.y_val) for split in splits]),
        "w_train": _weights([split.w_train for split in splits]),
        "w_validation": _weights([split.w_val for split in splits]),
    }


def _stacked(pairs: Sequence[tuple[Any, Any]]) -> Any:
    """Training and validation rows of each split, in the form of `Rows`."""
    whole = [
        [np.concatenate(both) for both in zip(as_inputs(train), as_inputs(held_out), strict=True)]
        for train, held_out in pairs
    ]
    arrays = tuple(np.stack(own) for own in zip(*whole, strict=True))
    return arrays if isinstance(pairs[0][0], list | tuple) else arrays[0]


def _weights(weights: Sequence[Array | None]) -> Array | None:
    given = [one for one in weights if one is not None]
    return np.stack(given) if given else None


def _rates(job: Job, steps: int, longest: int) -> Array:
    """`(epoch, step)`: the learning rates of a member; those after its end are its last."""
    training = job.training
    own = training.optimizer.learning_rate * factors(training.schedule, training.epochs * steps)
    table = own.reshape(training.epochs, steps)[:longest]
    return np.concatenate([table, np.full((longest - len(table), steps), own[-1])])


def _orders(jobs: Sequence[Job], n_rows: int, epoch: int) -> Array:
    """`(member, row)` int32: the order of the rows in an epoch."""
    known: dict[Any, Array] = {}
    keys = [(job.member.seed, job.training.shuffle) for job in jobs]
    for key, job in zip(keys, jobs, strict=True):
        if key not in known:
            known[key] = order_of(job.training, n_rows, job.member.seed, epoch).astype("int32")
    return np.stack([known[key] for key in keys])


def _predictions(program: VmappedProgram, kept: Sequence[Any], where: Array, x: Any) -> Array:
    """`(member, row, output)` at the weights that were kept."""
    n = program.n_train + program.n_val
    blocks = math.ceil(n / max(1, ROWS_PER_PREDICTION // len(where)))
    size = math.ceil(n / blocks)
    found = []
    for first in range(0, n, size):
        # The last block is filled up, so that it needs no function of its own.
        chosen = np.minimum(np.arange(first, first + size), n - 1)
        found.append(np.asarray(program.predict(kept, where, x, chosen))[:, : n - first])
    return np.concatenate(found, axis=1)


def _outcome(
    program: VmappedProgram,
    jobs: Sequence[Job],
    state: State,
    history: Array,
    rates: Array,
    predictions: Array,
    elapsed_s: float,
) -> Outcome:
    """The outcome of members with this `history (member, epoch, column)`."""
    n, n_metrics = len(jobs), len(program.metrics)
    n_epochs = np.asarray(state["n_epochs"])[:n]
    longest = int(n_epochs.max())
    history = np.array(history[:, :longest])
    learning_rate = np.array(rates[:n, :longest, -1])
    history[np.arange(longest) >= n_epochs[:, None]] = np.nan
    learning_rate[np.arange(longest) >= n_epochs[:, None]] = np.nan
    train, validation = history[..., :n_metrics], history[..., n_metrics : 2 * n_metrics]
    if jobs[0].training.plateau is not None:
        learning_rate *= history[..., -1]
    kept = [np.asarray(array) for array in state["kept"]]
    failures = tuple(failure_of(train[i, :last, 0], predictions[i]) for i, last in enumerate(n_epochs))
    goes_on = [
        last == job.last_epoch < job.training.epochs and not failure
        for job, last, failure in zip(jobs, n_epochs, failures, strict=True)
    ]
    return Outcome(
        jobs=tuple(jobs),
        metrics=program.metrics,
        train=train,
        validation=validation,
        learning_rate=learning_rate,
        n_epochs=n_epochs,
        best_epoch=np.asarray(state["best_epoch"])[:n],
        train_predictions=predictions[:, : program.n_train],
        validation_predictions=predictions[:, program.n_train :],
        weights=tuple(program.weights_of(kept, place) for place in range(n)),
        failures=failures,
        elapsed_s=np.full(n, elapsed_s / n),
        engine="vmapped",
        states=tuple(Again() if on else None for on in goes_on) if any(goes_on) else (),
    )
