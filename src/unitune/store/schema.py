"""The tables of a store, the same for SQLite and PostgreSQL, and how an older store becomes one of today.

```
runs ─┬─ asks ── trials ── scores      what was proposed, and what came of it
      ├─ chunks ─┬─ members            members that one tile trained: their arrays, and who they are
      │          └─ predictions        what they predict for the rows held out from them
      ├─ checkpoints, weights          of unfinished members, and of the best
      └─ drivers ── claims             who works on a run, and on which members
```

Arrays are blobs (`unitune.store.arrays`), everything else that is nested is JSON text. Nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    select,
    text,
)

from unitune.errors import RunFolderError

VERSION = 1

metadata = MetaData()

versions = Table("unitune_schema", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),  # running, interrupted, finished
    Column("created_s", Float, nullable=False),  # seconds since 1970
    Column("elapsed_s", Float, nullable=False),  # over all sessions, without the pauses between them
    Column("identity", Text, nullable=False),  # JSON: what must not change
    Column("record", Text, nullable=False),  # JSON: `unitune.store.Run`
)


def _run_id() -> Column[int]:
    return Column("run_id", Integer, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False)


asks = Table(
    "asks",
    metadata,
    _run_id(),
    Column("number", Integer, nullable=False),  # 1, 2, ... in the order in which the strategy was asked
    Column("wanted", Integer, nullable=False),
    PrimaryKeyConstraint("run_id", "number"),
)

trials = Table(
    "trials",
    metadata,
    _run_id(),
    Column("number", Integer, nullable=False),
    Column("configuration", Text, nullable=False),  # JSON, labels in the place of functions
    Column("n_parameters", Integer, nullable=False),
    Column("logits", Boolean, nullable=False),
    Column("state", Text, nullable=False),  # running, complete, failed
    Column("elapsed_s", Float),
    Column("engine", Text),
    Column("engine_reason", Text),
    Column("failure", Text),
    PrimaryKeyConstraint("run_id", "number"),
)

scores = Table(
    "scores",
    metadata,
    _run_id(),
    Column("trial", Integer, nullable=False),
    Column("metric", Text, nullable=False),
    Column("mean", Float),
    Column("std", Float),
    Column("low", Float),
    Column("high", Float),
    Column("train", Float),
    PrimaryKeyConstraint("run_id", "trial", "metric"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", Integer, primary_key=True),
    _run_id(),
    Column("driver_id", Integer),
    Column("engine", Text, nullable=False),
    Column("engine_reason", Text, nullable=False),
    Column("names", Text, nullable=False),  # JSON: metrics, failures
    Column("arrays", LargeBinary, nullable=False),
    Index("chunks_of_run", "run_id", "id"),
)

members = Table(
    "members",
    metadata,
    _run_id(),
    Column("trial", Integer, nullable=False),
    Column("fold", Integer, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("chunk_id", Integer, ForeignKey("chunks.id", ondelete="CASCADE"), nullable=False),
    Column("n_epochs", Integer, nullable=False),
    Column("best_epoch", Integer, nullable=False),
    Column("elapsed_s", Float, nullable=False),
    Column("failed", Boolean, nullable=False),
    # None is trained twice, whoever drives.
    PrimaryKeyConstraint("run_id", "trial", "fold", "repeat"),
)

predictions = Table(
    "predictions",
    metadata,
    Column("chunk_id", Integer, ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True),
    Column("arrays", LargeBinary, nullable=False),
)


def _arrays_of_members(name: str) -> Table:
    return Table(
        name,
        metadata,
        _run_id(),
        Column("trial", Integer, nullable=False),
        Column("fold", Integer, nullable=False),
        Column("repeat", Integer, nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("names", Text, nullable=False),  # JSON: how the arrays are nested
        Column("arrays", LargeBinary, nullable=False),
        PrimaryKeyConstraint("run_id", "trial", "fold", "repeat"),
    )


checkpoints = _arrays_of_members("checkpoints")
weights = _arrays_of_members("weights")

drivers = Table(
    "drivers",
    metadata,
    Column("id", Integer, primary_key=True),
    _run_id(),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("seen_s", Float, nullable=False),  # by the clock of the database
    Column("ended", Boolean, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    _run_id(),
    Column("trial", Integer, nullable=False),
    Column("fold", Integer, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("driver_id", Integer, ForeignKey("drivers.id", ondelete="CASCADE"), nullable=False),
    UniqueConstraint("run_id", "trial", "fold", "repeat"),
    Index("claims_of_driver", "driver_id"),
)

MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {}
"""From a version to what makes it the next one."""


def prepare(engine: Engine, *, where: str) -> None:
    """Makes the tables of a new store, and brings an older one up to date, in one transaction.

    Args:
        engine: Of the database.
        where: Its name for messages.

    Raises:
        RunFolderError: The store is newer than this Unitune, or the database holds other tables of these names.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # two drivers that start at once make the tables once
            connection.execute(text("SELECT pg_advisory_xact_lock(5843)"))
        present = set(inspect(connection).get_table_names())
        if versions.name not in present:
            taken = present & set(metadata.tables)
            if taken:
                raise RunFolderError(
                    "A store needs a database, or a schema of one, to itself",
                    f"`{where}` has other tables named {', '.join(sorted(taken))}",
                    "Give it another database.",
                )
            metadata.create_all(connection)
            connection.execute(versions.insert().values(version=VERSION))
            return
        found = connection.execute(select(versions.c.version)).scalar_one()
        if found > VERSION:
            raise RunFolderError(
                f"This version of Unitune reads stores of version {VERSION}",
                f"`{where}` has version {found}",
                "Update Unitune.",
            )
        for version in range(found, VERSION):
            MIGRATIONS[version](connection)
        if found < VERSION:
            connection.execute(versions.update().values(version=VERSION))
