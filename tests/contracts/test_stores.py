"""What every store must do, run over SQLite and PostgreSQL."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import store_fakes as fakes
from sqlalchemy import insert, update

from unitune.errors import OptionError, RunFolderError
from unitune.store import schema
from unitune.store.claims import Driver
from unitune.store.database import open_folder, open_url
from unitune.store.member_states import (
    drop_states,
    drop_weights,
    kept_weights,
    load_state,
    load_weights,
    save_states,
    save_weights,
)
from unitune.store.unfinished import read_run
from unitune.store.writer import Writer

pytestmark = pytest.mark.slow

NUMBER = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    is_file = request.param == "sqlite"
    made = open_folder(tmp_path) if is_file else open_url(request.getfixturevalue("postgres").url)
    yield made
    made.close()


@pytest.fixture
def store(database):
    record = fakes.a_record(fakes.a_problem(), fakes.a_space()).to_json()
    return database.create(f"run {next(NUMBER)}", identity={"data": "abc"}, record=record)


def begun(store, n=4):
    rows = [
        {"configuration": {"units": 8, "activation": "relu", "learning_rate": 0.1}, "n_parameters": 3, "logits": False}
        for _ in range(n)
    ]
    return store.begin(1, rows)


def same_block(one, other):
    for name in ("trial", "fold", "train", "validation", "learning_rate", "n_epochs", "elapsed_s", "predictions"):
        mine, yours = getattr(one, name), getattr(other, name)
        assert mine.dtype == yours.dtype
        assert mine.tobytes() == yours.tobytes(), name
    assert list(one.failure) == list(other.failure)
    assert (one.metrics, one.engine, one.engine_reason) == (other.metrics, other.engine, other.engine_reason)
    for name in one.scores:
        np.testing.assert_array_equal(one.scores[name], other.scores[name])
    for name in one.probes:
        np.testing.assert_array_equal(one.probes[name], other.probes[name])


def test_a_run_is_found_by_its_name(database, store):
    found = database.find(store.name)
    assert (found.id, found.identity, found.state, found.elapsed_s) == (store.id, {"data": "abc"}, "running", 0.0)
    assert found.record["objective"] == "accuracy"
    assert store.name in database.names()
    assert database.find("another") is None
    assert database.create(store.name, identity={}, record={}) is None


def test_blocks_come_back_to_the_last_bit_in_their_order(store):
    blocks = [
        fakes.a_block([1, 2], fold=fold, rng=np.random.default_rng(fold), failure="it diverged") for fold in (0, 1)
    ]
    begun(store)
    for block in blocks:
        store.add([block], [])
    back = list(store.blocks())
    assert len(back) == 2
    for mine, (_, yours) in zip(blocks, back, strict=True):
        same_block(mine, yours)
    assert [number for number, _ in store.blocks(seen={back[0][0]})] == [back[1][0]]
    assert next(block for _, block in store.blocks(predictions=False)).predictions is None


def test_a_member_without_epochs_can_be_kept(store):
    block = fakes.a_block([1], width=0)
    store.add([block], [])
    assert next(block for _, block in store.blocks()).train.shape == (1, 0, 2)


def test_what_was_asked_is_asked_again(store):
    assert store.asked(1) is None
    assert store.agree(1, 7) == 7
    assert store.agree(1, 3) == 7
    assert store.asked(1) == 7


def test_trials_are_recorded_once(store):
    first = begun(store, 2)
    assert store.begin(1, [{"configuration": {"units": 99}, "n_parameters": 1, "logits": True}] * 2) == first
    assert [row.number for row in store.trial_rows()] == [1, 2]


def test_a_member_is_recorded_once_and_the_rest_of_its_chunk_with_it(store):
    begun(store)
    mine = fakes.a_block([1, 2])
    store.add([mine], [])
    store.add([fakes.a_block([2, 3], rng=np.random.default_rng(9))], [])
    blocks = [block for _, block in store.blocks()]
    assert [block.trial.tolist() for block in blocks] == [[1, 2], [3]]
    same_block(mine, blocks[0])


def test_a_chunk_that_fails_half_way_leaves_nothing(store):
    begun(store)
    broken = replace(fakes.a_block([1]), failure=[object()])
    with pytest.raises(TypeError, match="JSON"):
        store.add([fakes.a_block([2]), broken], [])
    assert list(store.blocks()) == []


def test_a_finished_run_is_read_as_it_was_told(store):
    session_found = fakes.searched(trials=5)
    configurations = [trial.configuration for trial in session_found.trials]
    rows = [{"configuration": one, "n_parameters": 49, "logits": False} for one in configurations]
    store.begin(1, rows)
    store.add(session_found.blocks, session_found.trials)
    store.add([], session_found.trials)  # told twice by two drivers
    run, trials, blocks = read_run(store)
    finished = {trial.number: trial for trial in trials}
    assert list(finished) == [1, 2, 3, 4, 5]
    for trial in session_found.trials:
        back = finished[trial.number]
        assert dict(back.configuration) == dict(trial.configuration)
        assert (back.state, back.failure, back.elapsed_s) == (trial.state, trial.failure, trial.elapsed_s)
        assert repr(back.scores) == repr(dict(trial.scores))
    assert sum(len(block.trial) for block in blocks) == 15
    assert "5 of 5 trials" in run.left_out


def test_predictions_of_poor_trials_are_dropped(store):
    begun(store)
    block = fakes.a_block([1, 2, 3])
    store.add([block, fakes.a_block([4])], [])
    store.trim_predictions([2])
    first, second = (block for _, block in store.blocks())
    assert second.predictions is None
    assert first.predicted.tolist() == [2]
    assert first.predictions.tobytes() == block.predictions[1:2].tobytes()
    assert first.train.tobytes() == block.train.tobytes()


def test_states_of_unfinished_members_are_kept_and_replaced(store):
    state = {"weights": [np.ones((2, 3), np.float32), np.zeros(3)], "step": np.array(7), "active": np.array([True])}
    save_states(store, {(1, 0, 0): (3, state), (2, 0, 0): (3, {"step": np.array(1)})})
    save_states(store, {(1, 0, 0): (6, state)})
    epoch, back = load_state(store, (1, 0, 0))
    assert epoch == 6
    assert [array.tolist() for array in back["weights"]] == [[[1.0] * 3] * 2, [0.0] * 3]
    assert (int(back["step"]), back["active"].dtype) == (7, np.dtype(bool))
    drop_states(store, [(1, 0, 0)])
    assert load_state(store, (1, 0, 0)) is None
    assert load_state(store, (2, 0, 0)) is not None


def test_weights_of_the_best_are_kept(store):
    save_weights(store, {(3, 0, 0): [np.arange(4.0)], (5, 1, 0): [np.arange(2), np.eye(2)]})
    assert kept_weights(store) == [(3, 0, 0), (5, 1, 0)]
    assert [array.shape for array in load_weights(store, (5, 1, 0))] == [(2,), (2, 2)]
    drop_weights(store, [5])
    assert kept_weights(store) == [(3, 0, 0)]
    assert load_weights(store, (5, 1, 0)) is None


def test_a_deleted_run_is_gone_with_everything(database, store):
    begun(store)
    store.add([fakes.a_block([1])], [])
    store.delete()
    assert database.find(store.name) is None
    assert list(store.blocks()) == []


def test_a_store_of_a_later_version_is_refused(database):
    try:
        with database.engine.begin() as connection:
            connection.execute(update(schema.versions).values(version=99))
        with pytest.raises(RunFolderError, match=r"version 99.*Update Unitune"):
            schema.prepare(database.engine, where="it")
    finally:
        with database.engine.begin() as connection:
            connection.execute(update(schema.versions).values(version=schema.VERSION))


# Drivers --------------------------------------------------------------------------------------------------------


def test_a_member_is_claimed_by_one_driver(store):
    one, other = Driver(store), Driver(store)
    keys = [(1, 0, 0), (2, 0, 0)]
    assert one.claim(keys) == [True, True]
    assert one.claim(keys) == [True, True]
    assert other.claim([*keys, (3, 0, 0)]) == [False, False, True]
    one.end()
    assert other.claim(keys) == [True, True]
    other.end()


def test_a_recorded_member_is_nobodys(store):
    begun(store)
    driver = Driver(store)
    store.add([fakes.a_block([1])], [])
    assert driver.claim([(1, 0, 0), (1, 1, 0)]) == [False, True]
    driver.end()


def test_the_claims_of_a_dead_driver_are_taken_over(store):
    with store.engine.begin() as connection:
        row = {"run_id": store.id, "host": "h", "pid": 1, "seen_s": time.time() - 3600, "ended": False}
        (dead,) = connection.execute(insert(schema.drivers).values(**row)).inserted_primary_key
        connection.execute(insert(schema.claims).values(run_id=store.id, trial=1, fold=0, repeat=0, driver_id=dead))
    driver = Driver(store)
    assert driver.claim([(1, 0, 0)]) == [True]
    driver.end()


def test_one_that_is_to_be_alone_is_refused_while_another_works(store):
    if not store.shared:
        pytest.skip("one process at a time works on a file")
    first = Driver(store)
    with pytest.raises(RunFolderError, match="by one process at a time"):
        Driver(store, alone=True)
    first.end()
    Driver(store, alone=True).end()


def test_drivers_that_claim_at_once_get_different_members(store):
    keys = [(trial, 0, 0) for trial in range(1, 41)]
    granted = []

    def take():
        driver = Driver(store)
        granted.append([key for key in keys if driver.claim([key])[0]])

    if not store.shared:
        pytest.skip("one process at a time works on a file")
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key for keys in granted for key in keys) == keys


WORKER = """
import json, sys
from pathlib import Path
sys.path.insert(0, {path!r})
import store_fakes as fakes
from unitune.store import claims
import unitune.tuner.session as session
claims.LEASE_S = 1.5
engine = fakes.FakeEngine(tile_s=0.03, on_tile=lambda keys: print(json.dumps(keys), flush=True))
strategy = fakes.a_strategy(sys.argv[3], trials=40)
print("READY", flush=True)
sys.stdin.readline()
found, _ = fakes.kept(
    Path(sys.argv[1]) / sys.argv[3], url=sys.argv[2], trials=40, engine=engine, strategy=strategy
)
import hashlib
print("END", hashlib.sha256(repr(fakes.contents(found)).encode()).hexdigest(), flush=True)
"""


@pytest.mark.parametrize("strategy", ["racing", "tpe"])
def test_three_processes_share_a_run_and_one_is_killed(postgres, tmp_path, strategy):
    import hashlib

    code = WORKER.format(path=str(Path(fakes.__file__).parent))
    processes = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        command = [sys.executable, "-c", code, str(folder), postgres.url, strategy]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    # Importing takes each as long as it likes: they begin together.
    assert [process.stdout.readline() for process in processes] == ["READY\n"] * 3
    victim = processes[1]
    for process in (victim, processes[0], processes[2]):
        process.stdin.write("\n")
        process.stdin.flush()
    lost = [json.loads(victim.stdout.readline()) for _ in range(3)]
    os.kill(victim.pid, signal.SIGKILL)
    lost += [json.loads(line) for line in victim.stdout if line.startswith("[") and line.endswith("]\n")]
    outputs = [processes[number].communicate(timeout=60)[0].splitlines() for number in (0, 2)]
    victim.wait()
    victim.stdin.close()
    victim.stdout.close()
    trained = [[tuple(key) for line in lines if line[0] == "[" for key in json.loads(line)] for lines in outputs]
    assert all(trained)
    assert len(trained[0] + trained[1]) == len(set(trained[0] + trained[1]))
    before = {tuple(key) for keys in lost for key in keys}
    engine = fakes.FakeEngine()
    found = fakes.searched(trials=40, strategy=fakes.a_strategy(strategy, trials=40), engine=engine)
    assert set(trained[0] + trained[1]) | before == set(engine.trained)
    # What the killed one had recorded was not trained again: at most the tile in flight was.
    assert len(before & set(trained[0] + trained[1])) <= 4
    alone = hashlib.sha256(repr(fakes.contents(found)).encode()).hexdigest()
    assert [lines[-1] for lines in outputs] == [f"END {alone}"] * 2


def test_training_goes_on_while_the_store_is_away(postgres, tmp_path):
    """The server is stopped in the middle of a search and comes back after some seconds."""
    engine, stopped = fakes.FakeEngine(tile_s=0.02), []

    def on_tile(keys):
        if len(engine.trained) >= 20 and not stopped:
            stopped.append(True)
            postgres.stop()
            threading.Timer(3.0, postgres.start).start()

    engine.on_tile = on_tile
    found, _ = fakes.kept(tmp_path / "away", url=postgres.url, trials=30, engine=engine)
    assert stopped
    assert fakes.contents(found) == fakes.contents(fakes.searched(trials=30))
    assert len(engine.trained) == len(set(engine.trained)) == 90
    again, rest = fakes.kept(tmp_path / "away", url=postgres.url, trials=30)
    assert rest.trained == []
    assert fakes.contents(again) == fakes.contents(found)


def test_what_cannot_be_written_waits(store):
    """A store that is full, or away, for 10 s, by a clock of the test's own."""
    from sqlalchemy.exc import OperationalError

    now, add, refused = [0.0], store.add, []

    def away(*arguments, **more):
        if 1 <= now[0] < 11:
            refused.append(now[0])
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return add(*arguments, **more)

    def sleep(seconds):
        now[0] += seconds

    store.add = away
    begun(store)
    writer = Writer(store, clock=lambda: now[0], sleep=sleep)
    for trial in range(1, 5):
        writer.add(fakes.a_block([trial]), [])
        now[0] += 1
    assert writer.problem is not None
    assert sum(len(block.trial) for _, block in store.blocks()) == 1
    writer.flush(20.0)
    assert sorted(trial for _, block in store.blocks() for trial in block.trial.tolist()) == [1, 2, 3, 4]
    assert 3 <= len(refused) <= 12


def test_a_url_of_another_database_is_refused():
    with pytest.raises(OptionError, match="PostgreSQL"):
        open_url("mysql://host/db")
    with pytest.raises(OptionError, match="must be a URL"):
        open_url("runs")


def test_a_database_that_does_not_answer_is_refused_without_its_password(tmp_path):
    with pytest.raises(RunFolderError, match="within reach") as caught:
        open_url(f"postgresql+psycopg://me:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)
