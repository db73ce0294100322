"""Kills a search, again and again, until it has come to its end; run in a process of its own, which forks.

`kill_worker.py FOLDER KILLS SEED`: half of the kills come at random moments, half between two statements of the store,
that is, mostly in the middle of a transaction. Prints how often the search was killed, how much of it each kill found
done, and whether its end is that of a search which was never killed, to the last bit.
"""

import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, event

sys.path.insert(0, str(Path(__file__).parent))
import store_fakes as fakes

TRIALS = 200
TILE_S = 0.004


def child(folder, statements):
    """A search that kills itself before a statement of the store, if `statements` are given."""
    left = [statements]

    if statements:

        @event.listens_for(Engine, "before_cursor_execute")
        def count(*_):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    fakes.kept(folder, trials=TRIALS, engine=fakes.FakeEngine(tile_s=TILE_S))


def n_members(folder):
    try:
        with sqlite3.connect(folder / "store.db") as connection:
            return connection.execute("SELECT count(*) FROM members").fetchone()[0]
    except sqlite3.Error:
        return 0


def main(folder, kills, seed):
    whole = fakes.contents(fakes.searched(trials=TRIALS))
    rng = np.random.default_rng(seed)
    killed, done = 0, []
    while True:
        # Draws come before the fork, or every child would draw the same.
        inside = killed < kills and killed % 2 == 1
        statements, moment_s = int(rng.integers(1, 60)), float(rng.uniform(0.0, 0.1))
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(folder, statements if inside else 0)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        if killed < kills and not inside:
            time.sleep(moment_s)
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            killed += 1
            done.append(n_members(folder))
            continue
        assert os.WEXITSTATUS(status) == 0
        if done and killed < kills:
            killed += 1  # it had come to its end before
            continue
        break
    found, engine = fakes.kept(folder, trials=TRIALS)
    same = fakes.contents(found) == whole
    print(json.dumps({"killed": len(done), "done": done, "same": same, "trained_again": len(engine.trained)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
