"""One run in a store: what was asked for, what its members did, whole chunks at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Table, bindparam, delete, func, insert, null, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from unitune.records import Trial
from unitune.store import schema
from unitune.store.blocks import block_of, chunk_row, member_rows, prediction_bytes
from unitune.store.members import Key, MemberBlock, keys_of, only, pick

CHUNKS_AT_A_TIME = 100
SCORE_PARTS = ("mean", "std", "low", "high", "train")


class RunStore:
    """A run in a store. `unitune.store.Database` makes and finds it.

    Attributes:
        engine: SQLAlchemy's.
        id, name: The run's number and name in the store.
        where: The store's name for messages.
        shared: Whether several drivers may work on it.
        driver_id: Who writes, once `unitune.store.claims.Driver` has said so.
    """

    def __init__(self, engine: Engine, number: int, name: str, *, where: str, shared: bool) -> None:
        self.engine = engine
        self.id = number
        self.name = name
        self.where = where
        self.shared = shared
        self.driver_id: int | None = None

    # The run itself ---------------------------------------------------------------------------------------------

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change while the run goes on."""
        return dict(json.loads(self._get(schema.runs.c.identity)))

    @property
    def record(self) -> dict[str, Any]:
        """`Run.to_json()`, as far as it is known."""
        return dict(json.loads(self._get(schema.runs.c.record)))

    @property
    def state(self) -> str:
        """`"running"` (also after a crash), `"interrupted"` or `"finished"`."""
        return str(self._get(schema.runs.c.state))

    @property
    def elapsed_s(self) -> float:
        """Seconds that the run has taken so far, without the pauses between its sessions."""
        return float(self._get(schema.runs.c.elapsed_s))

    def _get(self, column: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(select(column).where(schema.runs.c.id == self.id)).scalar_one()

    def update(self, **values: Any) -> None:
        """Sets `state`, `elapsed_s`, or `record` (as JSON has it)."""
        if "record" in values:
            values["record"] = json.dumps(values["record"])
        with self.engine.begin() as connection:
            connection.execute(update(schema.runs).where(schema.runs.c.id == self.id).values(**values))

    def delete(self) -> None:
        """Removes the run with everything in it."""
        with self.engine.begin() as connection:
            connection.execute(delete(schema.runs).where(schema.runs.c.id == self.id))

    def agree_on(self, name: str, value: Any) -> Any:
        """A part of the identity that the first driver decides: as it was recorded, otherwise `value`, recorded now."""
        with self.locked() as connection:
            own = schema.runs.c.id == self.id
            identity = json.loads(connection.execute(select(schema.runs.c.identity).where(own)).scalar_one())
            agreed = identity.setdefault(name, value)
            connection.execute(update(schema.runs).where(own).values(identity=json.dumps(identity)))
        return agreed

    # What was asked ---------------------------------------------------------------------------------------------

    def agree(self, number: int, wanted: int) -> int:
        """How many configurations the strategy is asked for at its `number`-th time: `wanted`, or what was recorded."""
        self._insert_new(schema.asks, [{"number": number, "wanted": wanted}])
        recorded = self.asked(number)
        assert recorded is not None
        return recorded

    def asked(self, number: int) -> int | None:
        """What was recorded of the `number`-th time; None where it has not come yet."""
        query = select(schema.asks.c.wanted).where(schema.asks.c.run_id == self.id, schema.asks.c.number == number)
        with self.engine.connect() as connection:
            return connection.execute(query).scalar()

    def begin(self, first: int, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Records trials that are about to be trained, unless they are known.

        Args:
            first: The number of the first.
            rows: For each its `configuration` (labels), `n_parameters` and `logits`.

        Returns:
            The rows as they are recorded.
        """
        new = [
            {
                "number": first + offset,
                "state": "running",
                **row,
                "configuration": json.dumps(row["configuration"]),
            }
            for offset, row in enumerate(rows)
        ]
        self._insert_new(schema.trials, new)
        table = schema.trials
        query = (
            select(table.c.configuration, table.c.n_parameters, table.c.logits)
            .where(table.c.run_id == self.id, table.c.number >= first, table.c.number < first + len(rows))
            .order_by(table.c.number)
        )
        with self.engine.connect() as connection:
            return [
                {**row, "configuration": json.loads(row["configuration"])}
                for row in connection.execute(query).mappings()
            ]

    def _insert_new(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows whose key is not there yet."""
        if not rows:
            return
        with self.engine.begin() as connection:
            connection.execute(
                self._dialect_insert(table).on_conflict_do_nothing(), [{"run_id": self.id, **row} for row in rows]
            )

    def _dialect_insert(self, table: Table) -> Any:
        return (sqlite if self.engine.dialect.name == "sqlite" else postgresql).insert(table)

    # What came of it --------------------------------------------------------------------------------------------

    def add(self, blocks: Sequence[MemberBlock], finished: Sequence[Trial], *, elapsed_s: float = 0.0) -> None:
        """Records blocks of members, and trials that are finished with them, in one transaction.

        Members that are recorded already are left out: nobody else's work is replaced.

        Args:
            blocks: Members that were trained.
            finished: Trials that are complete, or have failed, with them.
            elapsed_s: How long the run has taken so far.
        """
        try:
            with self.engine.begin() as connection:
                self._add(connection, blocks, finished, elapsed_s)
        except IntegrityError:
            # Another driver was quicker, or the answer to an earlier attempt was lost on its way.
            with self.engine.begin() as connection:
                known = self._known(connection, [key for block in blocks for key in keys_of(block)])
                new = [pick(b, np.array([key not in known for key in keys_of(b)])) for b in blocks]
                self._add(connection, [block for block in new if len(block.trial)], finished, elapsed_s)

    def _add(
        self, connection: Connection, blocks: Sequence[MemberBlock], finished: Sequence[Trial], elapsed_s: float
    ) -> None:
        own_run = (schema.runs.c.id == self.id, schema.runs.c.elapsed_s < elapsed_s)
        connection.execute(update(schema.runs).where(*own_run).values(elapsed_s=elapsed_s))
        for block in blocks:
            row = chunk_row(block) | {"run_id": self.id, "driver_id": self.driver_id}
            (chunk,) = connection.execute(insert(schema.chunks).values(**row)).inserted_primary_key or (None,)
            own = {"run_id": self.id, "chunk_id": chunk}
            connection.execute(insert(schema.members), [row | own for row in member_rows(block)])
            predictions = prediction_bytes(block)
            if predictions is not None:
                connection.execute(insert(schema.predictions).values(chunk_id=chunk, arrays=predictions))
        if finished:
            self._finish(connection, finished)

    def _finish(self, connection: Connection, finished: Sequence[Trial]) -> None:
        table = schema.trials
        raw = table.update().where(table.c.run_id == self.id)
        connection.execute(
            raw.where(table.c.number == bindparam("which")).values(
                **{
                    name: bindparam(f"new_{name}")
                    for name in ("state", "elapsed_s", "engine", "engine_reason", "failure")
                }
            ),
            [
                {
                    "which": trial.number,
                    "new_state": trial.state,
                    "new_elapsed_s": trial.elapsed_s,
                    "new_engine": trial.engine,
                    "new_engine_reason": trial.engine_reason,
                    "new_failure": trial.failure,
                }
                for trial in finished
            ],
        )
        rows = [
            {"run_id": self.id, "trial": trial.number, "metric": metric}
            | {part: _number(getattr(score, part)) for part in SCORE_PARTS}
            for trial in finished
            for metric, score in trial.scores.items()
        ]
        if rows:
            added = self._dialect_insert(schema.scores)
            parts = {part: added.excluded[part] for part in SCORE_PARTS}
            key = ["run_id", "trial", "metric"]
            connection.execute(added.on_conflict_do_update(index_elements=key, set_=parts), rows)

    def _known(self, connection: Connection, keys: Sequence[Key]) -> set[Key]:
        """Those of these members that are recorded."""
        table = schema.members
        query = select(table.c.trial, table.c.fold, table.c.repeat).where(
            table.c.run_id == self.id, table.c.trial.in_({key[0] for key in keys})
        )
        return {(row.trial, row.fold, row.repeat) for row in connection.execute(query)} & set(keys)

    def blocks(self, *, seen: Collection[int] = (), predictions: bool = True) -> Iterator[tuple[int, MemberBlock]]:
        """The recorded blocks with their numbers, in the order of these.

        Args:
            seen: Numbers of blocks that are left out. Not simply a highest number: that of a chunk is drawn before its
                transaction ends, so that a later one may become visible first.
            predictions: Whether predictions are read, too.
        """
        table, kept = schema.chunks, schema.predictions
        ids = select(table.c.id).where(table.c.run_id == self.id).order_by(table.c.id)
        with self.engine.connect() as connection:
            new = [number for number in connection.execute(ids).scalars() if number not in seen]
        query = select(table.c.id, table.c.engine, table.c.engine_reason, table.c.names, table.c.arrays)
        if predictions:
            query = query.add_columns(kept.c.arrays.label("predicted"))
            query = query.select_from(table.outerjoin(kept, kept.c.chunk_id == table.c.id))
        else:
            query = query.add_columns(null().label("predicted"))
        for start in range(0, len(new), CHUNKS_AT_A_TIME):
            some = query.where(table.c.id.in_(new[start : start + CHUNKS_AT_A_TIME])).order_by(table.c.id)
            with self.engine.connect() as connection:
                rows = connection.execute(some).all()
            for row in rows:
                yield row.id, block_of(row, row.predicted)

    def trim_predictions(self, trials: Sequence[int]) -> None:
        """Keeps only the predictions of some trials."""
        for number, block in self.blocks():
            if block.predictions is None:
                continue
            kept = only(block, trials)
            with self.engine.begin() as connection:
                where = schema.predictions.c.chunk_id == number
                if not len(kept.trial):
                    connection.execute(delete(schema.predictions).where(where))
                elif len(kept.trial) < len(block.trial):
                    left = prediction_bytes(
                        MemberBlock(**{**vars(block), "predictions": kept.predictions, "predicted": kept.trial})
                    )
                    connection.execute(update(schema.predictions).where(where).values(arrays=left))

    def trial_rows(self) -> list[Any]:
        """The rows of `trials`, by number."""
        table = schema.trials
        with self.engine.connect() as connection:
            return list(connection.execute(select(table).where(table.c.run_id == self.id).order_by(table.c.number)))

    def n_finished(self) -> int:
        """How many trials are complete or have failed."""
        table = schema.trials
        query = select(func.count()).where(table.c.run_id == self.id, table.c.state != "running")
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def score_rows(self) -> dict[int, dict[str, dict[str, float]]]:
        """From a trial's number and a metric to `mean`, `std`, `low`, `high`, `train`."""
        table = schema.scores
        found: dict[int, dict[str, dict[str, float]]] = {}
        with self.engine.connect() as connection:
            for row in connection.execute(select(table).where(table.c.run_id == self.id)):
                parts = {part: math.nan if (v := getattr(row, part)) is None else v for part in SCORE_PARTS}
                found.setdefault(row.trial, {})[row.metric] = parts
        return found

    @contextmanager
    def locked(self) -> Iterator[Connection]:
        """A transaction that no other driver of this run is in at the same time."""
        with self.engine.begin() as connection:
            row = select(schema.runs.c.id).where(schema.runs.c.id == self.id)
            connection.execute(row.with_for_update())
            yield connection


def _number(value: float) -> float | None:
    """SQLite has no NaN."""
    return None if math.isnan(value) else value
