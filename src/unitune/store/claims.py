"""Who trains what: several drivers on one run claim members, and take over those of a driver that died.

A driver says that it lives every few seconds. The claims of one that has not done so for a lease are void. Times are
those of the database's clock, so that the clocks of the drivers do not matter.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, text, update
from sqlalchemy.exc import DBAPIError

from unitune.errors import RunFolderError
from unitune.store import schema
from unitune.store.members import Key
from unitune.store.run_store import RunStore

LEASE_S = 30.0
BEATS_PER_LEASE = 6


class Driver:
    """This process as a driver of a run.

    Args:
        store: The run.
        lease_s: After so many seconds of silence its claims may be taken over; 30 if not given.
        alone: Whether no other driver may work on the run at the same time.

    Raises:
        RunFolderError: It is to be alone, and is not.
    """

    def __init__(self, store: RunStore, *, lease_s: float | None = None, alone: bool = False) -> None:
        self._store = store
        self._lease_s = LEASE_S if lease_s is None else lease_s
        self._ended = threading.Event()
        with store.locked() as connection:
            if alone and store.shared:
                self._refuse_others(connection)
            row = {"host": socket.gethostname(), "pid": os.getpid(), "ended": False, "run_id": store.id}
            row["seen_s"] = _now(connection)
            made = connection.execute(insert(schema.drivers).values(**row)).inserted_primary_key
        assert made is not None
        self.id = int(made[0])
        store.driver_id = self.id
        self._beats = threading.Thread(target=self._beat, name="unitune-heartbeat", daemon=True)
        if store.shared:
            self._beats.start()

    def _refuse_others(self, connection: Connection) -> None:
        drivers = schema.drivers
        oldest = _now(connection) - self._lease_s
        lives = (drivers.c.run_id == self._store.id, ~drivers.c.ended, drivers.c.seen_s > oldest)
        other = connection.execute(select(drivers.c.host, drivers.c.pid).where(*lives)).first()
        if other is not None:
            raise RunFolderError(
                "Trials that are compared from rung to rung are trained by one process at a time",
                f"process {other.pid} on {other.host} works on `{self._store.name}`",
                "Wait for it, or use `racing` or another strategy, which several processes can share. A process that "
                f"was killed counts as gone after {self._lease_s:g} s.",
            )

    def _beat(self) -> None:
        while not self._ended.wait(self._lease_s / BEATS_PER_LEASE):
            with contextlib.suppress(DBAPIError):  # a store that is away is tried again
                self._say(ended=False)

    def _say(self, *, ended: bool) -> None:
        table = schema.drivers
        with self._store.engine.begin() as connection:
            connection.execute(update(table).where(table.c.id == self.id).values(seen_s=_now(connection), ended=ended))

    def end(self) -> None:
        """Gives back what it claimed and did not train."""
        self._ended.set()
        if self._beats.is_alive():
            self._beats.join()
        with contextlib.suppress(DBAPIError), self._store.engine.begin() as connection:
            connection.execute(delete(schema.claims).where(schema.claims.c.driver_id == self.id))
        with contextlib.suppress(DBAPIError):
            self._say(ended=True)

    def claim(self, keys: Sequence[Key]) -> list[bool]:
        """Claims members, in one transaction.

        Returns:
            For each whether it is this driver's to train: it is neither recorded nor claimed by another one that lives.
        """
        run, trials = self._store.id, {key[0] for key in keys}
        claims, members = schema.claims, schema.members
        with self._store.locked() as connection:
            recorded = {
                (row.trial, row.fold, row.repeat)
                for row in connection.execute(
                    select(members.c.trial, members.c.fold, members.c.repeat).where(
                        members.c.run_id == run, members.c.trial.in_(trials)
                    )
                )
            }
            held = {
                (row.trial, row.fold, row.repeat): row.driver_id
                for row in connection.execute(
                    select(claims.c.trial, claims.c.fold, claims.c.repeat, claims.c.driver_id)
                    .join(schema.drivers, schema.drivers.c.id == claims.c.driver_id)
                    .where(claims.c.run_id == run, claims.c.trial.in_(trials), self._lives(connection))
                )
            }
            free = [key for key in dict.fromkeys(keys) if key not in recorded and held.get(key, self.id) == self.id]
            new = [key for key in free if key not in held]
            if new:
                one_of = or_(*(and_(claims.c.trial == t, claims.c.fold == f, claims.c.repeat == r) for t, f, r in new))
                connection.execute(delete(claims).where(claims.c.run_id == run, one_of))
                names = ("trial", "fold", "repeat")
                rows = [dict(zip(names, key, strict=True)) | {"run_id": run, "driver_id": self.id} for key in new]
                connection.execute(insert(claims), rows)
        granted = set(free)
        return [key in granted for key in keys]

    def _lives(self, connection: Connection) -> ColumnElement[bool]:
        drivers = schema.drivers
        oldest = _now(connection) - self._lease_s
        return or_(drivers.c.id == self.id, and_(~drivers.c.ended, drivers.c.seen_s > oldest))


def _now(connection: Connection) -> float:
    """Seconds since 1970 by the clock of the database."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return time.time()
