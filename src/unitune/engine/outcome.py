"""What a tile's members did, as the outcome that every engine gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unitune.data.arrays import Split, n_rows, row_shape
from unitune.engine.contract import MemberState, Outcome
from unitune.engine.probes import ACTIVATION_PROBES, UPDATE_PROBES
from unitune.engine.program import Program
from unitune.engine.program_key import State
from unitune.engine.tile import Slots, unpadded
from unitune.records import Array


@dataclass(eq=False)
class Progress:
    """What a member has done so far. `state` is its own part of a tile's state, while it waits between tiles."""

    history: list[Array] = field(default_factory=list)
    rates: list[Array] = field(default_factory=list)
    elapsed_s: float = 0.0
    state: State | None = None


def make_outcome(
    program: Program,
    slots: Slots,
    split: Split,
    state: State,
    result: State,
    places: Array,
    progress: Sequence[Progress],
    states: Sequence[MemberState | None] = (),
) -> Outcome:
    """The outcome of the members at these places of a tile, which have the same layers.

    `states` are those of members that can go on.
    """
    key = program.key
    jobs = tuple(slots.jobs[place] for place in places)
    limit = np.array([job.last_epoch for job in jobs])
    kept = list(state["kept"] if key.stopping else state["weights"])
    if not key.stopping and program.optimizer.uses_ema:
        for index, average in zip(program.trainable, state["averages"], strict=True):
            kept[index] = average
    n_epochs = np.asarray(state["n_epochs"])[places] if key.stopping else limit
    best_epoch = np.asarray(state["best_epoch"])[places] if key.stopping else limit
    longest = int(n_epochs.max())
    history = np.full((len(jobs), longest, len(program.columns)), np.nan, key.dtype)
    rates = np.full((len(jobs), longest), np.nan, key.dtype)
    for place, (mine, n) in enumerate(zip(progress, n_epochs, strict=True)):
        history[place, :n] = np.concatenate(mine.history)[:n]
        rates[place, :n] = np.concatenate(mine.rates)[:n]

    nodes = slots.readings[places[0]].nodes
    probed = dict.fromkeys(ACTIVATION_PROBES, program.hidden) | dict.fromkeys(UPDATE_PROBES, program.products)

    def is_there(name: str, layer: int) -> bool:
        return name not in probed or not nodes[probed[name][layer].index].absent

    def columns(kind: str, name: str | None = None) -> Array:
        chosen = [i for i, (k, n, layer) in enumerate(program.columns) if k == kind and name in (None, n)]
        if kind == "probe":
            chosen = [i for i in chosen if is_there(program.columns[i][1], program.columns[i][2])]
        return history[:, :, chosen]

    if key.plateau:
        rates = rates * columns("rate")[:, :, 0]
    predictions = np.asarray(result["predictions"])[places]
    n_val = n_rows(split.x_val)
    n_all = n_val + n_rows(split.x_train)
    train = columns("train")
    own = unpadded(program, slots, [np.asarray(w) for w in kept], row_shape(split.x_train))
    return Outcome(
        jobs=jobs,
        metrics=program.metrics,
        train=train,
        validation=columns("validation"),
        learning_rate=rates,
        n_epochs=n_epochs,
        best_epoch=best_epoch,
        train_predictions=predictions[:, n_val:n_all],
        validation_predictions=predictions[:, :n_val],
        weights=tuple(own[place] for place in places),
        failures=tuple(failure_of(train[i, :n, 0], predictions[i, :n_all]) for i, n in enumerate(n_epochs)),
        elapsed_s=np.array([mine.elapsed_s for mine in progress]),
        engine="fused",
        probes={name: columns("probe", name) for name in (ACTIVATION_PROBES + UPDATE_PROBES if key.probes else ())},
        states=tuple(states),
    )


def failure_of(losses: Array, predictions: Array) -> str:
    """Why a member counts as failed; empty if it does not."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        return f"the loss was not a finite number from epoch {bad[0] + 1} on: the member diverged"
    if not np.isfinite(predictions).all():
        return "the predictions are not finite numbers: the member diverged"
    return ""
