"""A search that was cut off goes on and ends as if it had not been: killed, interrupted, with a full disk."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import store_fakes as fakes

import unitune
from unitune.errors import OptionError, RunFolderError, SaveError
from unitune.records import Trial
from unitune.report.progress import Listener
from unitune.store.member_states import kept_weights
from unitune.store.run import ranked
from unitune.store.unfinished import open_run_folder, read_run
from unitune.tuner.interruption import Interruption

KILLS = 24


@pytest.fixture(autouse=True)
def _python_hears_ctrl_c():
    """Processes in the background of a shell are born deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def whole():
    """A search that nothing happened to."""
    return fakes.contents(fakes.searched())


@pytest.mark.slow
def test_a_search_that_is_killed_again_and_again_loses_nothing(tmp_path):
    worker = Path(fakes.__file__).with_name("kill_worker.py")
    command = [sys.executable, str(worker), str(tmp_path / "run"), str(KILLS), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["killed"] >= 20
    assert told["done"] == sorted(told["done"])  # what was recorded stays
    assert len(set(told["done"])) > 3  # and the kills came while there was still something to do
    assert told["same"]
    assert told["trained_again"] == 0


def test_a_search_in_a_store_finds_what_one_without_finds(tmp_path, whole):
    found, _ = fakes.kept(tmp_path / "run")
    assert fakes.contents(found) == whole


@pytest.mark.parametrize("name", ["qmc", "tpe", "nsga2", "racing"])
def test_a_strategy_that_learns_is_asked_and_told_as_before(tmp_path, name):
    """Cut off twice in the middle of a batch; a strategy that was told something else would propose something else."""

    def make():
        return fakes.a_strategy(name, trials=80)

    whole = fakes.searched(trials=80, strategy=make())
    for done in (60, 150):
        engine = fakes.FakeEngine()
        engine.on_tile = lambda keys, engine=engine, done=done: stop_at(engine, done)
        with contextlib.suppress(KeyboardInterrupt):
            fakes.kept(tmp_path / "run", trials=80, strategy=make(), engine=engine)
    found, rest = fakes.kept(tmp_path / "run", trials=80, strategy=make())
    assert fakes.contents(found) == fakes.contents(whole)
    assert 0 < len(rest.trained) < 3 * 80


def stop_at(engine, done):
    if len(engine.trained) >= done:
        raise KeyboardInterrupt


class Stop(Listener):
    def __init__(self, after):
        self.left = after

    def on_trial(self, trial, best):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_finishes_what_is_in_training_and_the_search_goes_on(tmp_path, whole):
    with Interruption() as interruption:
        found, engine = fakes.kept(tmp_path / "run", listeners=[Stop(4)], interrupted=lambda: interruption.asked)
    assert found.interrupted
    assert 4 <= len(found.trials) < 30
    again, rest = fakes.kept(tmp_path / "run")
    assert fakes.contents(again) == whole
    assert set(engine.trained) & set(rest.trained) == set()
    assert len(engine.trained) + len(rest.trained) == 90


def test_ctrl_c_twice_stops_at_once_and_the_search_goes_on(tmp_path, whole):
    engine = fakes.FakeEngine()
    engine.on_tile = lambda keys: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2 * (len(engine.trained) == 40))]
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt):
        # No trial is complete: tiles go through the folds one after another.
        fakes.kept(tmp_path / "run", engine=engine, interrupted=lambda: interruption.asked, trials=60)
    again, rest = fakes.kept(tmp_path / "run", trials=60)
    assert len(rest.trained) == 180 - 40
    assert fakes.contents(again) == fakes.contents(fakes.searched(trials=60))


def test_the_handler_of_ctrl_c_is_given_back():
    with Interruption() as interruption:
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert not interruption.asked
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_more_trials_can_follow(tmp_path):
    fakes.kept(tmp_path / "run", trials=12)
    found, engine = fakes.kept(tmp_path / "run", trials=20)
    assert len(engine.trained) == 8 * 3
    assert [trial.number for trial in found.trials] == list(range(1, 21))


def test_members_of_unfinished_trials_are_no_part_of_what_is_shown(tmp_path):
    engine = fakes.FakeEngine()
    engine.on_tile = lambda keys: exec("raise KeyboardInterrupt") if len(engine.trained) == 64 else None
    found, _ = fakes.kept(tmp_path / "run", engine=engine)
    database = open_run_folder(tmp_path / "run")
    run, trials, blocks = read_run(database.find())
    database.close()
    assert [trial.number for trial in trials] == [trial.number for trial in found.trials] == [1, 2, 3, 4]
    assert {int(number) for block in blocks for number in block.trial} == {1, 2, 3, 4}
    assert "4 of 30 trials" in run.left_out


@pytest.mark.parametrize("cut", [None, 50])
def test_the_weights_of_the_best_are_kept(tmp_path, cut):
    folder = tmp_path / "run"
    if cut:
        engine = fakes.FakeEngine()
        engine.on_tile = lambda keys: stop_at(engine, cut)
        with contextlib.suppress(KeyboardInterrupt):
            fakes.kept(folder, keep=3, engine=engine)
    found, _ = fakes.kept(folder, keep=3)
    best = [trial.number for trial in ranked(found.trials, "accuracy", "maximize")[:3]]
    database = open_run_folder(folder)
    assert kept_weights(database.find()) == [(number, fold, 0) for number in sorted(best) for fold in range(3)]
    database.close()
    weights = unitune.load(folder).weights()
    assert sorted(weights) == [(0, 0), (1, 0), (2, 0)]
    assert [array.tolist() for array in weights[2, 0]] == [[[best[0]] * 3] * 2, [0, 1, 2]]
    with pytest.raises(OptionError, match="were not"):
        unitune.load(folder).weights(next(trial.number for trial in found.trials if trial.number not in best))


def test_predictions_of_poor_trials_do_not_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("unitune.tuner.store_recorder.BYTES_IN_STORE", 4_000)
    found, _ = fakes.kept(tmp_path / "run", trials=60)
    best = [trial.number for trial in ranked(found.trials, "accuracy", "maximize")[:10]]
    database = open_run_folder(tmp_path / "run")
    blocks = [block for _, block in database.find().blocks() if block.predictions is not None]
    database.close()
    held = {int(number) for block in blocks for number in (block.trial if block.predicted is None else block.predicted)}
    assert set(best) <= held
    assert len(held) < 60
    assert sum(len(block.predictions) for block in blocks) < 180
    again, engine = fakes.kept(tmp_path / "run", trials=60)
    assert engine.trained == []
    assert again.trials == found.trials


# Refusals -------------------------------------------------------------------------------------------------------

CHANGED = {
    "other rows": ({"problem": fakes.a_problem(seed=1)}, "the data differ"),
    "other folds": ({"problem": fakes.a_problem(folds=4)}, "other folds"),
    "another objective": (
        {"problem": fakes.a_problem(objective="log_loss")},
        "`objective` was accuracy and is log_loss",
    ),
    "another space": ({"space": fakes.a_space(widest=128)}, r"`units` was .*64.* and is .*128"),
    "other settings": ({"patience": 3}, "`patience` was not given and is 3"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_something_else_does_not_go_on(tmp_path, case):
    changes, says = CHANGED[case]
    fakes.kept(tmp_path / "run", trials=2)
    with pytest.raises(RunFolderError, match=says) as caught:
        fakes.a_session(tmp_path / "run", **changes)
    assert "another `name`" in str(caught.value)
    found, engine = fakes.kept(tmp_path / "run", trials=2)  # which harmed nothing
    assert (len(found.trials), engine.trained) == (2, [])


def test_a_second_process_is_refused(tmp_path):
    session = fakes.a_session(tmp_path / "run")
    with pytest.raises(RunFolderError, match="One process at a time"):
        fakes.a_session(tmp_path / "run")
    with pytest.raises(RunFolderError, match="One process at a time"):
        fakes.a_session(tmp_path / "run", resume=False, overwrite=True)
    session.close()
    fakes.a_session(tmp_path / "run").close()


def test_another_process_is_refused(tmp_path):
    session = fakes.a_session(tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from unitune.store.lock import FolderLock; FolderLock(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    session.close()
    assert done.returncode == 1
    assert "One process at a time works on a run folder" in done.stderr


# A run that is replaced -----------------------------------------------------------------------------------------


def test_an_older_run_is_replaced_once_the_new_one_has_something(tmp_path):
    fakes.kept(tmp_path / "run", trials=2)
    session = fakes.a_session(tmp_path / "run", resume=False, overwrite=True)
    fakes.searched(session.recorder, trials=3)
    session.end("finished")
    session.close()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    found, _ = fakes.kept(tmp_path / "run", trials=3)
    assert len(found.trials) == 3


def test_an_older_run_stays_where_the_new_one_comes_to_nothing(tmp_path):
    fakes.kept(tmp_path / "run", trials=2)
    session = fakes.a_session(tmp_path / "run", resume=False, overwrite=True)
    session.close(failed=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    found, engine = fakes.kept(tmp_path / "run", trials=2)
    assert (len(found.trials), engine.trained) == (2, [])


# A full disk ----------------------------------------------------------------------------------------------------

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {path!r})
import store_fakes as fakes
from unitune.errors import SaveError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing beyond the limit is an error, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
session = fakes.a_session(Path(sys.argv[1]))
found = fakes.searched(session.recorder, trials=200)
print(len(found.trials))
try:
    session.recorder.flush(0.5)
except SaveError as error:
    print(error)
session.close()
"""


def test_a_full_disk_does_not_end_the_search_and_what_was_recorded_stays(tmp_path):
    """The kernel refuses to let a file grow beyond a limit, in the middle of the search."""
    code = FULL_DISK.format(path=str(Path(fakes.__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    trials, said = done.stdout.splitlines()
    assert trials == "200"  # training went on to its end
    assert "are not recorded; everything before them is" in said
    found, engine = fakes.kept(tmp_path / "run", trials=200)
    assert 0 < len(engine.trained) < 600
    assert fakes.contents(found) == fakes.contents(fakes.searched(trials=200))


def test_a_folder_that_cannot_be_made_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match="Nothing was trained"):
        fakes.a_session(tmp_path / "file" / "run")


def test_listeners_hear_of_what_was_recorded(tmp_path):
    heard = []

    class Hears(Listener):
        def on_trial(self, trial: Trial, best: Trial | None) -> None:
            heard.append(trial.number)

    fakes.kept(tmp_path / "run", trials=5)
    fakes.kept(tmp_path / "run", trials=6, listeners=[Hears()])
    assert sorted(heard) == [1, 2, 3, 4, 5, 6]
