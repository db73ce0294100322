"""Compiled programs on disk: who finds them, what is damaged, where they lie."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from unitune.models import program_cache

pytestmark = pytest.mark.slow

WORKER = """
import json, sys
import numpy as np
import keras, unitune
from unitune.models.backend import ensure
ensure()
x = np.random.default_rng(0).normal(size=(int(sys.argv[1]), 5)).astype("float32")
result = unitune.tune(x, x[:, 0] > 0, units=[4, 8], activations=["relu"], epochs=3, folds=2, seed=1, engine="fused")
unitune.tune(x, x[:, 0] > 0, units=4, activations="relu", layers=2, epochs=2, folds=2, progress=False, engine="fused")
facts = {
    "scores": [list(trial.scores["accuracy"].values) for trial in result.trials],
    "engines": [trial.engine for trial in result.trials],
}
print(json.dumps(facts))
"""


def search(cache: str, *, backend: str, rows: int = 120) -> dict:
    environment = {**os.environ, "UNITUNE_CACHE": cache, "KERAS_BACKEND": backend, "TF_XLA_FLAGS": ""}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(rows)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    # The user imported Keras first, so that the log level is what it is; but loading a program is no error.
    assert not re.search(r"^E0000", done.stderr, re.MULTILINE), done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def programs(folder: Path) -> dict[str, tuple[int, int]]:
    """The entries of whole programs, and which file each is: one that was compiled anew is another file.

    What else JAX keeps hangs on how long it took to compile.
    """
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.name.endswith(".pb") or (path.name.startswith("jit__run-") and path.name.endswith("-cache"))
    }


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_another_process_and_other_data_find_what_was_compiled_and_a_damaged_entry_is_compiled_anew(backend, tmp_path):
    place = tmp_path / "a cache"
    first = search(str(place), backend=backend)
    made = programs(place)
    assert first["engines"] == ["fused", "fused"]
    assert len(made) > 1
    whole, *damaged = sorted(path for path in place.rglob("*") if path.name in made)
    for number, path in enumerate(damaged):
        content = path.read_bytes()
        path.write_bytes(content[::-1] if number % 2 else content[: len(content) // 2])
    broken = programs(place)
    assert search(str(place), backend=backend, rows=126)["engines"] == ["fused", "fused"]
    found = programs(place)
    assert found.keys() == made.keys()
    assert [name for name in found if found[name] == broken[name]] == [whole.name]


@pytest.fixture
def begin(monkeypatch):
    """`start`, as at the beginning of a process."""
    monkeypatch.setattr(program_cache, "_started", False)
    monkeypatch.setattr(program_cache, "_folder", None)
    monkeypatch.setattr(program_cache.atexit, "register", lambda *_: None)
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)

    def started(place: object, flags: str | None = None) -> Path | None:
        monkeypatch.setenv("UNITUNE_CACHE", str(place))
        if flags is not None:
            monkeypatch.setenv("TF_XLA_FLAGS", flags)
        return program_cache.start("tensorflow")

    return started


def test_its_folders_are_the_users_alone(begin, tmp_path):
    place = tmp_path / "cache"
    place.mkdir(mode=0o777)
    assert begin(place)
    folders = [place, *(path for path in place.rglob("*") if path.is_dir())]
    assert len(folders) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert str(place) in os.environ["TF_XLA_FLAGS"]


def test_flags_of_the_users_own_stay(begin, tmp_path):
    begin(tmp_path / "a b", "--tf_xla_max_cluster_size=4")
    assert os.environ["TF_XLA_FLAGS"].startswith("--tf_xla_max_cluster_size=4 --tf_xla_persistent_cache_directory=")


@pytest.mark.parametrize("own", ["--tf_xla_persistent_cache_directory=mine", "a_file_of_flags"])
def test_a_cache_of_the_users_own_stays(begin, tmp_path, own):
    assert begin(tmp_path, own) is None
    assert os.environ["TF_XLA_FLAGS"] == own


def test_a_process_that_inherits_the_flags_keeps_what_it_compiles_too(begin, tmp_path):
    place = begin(tmp_path)
    flags = os.environ["TF_XLA_FLAGS"]
    program_cache._started = False
    assert begin(tmp_path) == place
    assert os.environ["TF_XLA_FLAGS"] == flags


def test_off_and_places_that_cannot_be_written_keep_nothing(begin, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert begin("off") is None
    program_cache._started = False
    assert begin(tmp_path / "file") is None
    assert "TF_XLA_FLAGS" not in os.environ
    assert os.listdir(tmp_path) == ["file"]


def test_entries_without_their_checksum_are_deleted(begin, tmp_path):
    place = begin(tmp_path)
    for name in ("whole.pb", "changed.pb", "half.pb"):
        (place / name).write_bytes(b"machine code")
    program_cache.seal()
    (place / "changed.pb").write_bytes(b"other machine code")
    (place / "half.pb.sha256").unlink()
    program_cache._started = False
    assert begin(tmp_path) == place
    assert sorted(path.name for path in place.iterdir()) == ["whole.pb", "whole.pb.sha256"]


@pytest.mark.parametrize("word", ["off", "0", "No", " false "])
def test_words_that_turn_it_off(word, monkeypatch):
    monkeypatch.setenv("UNITUNE_CACHE", word)
    assert program_cache.cache_folder() is None


def test_the_place_is_the_users_cache_folder_or_the_one_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("UNITUNE_CACHE", "~/elsewhere")
    assert program_cache.cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("UNITUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = program_cache.cache_folder()
    assert found is not None
    assert found.name == "unitune"
    if sys.platform == "linux":
        assert found == tmp_path / "unitune"


def test_the_oldest_go_first(tmp_path):
    for number, name in enumerate("cab"):
        path = tmp_path / name
        path.write_bytes(bytes(100))
        os.utime(path, (number, number))
    program_cache.trim(tmp_path, limit_bytes=250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    program_cache.trim(tmp_path, limit_bytes=0)
    assert not list(tmp_path.iterdir())
