"""`unitune.resume` with real networks: the same bits after kill -9, and what it refuses."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import unitune
from unitune.errors import OptionError, RunFolderError
from unitune.report.progress import Listener

pytestmark = pytest.mark.slow

SETTINGS = {
    "target": "kind",
    "units": [2, 3, 5],
    "activations": ["relu", "tanh"],
    "epochs": 6,
    "patience": 1,  # members end at different epochs, and tiles are dissolved
    "learning_rates": 0.1,
    "folds": 3,
    "progress": False,
}

KILLED = """
import json, os, signal, sys
import unitune
from unitune.report.progress import Listener

class Kill(Listener):
    left = int(sys.argv[3])
    def on_member(self, member, failure):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

unitune.tune(sys.argv[1], **json.loads(sys.argv[4]), out=sys.argv[2], name="cut", callbacks=[Kill()])
"""


class Count(Listener):
    def __init__(self):
        self.n = 0

    def on_member(self, member, failure):
        self.n += 1


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["kind"] = np.where(x[:, 0] * x[:, 1] + 0.5 * rng.normal(size=90) > 0, "large", "small")
    path = tmp_path_factory.mktemp("rows") / "table.csv"
    frame.to_csv(path, index=False)
    return path


def same(one, other):
    left, right = (result.table(everything=True).drop(columns=["seconds", "pick"]) for result in (one, other))
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    for number in (1, len(one.trials)):
        pd.testing.assert_frame_equal(one.history(number), other.history(number), check_exact=True)
        pd.testing.assert_frame_equal(one.probes(number), other.probes(number), check_exact=True)
    assert one.credible == other.credible
    assert one.estimate == other.estimate


@pytest.fixture(scope="module")
def whole(table):
    return unitune.tune(table, **SETTINGS)


def test_a_killed_run_goes_on_to_the_same_bits(table, whole, tmp_path):
    command = [sys.executable, "-c", KILLED, str(table), str(tmp_path), "7", json.dumps(SETTINGS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "cut"
    assert {path.name for path in folder.iterdir()} >= {"store.db"}
    assert not (folder / "run.json").exists()
    resumed = unitune.resume(folder, progress=False)
    same(whole, resumed)
    same(whole, unitune.load(folder))
    # A finished run is loaded, not searched again.
    count = Count()
    same(whole, unitune.resume(folder, progress=False, callbacks=[count]))
    assert count.n == 0


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run of arrays that was stopped after two of four trials, its rows, and the folder."""

    class Stop(Listener):
        def on_trial(self, trial, best):
            if trial.number == 2:
                raise KeyboardInterrupt

    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    y = (x[:, 0] > 0).astype(int)
    folder = tmp_path_factory.mktemp("runs")
    settings = {
        "units": [2, 3],
        "activations": ["relu", "tanh"],
        "epochs": 1,
        "validation_split": 0.3,
        "engine": "solo",
    }
    settings |= {"class_weight": {0: 1.0, 1: 2.0}, "progress": False, "out": folder, "name": "stopped"}
    found = unitune.tune(x, y, **settings, callbacks=[Stop()])
    assert found.interrupted
    return settings, x, y, folder / "stopped"


def test_rows_that_came_from_no_file_are_asked_for(stopped):
    *_, folder = stopped
    with pytest.raises(OptionError, match=r"`class_weight`.*not recorded.*class_weight=\.\.\."):
        unitune.resume(folder)
    with pytest.raises(OptionError, match=r"rows of the run are needed.*x, y"):
        unitune.resume(folder, class_weight={0: 1.0, 1: 2.0})


def test_other_rows_are_refused(stopped):
    _, x, y, folder = stopped
    with pytest.raises(RunFolderError, match="the data differ"):
        unitune.resume(folder, x + 1, y, class_weight={0: 1.0, 1: 2.0}, progress=False)


def test_an_unknown_argument_is_refused(stopped):
    *_, folder = stopped
    with pytest.raises(OptionError, match="`unit`"):
        unitune.resume(folder, unit=3)


def test_the_same_call_goes_on(stopped):
    settings, x, y, _ = stopped
    with pytest.raises(RunFolderError, match=r"resume=True"):
        unitune.tune(x, y, **settings)
    with pytest.raises(RunFolderError, match=r"`units` was .*2, 3.* and is .*2, 4"):
        unitune.tune(x, y, **(settings | {"units": [2, 4]}), resume=True)
    result = unitune.tune(x, y, **settings, resume=True)
    assert [trial.number for trial in result.trials] == [1, 2, 3, 4]
    assert not result.interrupted
    del settings["out"], settings["name"]
    alone = unitune.tune(x, y, **settings)
    same(alone, result)


def test_resume_needs_a_name():
    with pytest.raises(OptionError, match="`name`"):
        unitune.tune(np.eye(3), [0, 1, 0], resume=True)


def test_where_there_is_no_run_there_is_nothing_to_go_on_with(tmp_path):
    with pytest.raises(RunFolderError, match="there is no"):
        unitune.resume(tmp_path / "none")
    with pytest.raises(RunFolderError, match=r"no store\.db"):
        unitune.resume(tmp_path)


def test_a_run_of_before_there_were_stores_is_not_gone_on_with(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text("{}")
    with pytest.raises(RunFolderError, match="before there were stores"):
        unitune.tune(np.eye(3), [0, 1, 0], out=tmp_path, name="old", resume=True)


def test_a_broken_store_is_told(tmp_path):
    folder = Path(tmp_path / "broken")
    folder.mkdir()
    (folder / "store.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(RunFolderError, match="not a database"):
        unitune.resume(folder)
