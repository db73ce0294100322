"""Arrays of single members in a store: checkpoints of unfinished ones, and the weights of the best."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Table, delete, select

from unitune.records import Array
from unitune.store import schema
from unitune.store.arrays import pack, unpack
from unitune.store.members import Key
from unitune.store.run_store import RunStore

State = Mapping[str, Array | Sequence[Array]]


def save_states(store: RunStore, states: Mapping[Key, tuple[int, State]]) -> None:
    """Records where unfinished members stand, in one transaction; an older state of a member is replaced.

    Args:
        store: The run.
        states: From a member to its epoch and its state: arrays, or lists of arrays, by name.
    """
    _save(store, schema.checkpoints, states)


def load_state(store: RunStore, key: Key) -> tuple[int, dict[str, Array | list[Array]]] | None:
    """The epoch and state of an unfinished member; None where none was recorded."""
    return _load(store, schema.checkpoints, key)


def states_of_trials(store: RunStore, first: int, last: int) -> Iterator[tuple[Key, int, State]]:
    """The unfinished members of the trials from `first` to `last`: who each is, its epoch and its state."""
    table = schema.checkpoints
    query = select(table).where(table.c.run_id == store.id, table.c.trial.between(first, last))
    with store.engine.connect() as connection:
        for row in connection.execute(query):
            yield (row.trial, row.fold, row.repeat), row.epoch, _state_of(row)


def drop_states(store: RunStore, keys: Sequence[Key]) -> None:
    """Forgets the states of members: those that have finished need none."""
    with store.engine.begin() as connection:
        for trial, fold, repeat in keys:
            connection.execute(delete(schema.checkpoints).where(*_is(schema.checkpoints, store, (trial, fold, repeat))))


def save_weights(store: RunStore, weights: Mapping[Key, Sequence[Array]]) -> None:
    """Records the weights of members, in the order of `keras.Model.get_weights()`."""
    _save(store, schema.weights, {key: (0, {"weights": list(arrays)}) for key, arrays in weights.items()})


def load_weights(store: RunStore, key: Key) -> list[Array] | None:
    """The weights of a member; None where they were not kept."""
    found = _load(store, schema.weights, key)
    if found is None:
        return None
    return list(found[1]["weights"])


def kept_weights(store: RunStore) -> list[Key]:
    """The members whose weights were kept."""
    table = schema.weights
    query = select(table.c.trial, table.c.fold, table.c.repeat).where(table.c.run_id == store.id)
    with store.engine.connect() as connection:
        return sorted((row.trial, row.fold, row.repeat) for row in connection.execute(query))


def drop_weights(store: RunStore, trials: Sequence[int]) -> None:
    """Forgets the weights of trials that are no longer among the best."""
    table = schema.weights
    with store.engine.begin() as connection:
        connection.execute(delete(table).where(table.c.run_id == store.id, table.c.trial.in_(list(trials))))


def _save(store: RunStore, table: Table, states: Mapping[Key, tuple[int, State]]) -> None:
    if not states:
        return
    rows = []
    for (trial, fold, repeat), (epoch, state) in states.items():
        arrays: dict[str, Array] = {}
        lists = {}
        for name, value in state.items():
            if isinstance(value, list | tuple):
                lists[name] = len(value)
                arrays |= {f"{name}/{position}": array for position, array in enumerate(value)}
            else:
                arrays[name] = np.asarray(value)
        rows.append(
            {"run_id": store.id, "trial": trial, "fold": fold, "repeat": repeat, "epoch": epoch}
            | {"names": json.dumps({"lists": lists}), "arrays": pack(arrays)}
        )
    with store.engine.begin() as connection:
        for key in states:
            connection.execute(delete(table).where(*_is(table, store, key)))
        connection.execute(table.insert(), rows)


def _load(store: RunStore, table: Table, key: Key) -> tuple[int, dict[str, Array | list[Array]]] | None:
    query = select(table.c.epoch, table.c.names, table.c.arrays).where(*_is(table, store, key))
    with store.engine.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else (row.epoch, _state_of(row))


def _state_of(row: Any) -> dict[str, Array | list[Array]]:
    arrays: dict[str, Array | list[Array]] = dict(unpack(row.arrays))
    for name, length in json.loads(row.names)["lists"].items():
        arrays[name] = [arrays.pop(f"{name}/{position}") for position in range(length)]  # type: ignore[misc]
    return arrays


def _is(table: Table, store: RunStore, key: Key) -> tuple[ColumnElement[bool], ...]:
    trial, fold, repeat = key
    return table.c.run_id == store.id, table.c.trial == trial, table.c.fold == fold, table.c.repeat == repeat
