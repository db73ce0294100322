import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from unitune.errors import RunFolderError, SaveError
from unitune.store.folder import MARK, check_folder, plain, save_files, write_json


def writers(**more):
    return {MARK: write_json({"format": 1}), "a.txt": lambda path: path.write_text("new"), **more}


def full_disk(path):
    path.write_text("ha")
    raise OSError(28, "No space left on device")


def test_files_are_written_and_nothing_else_is_left(tmp_path):
    save_files(tmp_path / "deep" / "run", writers(), overwrite=False)
    assert {path.name for path in (tmp_path / "deep" / "run").iterdir()} == {MARK, "a.txt"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["run"]


def test_an_existing_run_is_kept_unless_told_otherwise(tmp_path):
    folder = tmp_path / "run"
    save_files(folder, writers(old=lambda path: path.write_text("old")), overwrite=False)
    with pytest.raises(RunFolderError, match=r"exists.*--overwrite"):
        save_files(folder, writers(), overwrite=False)
    save_files(folder, writers(), overwrite=True)
    assert {path.name for path in folder.iterdir()} == {MARK, "a.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_of_other_things_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(RunFolderError, match="other files"):
        check_folder(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "run").mkdir()
    save_files(tmp_path / "run", writers(), overwrite=False)
    assert (tmp_path / "run" / MARK).exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        check_folder(tmp_path / "run", overwrite=True)


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="can be written"):
        check_folder(tmp_path / "file" / "run", overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunFolderError, match="can be written"):
        check_folder(tmp_path / "run", overwrite=False)


def test_a_place_that_cannot_be_written_is_refused_for_the_superuser_too():
    with pytest.raises(RunFolderError, match="can be written"):
        check_folder(Path("/proc/unitune/run"), overwrite=False)


def test_a_check_leaves_nothing_behind(tmp_path):
    check_folder(tmp_path / "a" / "b", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_what_was_written_before(tmp_path):
    with pytest.raises(SaveError, match=r"stopped at big: No space left.*keeps run\.json, a\.txt.*Free some space"):
        save_files(tmp_path / "run", writers(big=full_disk, later=full_disk), overwrite=False)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {MARK, "a.txt"}


def test_a_disk_that_is_full_at_once_leaves_nothing(tmp_path):
    with pytest.raises(SaveError, match="Nothing was saved"):
        save_files(tmp_path / "run", {"first": full_disk, **writers()}, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_another_error_leaves_nothing_and_is_not_hidden(tmp_path):
    def broken(path):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        save_files(tmp_path / "run", writers(broken=broken), overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_json_has_no_nan_and_no_numpy(tmp_path):
    tree = {"a": math.nan, "b": np.float32(0.5), "c": (np.int64(1), [math.inf]), "d": np.arange(2), 5: None}
    write_json(tree)(tmp_path / "x.json")
    expected = {"a": None, "b": 0.5, "c": [1, [None]], "d": [0, 1], "5": None}
    assert json.loads((tmp_path / "x.json").read_text()) == expected == plain(tree)
