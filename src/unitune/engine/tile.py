"""Between members and a program's stacked arrays: packing, the hyperparameters, unpacking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.data.arrays import Split, as_inputs, n_rows
from unitune.engine.callbacks import plateau_numbers, stopping_numbers
from unitune.engine.contract import Job
from unitune.engine.graph import Reading
from unitune.engine.lift.activation import bounds
from unitune.engine.lift.base import ProgramNode
from unitune.engine.lift.several_optimizers import optimizer_numbers
from unitune.engine.lift.widths import Layout, corner, layout_width, leads, places
from unitune.engine.order import order_of
from unitune.engine.program import Program
from unitune.engine.program_key import ProgramKey, State
from unitune.engine.stretch import laid_out
from unitune.models.build import dropout_seed, initial_weights, layer_seed
from unitune.models.schedules import factors
from unitune.models.shapes import as_shapes
from unitune.records import Array


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
    own = {i: laid_into(readings[i], key) for i in chosen}
    return Slots(jobs=tuple(jobs[i] for i in chosen), readings=tuple(own[i] for i in chosen), real=real)


def laid_into(reading: Reading, key: ProgramKey) -> Reading:
    """A network as one of a program's layers, of which it may lack some."""
    found = laid_out(reading, key.nodes)
    assert found is not None, "a member was planned for a program of other layers"
    return found


def alike(slots: Slots, chosen: Array) -> list[Array]:
    """The places among those that are chosen, together for members that have the same layers."""
    places: dict[tuple[bool, ...], list[int]] = {}
    for place in np.flatnonzero(chosen).tolist():
        places.setdefault(tuple(node.absent for node in slots.readings[place].nodes), []).append(place)
    return [np.array(own) for own in places.values()]


def present(program: Program, reading: Reading) -> list[int]:
    """The places of a member's own weights among a program's."""
    return [i for i, (node, _) in enumerate(program.weight_nodes) if not reading.nodes[node.index].absent]


def stacked_weights(slots: Slots, program: Program, input_shape: tuple[Any, ...]) -> list[Array]:
    """Initial weights `(member, ...)`, narrow ones among zeros."""
    key = program.key
    stacked = [np.zeros(shape, key.dtype) for shape in program.shapes]
    for place, job in enumerate(slots.jobs):
        weights = job.initial_weights
        if weights is None:
            weights = initial_weights(job.blueprint, input_shape, job.member.seed, dtype=key.dtype)
        own = _own_corners(program, slots.readings[place], input_shape)
        for array, i in zip(weights, present(program, slots.readings[place]), strict=True):
            stacked[i][place][own[i]] = array
    return stacked


def _widths(program: Program, reading: Reading, input_shape: tuple[Any, ...]) -> tuple[dict[int, int], dict[int, int]]:
    """The widths of a member's nodes and inputs, its own and the padded ones."""
    own = dict(enumerate(reading.widths))
    own |= {-1 - k: int(shape[-1]) for k, shape in enumerate(as_shapes(input_shape))}
    padded = {node.index: node.width for node in program.key.nodes}
    padded |= {-1 - k: shape[-1] for k, (shape, _) in enumerate(program.key.inputs)}
    return own, padded


def _own_corners(program: Program, reading: Reading, input_shape: tuple[Any, ...]) -> list[Any]:
    """What indexes each stacked weight, without its member axis, by the places of a member's own."""
    own, padded = _widths(program, reading, input_shape)
    return [
        corner([_axis_places(node, axis, program, own, padded) for axis in weight.axes])
        for node, weight in program.weight_nodes
    ]


def _axis_places(
    node: ProgramNode, axis: Any, program: Program, own: dict[int, int], padded: dict[int, int]
) -> Array | slice:
    if isinstance(axis, int):
        return slice(0, axis)
    name, times = axis if isinstance(axis, tuple) else (axis, 1)
    layout: Layout = node.layout
    if name != "out":
        source = node.inputs[int(name[2:] or 0)]
        layout = program.key.nodes[source].layout if source >= 0 else (source,)
    return places(((times, layout),) if times > 1 else layout, own, padded)


def hyperparameters(slots: Slots, program: Program, input_shape: tuple[Any, ...]) -> State:
    """The members' numbers, masks, seeds and limits, as arrays that lead with the member axis."""
    key, dtype = program.key, program.key.dtype
    jobs, readings = slots.jobs, slots.readings
    names = ("numbers", "unit_mask", "true_width", "widths", "units", "seeds", "choice", "bounds", "real")
    hyper: State = {name: {} for name in names}
    activation = 0
    for node in key.nodes:
        widths = np.array([reading.widths[node.index] for reading in readings], "int32")
        for name in sorted(node.used):
            values = np.array([reading.nodes[node.index].numbers.get(name, 0.0) for reading in readings])
            hyper["numbers"][node.index, name] = values.astype(dtype)
            if name.endswith("rate"):
                hyper["numbers"][node.index, name.replace("rate", "scale")] = (1.0 / (1.0 - values)).astype(dtype)
        if node.padded and leads(node.layout):
            hyper["unit_mask"][node.index] = np.arange(node.width)[None, None, :] < widths[:, None, None]
        elif node.padded:
            units = _units(node, program, readings, input_shape)
            hyper["unit_mask"][node.index] = (units >= 0)[:, None, :]
            if node.random:
                hyper["units"][node.index] = units
        if any(name.endswith("_l1") for name in node.used) and not _prefixes(node, program):
            hyper["real"][node.index] = _real_weights(node, program, readings, input_shape)
        hyper["true_width"][node.index] = widths[:, None, None].astype(dtype)
        if node.random:
            hyper["widths"][node.index] = widths
            hyper["seeds"][node.index] = _seeds(slots, node, key.backend)
        if node.kind == "Activation":
            function = readings[0].functions[activation]
            hyper["choice"][node.index] = np.int32(node.functions.index(function))
            if key.probes:
                hyper["bounds"][node.index] = np.array(bounds(function), dtype)
            activation += 1
    hyper["optimizer"] = optimizer_numbers(key.optimizers, [reading.optimizer for reading in readings], dtype)
    hyper["epochs"] = np.array([job.training.epochs for job in jobs], "int32")
    if key.weighs_losses:
        hyper["loss_weights"] = np.array([reading.loss_weights for reading in readings], dtype)
    if key.stopping:
        hyper |= stopping_numbers([job.training for job in jobs], program.metrics, dtype)
    if key.plateau:
        rates = [job.training.optimizer.learning_rate for job in jobs]
        hyper |= plateau_numbers([job.training.plateau for job in jobs], rates, program.metrics, dtype)
    return hyper


def _units(node: ProgramNode, program: Program, readings: Sequence[Reading], input_shape: tuple[Any, ...]) -> Array:
    """`(member, width)` int32: the number of a member's own unit at each padded place, -1 where it has none."""
    units = np.full((len(readings), node.width), -1, "int32")
    for member, reading in enumerate(readings):
        own, padded = _widths(program, reading, input_shape)
        units[member, places(node.layout, own, padded)] = np.arange(layout_width(node.layout, own))
    return units


def _prefixes(node: ProgramNode, program: Program) -> bool:
    """Whether a node is a plain product of widths that each start at the first place."""
    source = node.inputs[0]
    return node.kind == "Dense" and (source < 0 or leads(program.key.nodes[source].layout))


def _real_weights(
    node: ProgramNode, program: Program, readings: Sequence[Reading], input_shape: tuple[Any, ...]
) -> list[Array]:
    """For each weight of a node, `(member, ...)` bool: which of its places are a member's own."""
    chosen = [i for i, (owner, _) in enumerate(program.weight_nodes) if owner.index == node.index]
    masks = [np.zeros(program.shapes[i], bool) for i in chosen]
    for member, reading in enumerate(readings):
        corners = _own_corners(program, reading, input_shape)
        for i, mask in zip(chosen, masks, strict=True):
            mask[member][corners[i]] = True
    return masks


def _seeds(slots: Slots, node: ProgramNode, backend: str) -> Array:
    # As `keras.random` takes a seed of the user's: TensorFlow's generators by the remainder, JAX's 32 bits of it.
    fold = 2**31 - 2 if backend == "tensorflow" else 2**32
    seeds = []
    for job, reading in zip(slots.jobs, slots.readings, strict=True):
        layer, part = reading.nodes[node.index].layer, reading.nodes[node.index].part
        seed = layer_seed(job.blueprint.layers[layer], job.member.seed, layer)
        seeds.append((dropout_seed(seed, part) if part else seed) % fold)
    return np.array(seeds, "uint32")


def by_number(key: ProgramKey) -> tuple[bool, ...]:
    """For each output whether its loss takes class numbers."""
    return tuple(output.loss[0].startswith("sparse_") for output in key.outputs)


def rows_of(split: Split, key: ProgramKey) -> State:
    """A split's rows as a program takes them: validation rows first, then training rows, then copies of the first."""
    n_train, n_val = n_rows(split.x_train), n_rows(split.x_val)
    filler = n_val + n_train
    inputs = []
    for (shape, dtype), mine, held_out in zip(
        key.inputs, as_inputs(split.x_train), as_inputs(split.x_val), strict=True
    ):
        x = np.zeros((key.all_rows, *shape), dtype)
        width = mine.shape[-1]
        x[:n_val, ..., :width] = held_out
        x[n_val:filler, ..., :width] = mine
        inputs.append(x)
    targets = []
    for numbers, mine, held_out in zip(by_number(key), as_inputs(split.y_train), as_inputs(split.y_val), strict=True):
        # Class numbers `(row,)`, or numbers `(row, output)`, in whatever form they were given, also by position.
        size = math.prod(mine.shape[1:])
        shape = (-1,) if numbers and size == 1 else (-1, size)
        mine, held_out = mine.reshape(shape), held_out.reshape(shape)
        y = np.zeros((key.all_rows, *mine.shape[1:]), "int32" if numbers else key.dtype)
        y[:n_val], y[n_val:filler] = held_out, mine
        targets.append(y)
    rows: State = {"x": inputs, "y": targets, "n_val": np.int32(n_val), "n_train": np.int32(n_train)}
    rows["n_features"] = [np.int32(x.shape[-1]) for x in as_inputs(split.x_train)]
    # A row that only fills up must be a valid one, lest a NaN come from it.
    for array in (*inputs, *targets):
        array[filler:] = array[0]
    if key.weighted:
        w = np.ones(key.all_rows, key.dtype)
        if split.w_val is not None:
            w[:n_val] = split.w_val
        if split.w_train is not None:
            w[n_val:filler] = split.w_train
        rows["w"] = rows["w_val"] = w
    return rows


def schedule_of(slots: Slots, key: ProgramKey, n_train: int, first_epoch: int, at_most: int | None = None) -> State:
    """The order of the rows and the learning rates for the next epochs: a chunk of them, or `at_most` so many."""
    steps = math.ceil(n_train / key.batch_size)
    first = slots.jobs[0]
    longest = max(job.last_epoch for job in slots.jobs)
    epochs = min(key.chunk, longest - first_epoch, at_most or key.chunk)
    order = np.zeros((key.chunk, key.train_rows), "int32")
    for i in range(epochs):
        order[i, :n_train] = order_of(first.training, n_train, first.member.seed, first_epoch + i)
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


def unpadded(
    program: Program, slots: Slots, stacked: Sequence[Array], input_shape: tuple[Any, ...]
) -> tuple[tuple[Array, ...], ...]:
    """Each member's own weights, in the order of `keras.Model.get_weights()`."""
    own = []
    for place, reading in enumerate(slots.readings):
        corners = _own_corners(program, reading, input_shape)
        own.append(tuple(stacked[i][place][corners[i]] for i in present(program, reading)))
    return tuple(own)
