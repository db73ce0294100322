"""Searches on a Ray cluster: the same table as local threads, also while workers and nodes are lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import unitune
from unitune.engine.device import Device
from unitune.engine.elsewhere import CALL_S, ElsewhereEngine, packed
from unitune.engine.fused import FusedEngine
from unitune.engine.program_key import Tile
from unitune.errors import OptionError
from unitune.report.progress import Listener

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(90, 5)).astype("float32")
Y = (X[:, 0] + X[:, 1] ** 2 > 0.7).astype(int)
SPACE: dict[str, Any] = {
    "units": "2:11",
    "activations": ["relu", "tanh"],
    "learning_rates": [1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3, 7e-3, 8e-3, 9e-3, 1e-2],
    "epochs": 4,
    "folds": 2,
    "progress": False,
}


def workers() -> list[int]:
    """Process ids of Ray's workers that run our actors."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"ray::_Worker"):
                found.append(int(folder.name))
    return found


def gone(within_s: float) -> bool:
    """Whether all workers end within this time."""
    end = time.monotonic() + within_s
    while workers() and time.monotonic() < end:
        time.sleep(0.1)
    return not workers()


class Saboteur(Listener):
    """Kills a worker after 20 trials, and takes a node away after 60."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.done = 0
        self.did: list[str] = []

    def on_trial(self, trial: Any, best: Any) -> None:
        self.done += 1
        if self.done == 20:
            os.kill(workers()[0], signal.SIGKILL)
            self.did.append("worker killed")
        if self.done == 60:
            # Not the head: the driver itself lives there.
            node = next(node for node in self.cluster.list_all_nodes() if not node.head)
            self.cluster.remove_node(node, allow_graceful=False)
            self.did.append("node lost")


def table(result: unitune.Result) -> Any:
    """Everything of the table that does not depend on time; of equally large trials the quicker one is recommended."""
    frame = result.table()
    timed = [name for name in frame.columns if name in ("seconds", "pick")]
    return frame.drop(columns=timed)


def test_a_search_that_loses_a_worker_and_a_node_ends_with_the_table_of_local_threads(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As many threads here as workers there: the size of a tile, and with it the last digit, follows from it.
    monkeypatch.setattr(
        "unitune.engine.fused.this_device", lambda backend: Device(threads=3, tile_bytes=3 * 2**20, max_tile=64)
    )
    monkeypatch.setattr("unitune.engine.elsewhere.CALL_S", 0.0)  # small calls, so that there are some to lose
    saboteur = Saboteur(cluster)
    found = unitune.tune(X, Y, **SPACE, executor=unitune.Ray(address=cluster.address), callbacks=[saboteur])
    expected = unitune.tune(X, Y, **SPACE)
    assert saboteur.did == ["worker killed", "node lost"]
    assert len(found.trials) == 200
    assert gone(10.0)
    pd.testing.assert_frame_equal(table(found), table(expected), check_exact=True)


def test_a_search_in_postgresql_that_loses_a_worker_ends_with_the_same_table(
    cluster: Any, postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "unitune.engine.fused.this_device", lambda backend: Device(threads=2, tile_bytes=3 * 2**20, max_tile=64)
    )
    monkeypatch.setattr("unitune.engine.elsewhere.CALL_S", 0.0)
    saboteur = Saboteur(cluster)
    executor = unitune.Ray(address=cluster.address, workers=2)
    options = {**SPACE, "units": [3, 5]}
    found = unitune.tune(
        X, Y, **options, executor=executor, store=postgres.url, out=tmp_path, name="r", callbacks=[saboteur]
    )
    assert saboteur.did == ["worker killed"]
    assert len(found.trials) == 40
    pd.testing.assert_frame_equal(table(found), table(unitune.tune(X, Y, **options)), check_exact=True)


def test_members_that_cannot_be_fused_go_one_by_one(cluster: Any) -> None:
    options = {**SPACE, "units": [4], "learning_rates": 1e-2, "epochs": 2, "optimizers": ["adam", "adafactor"]}
    found = unitune.tune(X, Y, **options, executor=unitune.Ray(address=cluster.address, workers=2))
    engines = {(trial.configuration["optimizer"], trial.engine) for trial in found.trials}
    assert engines == {("adam", "fused"), ("adafactor", "solo")}
    assert all("dafactor" in trial.engine_reason for trial in found.trials if trial.engine == "solo")
    assert all(trial.state == "complete" for trial in found.trials)


def test_lifts_of_the_users_own_reach_the_workers(cluster: Any) -> None:
    """The classes are local ones, which are sent by value; in the workers nothing of them is known."""
    import keras

    from unitune.engine.lift import Node, Weight, along_width

    class Scaled(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")

        def call(self, x: Any) -> Any:
            return x * self.factor

    @unitune.register_lift("Scaled")
    class Lift:
        def read(self, config: Any, shape: Any) -> list[Node]:
            return [Node(kind="Scaled", shape=shape, weights=(Weight(axes=("in",)),))]

        def apply(self, node: Any, weights: Any, x: Any, context: Any) -> Any:
            return x * along_width(weights[0], x), weights

    models = {}
    for units in (3, 5):
        layers = [keras.Input((5,)), keras.layers.Dense(units, "tanh"), Scaled(), keras.layers.Dense(1, "sigmoid")]
        models[str(units)] = keras.Sequential(layers)
        models[str(units)].compile("adam", "binary_crossentropy", metrics=["accuracy"])
    executor = unitune.Ray(address=cluster.address, workers=2)
    settings: dict[str, Any] = {"folds": 2, "epochs": 2, "engine": "fused", "progress": False}
    found = unitune.compare(models, X, Y, **settings, executor=executor)
    expected = unitune.compare(models, X, Y, **settings)
    assert {trial.engine for trial in found.trials} == {"fused"}
    np.testing.assert_allclose(
        found.table()["mean"].to_numpy(float), expected.table()["mean"].to_numpy(float), rtol=1e-5
    )


def test_a_model_that_cannot_be_shipped_is_named(cluster: Any) -> None:
    guard = threading.Lock()

    def guarded(x: Any) -> Any:
        with guard:
            return x

    with pytest.raises(OptionError, match="guard"):
        unitune.tune(
            X,
            Y,
            units=[3],
            activations=[guarded],
            epochs=1,
            progress=False,
            executor=unitune.Ray(address=cluster.address),
        )


def test_tiles_are_packed_until_a_call_is_worth_its_way() -> None:
    keys = ["a", "b", "a", "a", "b"]
    tiles = [SimpleNamespace(key=key, slots=np.array([i, -1]), expected_s=CALL_S * 0.6) for i, key in enumerate(keys)]
    parcels = packed([Tile(key=t.key, split=0, slots=t.slots, expected_s=t.expected_s) for t in tiles], list("vwxyz"))
    assert [parcel.jobs for parcel in parcels] == [("v", "x"), ("w", "z"), ("y",)]
    assert [tile.slots.tolist() for tile in parcels[0].tiles] == [[0, -1], [1, -1]]


class Lossy:
    """A pool that loses every other call for good."""

    workers = 2

    def call(self, function: Any, shared: Any, items: Any, *, should_stop: Any = None) -> Any:
        for place, (_, item) in enumerate(items):
            yield (place, None, "the node burned") if place % 2 else (place, function(shared, item), "")


def test_members_of_lost_calls_fail_with_the_reason_and_the_rest_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitune.engine.elsewhere.CALL_S", 0.0)

    @contextmanager
    def lossy(name: str, executor: Any) -> Any:
        yield ElsewhereEngine(FusedEngine(device=Device(threads=2, tile_bytes=2**20, max_tile=2)), Lossy())

    monkeypatch.setattr("unitune.tuner.dense.engine_on", lossy)
    result = unitune.tune(X, Y, units=[2, 3, 4, 5], activations="relu", epochs=1, validation_split=0.2, progress=False)
    states = [trial.state for trial in result.trials]
    assert {"complete", "failed"} == set(states)
    assert all("the node burned" in trial.failure for trial in result.trials if trial.state == "failed")
