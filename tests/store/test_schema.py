"""Stores of every version that was released are read, and a store that is none of ours is refused."""

import shutil
from pathlib import Path

import pytest
import store_fakes as fakes
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, inspect, select, update

from unitune.errors import RunFolderError
from unitune.store import schema
from unitune.store.database import open_folder
from unitune.store.unfinished import read_run

OLD = Path(__file__).parent / "old"
VERSIONS = range(1, schema.VERSION + 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_an_older_version_goes_on(version, tmp_path):
    (tmp_path / "old").mkdir()
    shutil.copy(OLD / f"version_{version}.db", tmp_path / "old" / "store.db")
    found, engine = fakes.kept(tmp_path / "old", trials=4)
    assert engine.trained == []
    whole = fakes.searched(trials=4)
    assert fakes.contents(found)[1] == fakes.contents(whole)[1]
    for mine, theirs in zip(found.trials, whole.trials, strict=True):
        assert (mine.number, mine.configuration, mine.state) == (theirs.number, theirs.configuration, theirs.state)
        for metric, score in theirs.scores.items():  # a version may have added up in another order
            assert mine.scores[metric].values == pytest.approx(score.values, rel=1e-12, nan_ok=True)
    database = open_folder(tmp_path / "old")
    _, trials, _ = read_run(database.find())
    assert len(trials) == 4
    with database.engine.connect() as connection:
        assert connection.execute(select(schema.versions.c.version)).scalar_one() == schema.VERSION
        # Whatever a migration does, it ends with the tables that a new store has.
        found_tables = {name: columns(connection, name) for name in inspect(connection).get_table_names()}
    database.close()
    new = open_folder(tmp_path)
    with new.engine.connect() as connection:
        assert found_tables == {name: columns(connection, name) for name in inspect(connection).get_table_names()}
    new.close()


def columns(connection, table):
    return {
        (column["name"], str(column["type"]), column["nullable"]) for column in inspect(connection).get_columns(table)
    }


def test_a_migration_is_all_or_nothing(tmp_path, monkeypatch):
    open_folder(tmp_path).close()

    def fails(connection):
        Table("half", MetaData(), Column("id", Integer)).create(connection)
        raise ZeroDivisionError

    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setattr(schema, "MIGRATIONS", {schema.VERSION - 1: fails})
    with pytest.raises(ZeroDivisionError):
        open_folder(tmp_path)
    monkeypatch.undo()
    database = open_folder(tmp_path)
    with database.engine.connect() as connection:
        assert "half" not in inspect(connection).get_table_names()
    database.close()


def test_a_migration_runs_once(tmp_path, monkeypatch):
    open_folder(tmp_path).close()
    ran = []
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setattr(schema, "MIGRATIONS", {schema.VERSION - 1: lambda connection: ran.append(True)})
    for _ in range(2):
        open_folder(tmp_path).close()
    assert ran == [True]


def test_a_database_with_other_tables_of_these_names_is_refused(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/store.db")
    with engine.begin() as connection:
        Table("runs", MetaData(), Column("id", Integer)).create(connection)
    engine.dispose()
    with pytest.raises(RunFolderError, match="to itself"):
        open_folder(tmp_path)


def test_arrays_that_were_changed_are_refused(tmp_path):
    fakes.kept(tmp_path / "run", trials=2)
    database = open_folder(tmp_path / "run")
    with database.engine.begin() as connection:
        connection.execute(update(schema.chunks).values(arrays=b"\x80\x04\x95pickled"))
    with pytest.raises(RunFolderError, match="cannot be read"):
        list(database.find().blocks())
    database.close()


def test_nothing_that_is_loaded_is_pickled():
    """No module of the store knows pickle, and NumPy is told not to."""
    import unitune.store

    for path in Path(unitune.store.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import pickle" not in text
        assert "allow_pickle=True" not in text
