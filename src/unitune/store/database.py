"""Stores: a SQLite file in the run folder, or a database of PostgreSQL that several drivers share."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from unitune.errors import OptionError, RunFolderError
from unitune.store import schema
from unitune.store.folder import STORE
from unitune.store.run_store import RunStore

CONNECT_S = 5
BUSY_S = 30


@dataclass(frozen=True, kw_only=True)
class Database:
    """A store.

    Attributes:
        engine: SQLAlchemy's.
        where: Its name for messages, without a password.
        shared: Whether several drivers may work on one run.
    """

    engine: Engine
    where: str
    shared: bool

    def create(self, name: str, *, identity: Mapping[str, Any], record: Mapping[str, Any]) -> RunStore | None:
        """A new run; None where another driver made it in the same moment.

        Args:
            name: Its name in this store.
            identity: What must not change while it goes on, as JSON has it.
            record: `Run.to_json()` as far as it is known.
        """
        row = {
            "name": name,
            "state": "running",
            "created_s": time.time(),
            "elapsed_s": 0.0,
            "identity": json.dumps(identity),
            "record": json.dumps(record),
        }
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(schema.runs).values(**row))
        except IntegrityError:
            return None
        return self.find(name)

    def find(self, name: str | None = None) -> RunStore | None:
        """The run of that name (the only one, if no name is given); None where there is none."""
        query = select(schema.runs.c.id, schema.runs.c.name)
        if name is not None:
            query = query.where(schema.runs.c.name == name)
        with self.engine.connect() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else RunStore(self.engine, row.id, row.name, where=self.where, shared=self.shared)

    def names(self) -> list[str]:
        """The names of the runs, oldest first."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(schema.runs.c.name).order_by(schema.runs.c.id)).scalars())

    def close(self) -> None:
        """Ends all connections."""
        self.engine.dispose()


def open_folder(folder: Path) -> Database:
    """The SQLite store of a run folder, made if there is none.

    Raises:
        RunFolderError: It cannot be opened, or is of a newer version.
    """
    path = folder / STORE
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_S})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: Any) -> None:
        # Python's driver would begin a transaction before some statements only: not before those that make tables.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")  # readers see whole chunks while one is written
        cursor.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; a power cut may cost the last chunks
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return _prepared(engine, where=str(path), shared=False)


def open_url(url: str) -> Database:
    """The store at a URL: `postgresql+psycopg://user@host/database`.

    Raises:
        OptionError: The URL is none, or of another kind of database.
        RunFolderError: It cannot be reached, or is of a newer version.
    """
    try:
        address = make_url(url)
    except ArgumentError:
        raise OptionError("`store` must be a URL", f"got {url!r}", _EXAMPLE) from None
    if address.get_backend_name() != "postgresql":
        raise OptionError("`store` must be a URL of PostgreSQL", f"got {address.render_as_string()!r}", _EXAMPLE)
    address = address.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(
            address,
            pool_pre_ping=True,  # connections that a restart of the server has ended are replaced
            connect_args={"connect_timeout": CONNECT_S, "application_name": f"unitune {socket.gethostname()}"},
        )
    except (ModuleNotFoundError, NoSuchModuleError):
        raise OptionError(
            "A store in PostgreSQL needs the package psycopg",
            "it is not installed",
            "pip install 'unitune[postgresql]'",
        ) from None
    return _prepared(engine, where=shown_url(url), shared=True)


def shown_url(url: str) -> str:
    """A URL without its password: what may be written to files and messages."""
    address = make_url(url)
    return address.set(password=None).render_as_string() if address.password else address.render_as_string()


def _prepared(engine: Engine, *, where: str, shared: bool) -> Database:
    try:
        schema.prepare(engine, where=where)
    except DBAPIError as error:
        engine.dispose()
        first = (str(error.orig).strip().splitlines() or [""])[0]
        raise RunFolderError("The store must be within reach", f"`{where}` is not ({first})") from error
    except BaseException:
        engine.dispose()
        raise
    return Database(engine=engine, where=where, shared=shared)


_EXAMPLE = 'For example `store="postgresql+psycopg://user@host/database"`; leave it out for a file in the run folder.'
