"""Between members and a program's stacked arrays: packing, the hyperparameters, unpacking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.engine.lift.activation import bounds
from unitune.engine.lift.base import ProgramNode, pad
from unitune.engine.lift.optimizer import varying_numbers
from unitune.engine.order import epoch_order
from unitune.engine.program import Program
from unitune.engine.program_key import ProgramKey, State
from unitune.engine.reading import Reading
from unitune.models.build import dropout_seed
from unitune.models.initial import initial_weights
from unitune.models.schedules import factors
from unitune.records import Array

_NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True, kw_only=True, eq=False)
class Slots:
    """The members of a tile, one for each slot; a slot without a member repeats another's job and is not reported."""

    jobs: tuple[Job, ...]
    readings: tuple[Reading, ...]
    real: Array


def fill_slots(slots: Array, jobs: Sequence[Job], readings: Sequence[Reading], key: ProgramKey) -> Slots:
    """Gives every empty slot a job with the activations that the slot is laid out for."""
    real = slots >= 0
    live = [int(i) for i in slots if i >= 0]
    chosen = []
    for place, index in enumerate(slots):
        if index >= 0:
            chosen.append(int(index))
            continue
        # Any job will do: what its slot computes is thrown away, and it cannot touch its neighbours.
        chosen.append(live[place % len(live)])
    return Slots(jobs=tuple(jobs[i] for i in chosen), readings=tuple(readings[i] for i in chosen), real=real)


def stacked_weights(slots: Slots, program: Program, features: int) -> list[Array]:
    """Initial weights `(member, ...)`, narrow ones in the leading corner of zeros."""
    key = program.key
    stacked = [np.zeros(shape, key.dtype) for shape in program.shapes]
    for place, job in enumerate(slots.jobs):
        weights = job.initial_weights
        if weights is None:
            weights = initial_weights(job.blueprint, (features,), job.member.seed, dtype=key.dtype)
        for array, out in zip(weights, stacked, strict=True):
            pad(array, out.shape[1:], out[place])
    return stacked


def hyperparameters(slots: Slots, program: Program) -> State:
    """The members' numbers, masks, seeds and limits, as arrays that lead with the member axis."""
    key, dtype = program.key, program.key.dtype
    jobs, readings = slots.jobs, slots.readings
    hyper: State = {name: {} for name in ("numbers", "unit_mask", "true_width", "widths", "seeds", "choice", "bounds")}
    activation = 0
    for node in key.nodes:
        widths = np.array([reading.widths[node.index] for reading in readings], "int32")
        for name in sorted(node.used):
            values = np.array([reading.nodes[node.index].numbers[name] for reading in readings])
            hyper["numbers"][node.index, name] = values.astype(dtype)
            if name == "rate":
                hyper["numbers"][node.index, "scale"] = (1.0 / (1.0 - values)).astype(dtype)
        if node.padded:
            hyper["unit_mask"][node.index] = np.arange(node.width)[None, None, :] < widths[:, None, None]
        hyper["true_width"][node.index] = widths[:, None, None].astype(dtype)
        if node.kind == "Dropout":
            hyper["widths"][node.index] = widths
            hyper["seeds"][node.index] = _seeds(slots, node)
        if node.kind == "Activation":
            function = readings[0].functions[activation]
            hyper["choice"][node.index] = np.int32(node.functions.index(function))
            if key.probes:
                hyper["bounds"][node.index] = np.array(bounds(function), dtype)
            activation += 1
    own = varying_numbers(key.optimizer, [reading.optimizer for reading in readings])
    hyper["optimizer"] = {name: array.astype(dtype) for name, array in own.items()}
    hyper["epochs"] = np.array([job.training.epochs for job in jobs], "int32")
    if key.stopping:
        early = [job.training.early_stopping for job in jobs]
        hyper["patience"] = np.array([e.patience if e else _NEVER for e in early], "int32")
        hyper["min_delta"] = np.array([abs(e.min_delta) if e else 0.0 for e in early], dtype)
        hyper["restores"] = np.array([bool(e and (e.restore_best_weights or e.keep)) for e in early])
        watched = [(e.monitor, e.maximize) if e else ("val_loss", False) for e in early]
        kept = [e.keep or seen if e else seen for e, seen in zip(early, watched, strict=True)]
        for name, pairs in (("monitor", watched), ("keep", kept)):
            hyper[name] = np.array([_column(program, metric) for metric, _ in pairs], "int32")
            hyper[f"{name}_sign"] = np.array([-1.0 if more else 1.0 for _, more in pairs], dtype)
        hyper["keep_delta"] = np.where([bool(e and e.keep) for e in early], 0.0, hyper["min_delta"]).astype(dtype)
    if key.plateau:
        plateau = [job.training.plateau for job in jobs]
        for name, real in {
            "factor": [p.factor for p in plateau if p],
            "min_delta": [abs(p.min_delta) for p in plateau if p],
            "min": [p.min_lr for p in plateau if p],
            "rate": [job.training.optimizer.learning_rate for job in jobs],
        }.items():
            hyper[f"plateau_{name}"] = np.array(real, dtype)
        for name, whole in {
            "patience": [p.patience for p in plateau if p],
            "cooldown": [p.cooldown for p in plateau if p],
        }.items():
            hyper[f"plateau_{name}"] = np.array(whole, "int32")
    return hyper


def _column(program: Program, metric: str) -> int:
    """Where a metric is in an epoch's row of a history: the training metrics come first."""
    name = metric.removeprefix("val_")
    return program.metrics.index(name) + (len(program.metrics) if name != metric else 0)


def _seeds(slots: Slots, node: ProgramNode) -> Array:
    return np.array(
        [
            dropout_seed(job.member.seed, reading.nodes[node.index].layer)
            for job, reading in zip(slots.jobs, slots.readings, strict=True)
        ],
        "uint32",
    )


def rows_of(split: Split, key: ProgramKey) -> State:
    """A split's rows as a program takes them: validation rows first, then training rows, then copies of the first."""
    n_train, n_val = len(split.x_train), len(split.x_val)
    x = np.zeros((key.all_rows, key.features), key.dtype)
    width = split.x_train.shape[1]
    x[:n_val, :width] = split.x_val
    x[n_val : n_val + n_train, :width] = split.x_train
    y_train, y_val = split.y_train, split.y_val
    y = np.zeros((key.all_rows, *y_train.shape[1:]), "int32" if y_train.dtype.kind in "iu" else key.dtype)
    y[:n_val], y[n_val : n_val + n_train] = y_val, y_train
    rows: State = {"x": x, "y": y, "n_val": np.int32(n_val), "n_train": np.int32(n_train)}
    rows["n_features"] = np.int32(width)
    # A row that only fills up must be a valid one, lest a NaN come from it.
    filler = n_val + n_train
    x[filler:], y[filler:] = x[0], y[0]
    if key.weighted:
        w = np.ones(key.all_rows, key.dtype)
        if split.w_val is not None:
            w[:n_val] = split.w_val
        if split.w_train is not None:
            w[n_val:filler] = split.w_train
        rows["w"] = rows["w_val"] = w
    return rows


def schedule_of(slots: Slots, key: ProgramKey, n_train: int, first_epoch: int) -> State:
    """The order of the rows and the learning rates for the next chunk of epochs."""
    steps = math.ceil(n_train / key.batch_size)
    seed = slots.jobs[0].member.seed
    shuffles = slots.jobs[0].training.shuffle
    longest = max(job.last_epoch for job in slots.jobs)
    epochs = min(key.chunk, longest - first_epoch)
    order = np.zeros((key.chunk, key.train_rows), "int32")
    for i in range(epochs):
        order[i, :n_train] = epoch_order(n_train, seed, first_epoch + i) if shuffles else np.arange(n_train)
    rates = np.zeros((key.chunk, key.train_rows // key.batch_size, len(slots.jobs)), key.dtype)
    tables: dict[Any, Array] = {}
    for place, job in enumerate(slots.jobs):
        training = job.training
        if training.schedule.name == "constant":
            rates[:epochs, :steps, place] = training.optimizer.learning_rate
            continue
        total = training.epochs * steps
        if (training.schedule, total) not in tables:
            tables[training.schedule, total] = factors(training.schedule, total)
        table = tables[training.schedule, total]
        mine = training.optimizer.learning_rate * table[first_epoch * steps : (first_epoch + epochs) * steps]
        full = np.full(epochs * steps, mine[-1] if len(mine) else 0.0)
        full[: len(mine)] = mine
        rates[:epochs, :steps, place] = full.reshape(epochs, steps)
    return {
        "order": order,
        "rates": rates,
        "first_epoch": np.int32(first_epoch),
        "epochs": np.int32(epochs),
        "final": np.bool_(first_epoch + epochs >= longest),
    }


def unpadded(program: Program, slots: Slots, stacked: Sequence[Array], features: int) -> tuple[tuple[Array, ...], ...]:
    """Each member's own weights, in the order of `keras.Model.get_weights()`."""
    members = []
    for place, reading in enumerate(slots.readings):
        weights = []
        width_in, number = features, 0
        for node in reading.nodes:
            for weight in node.weights:
                corner = tuple(slice(size) for size in weight.shape(width_in, node.width))
                weights.append(stacked[number][place][corner])
                number += 1
            width_in = node.width
        members.append(tuple(weights))
    return tuple(members)
