"""Workers on a Ray cluster of three nodes: calls, lost workers, lost nodes, what cannot be shipped."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unitune.errors import OptionError
from unitune.execution.ray import Ray, RayPool, _Queue

pytestmark = pytest.mark.slow


def greet() -> dict[str, str]:
    return {"version": "1"}


def double(shared: Any, item: Any) -> tuple[Any, int]:
    return shared * item, os.getpid()


@pytest.fixture
def pool(cluster: Any) -> Iterator[RayPool]:
    made = RayPool(Ray(address=cluster.address), start=greet, expected={"version": "1"})
    yield made
    made.close()


def test_every_item_is_run_once_on_all_workers(pool: RayPool, tmp_path: Path) -> None:
    def slow(shared: Any, item: Any) -> Any:
        (tmp_path / str(os.getpid())).touch()
        end = time.monotonic() + 60.0
        while len(list(tmp_path.iterdir())) < 3 and time.monotonic() < end:
            time.sleep(0.05)  # until all workers are there
        return double(shared, item)

    found = {place: result for place, result, _ in pool.call(slow, np.arange(3), [(i % 3, i) for i in range(30)])}
    assert pool.workers == 3
    assert sorted(found) == list(range(30))
    assert all((found[i][0] == np.arange(3) * i).all() for i in range(30))
    assert len({pid for _, pid in found.values()}) == 3


def test_an_error_of_the_function_is_raised_as_it_is(pool: RayPool) -> None:
    def fails(shared: Any, item: Any) -> Any:
        raise ZeroDivisionError(f"item {item}")

    with pytest.raises(ZeroDivisionError, match="item 7"):
        list(pool.call(fails, None, [("a", 7)]))
    assert [result[0] for _, result, _ in pool.call(double, 2, [("a", 4)])] == [8]


def test_a_killed_workers_items_are_run_again(pool: RayPool, tmp_path: Path) -> None:
    def once_deadly(folder: str, item: int) -> int:
        mark = Path(folder) / str(item)
        first = not mark.exists()
        mark.touch()
        if first and item % 5 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    found = list(pool.call(once_deadly, str(tmp_path), [("a", i) for i in range(12)]))
    assert sorted(result for _, result, _ in found) == list(range(12))
    assert pool.lost >= 3


def test_an_item_that_always_kills_its_worker_fails_with_the_reason(cluster: Any) -> None:
    def deadly(shared: Any, item: int) -> int:
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    pool = RayPool(Ray(address=cluster.address, max_retries=1, workers=1), start=greet)
    try:
        found = {
            place: (result, reason) for place, result, reason in pool.call(deadly, None, [("a", i) for i in range(3)])
        }
    finally:
        pool.close()
    assert found[0] == (0, "")
    assert found[2] == (2, "")
    assert found[1][0] is None
    assert "lost 2 times" in found[1][1]


def test_stopping_starts_nothing_more(pool: RayPool) -> None:
    seen: list[int] = []
    for place, _, _ in pool.call(double, 1, [("a", i) for i in range(200)], should_stop=lambda: len(seen) >= 2):
        seen.append(place)
    assert 2 <= len(seen) < 20


def test_results_larger_than_the_object_stores_together_spill(pool: RayPool) -> None:
    def large(shared: Any, item: int) -> Any:
        return np.full(3_000_000, item, "float64")

    total = 0.0
    for _, result, _ in pool.call(large, None, [("a", i) for i in range(16)]):
        total += float(result[0])
    assert total == sum(range(16))


def test_a_worker_of_other_versions_is_refused(cluster: Any) -> None:
    pool = RayPool(Ray(address=cluster.address), start=greet, expected={"version": "2", "keras": "3"})
    try:
        with pytest.raises(OptionError, match=r"version 1 \(here 2\), keras none \(here 3\)"):
            list(pool.call(double, 1, [("a", 1)]))
    finally:
        pool.close()


def test_what_cannot_be_pickled_is_named(pool: RayPool) -> None:
    with pytest.raises(OptionError, match="lock"):
        list(pool.call(double, {"guard": threading.Lock()}, [("a", 1)]))
    with pytest.raises(OptionError, match="lock"):
        list(pool.call(double, 1, [("a", threading.Lock())]))


def test_more_than_the_cluster_has_is_refused(cluster: Any) -> None:
    for settings, words in (
        (Ray(address=cluster.address, num_gpus=0.5), "GPU"),
        (Ray(address=cluster.address, num_cpus=99), "cores"),
    ):
        pool = RayPool(settings, start=greet)
        try:
            with pytest.raises(OptionError, match=words):
                _ = pool.workers
        finally:
            pool.close()


def test_an_address_without_ray_is_one_message() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", "nowhere.invalid:6379"):
        with pytest.raises(OptionError, match="none does at"):
            _ = RayPool(Ray(address=address), start=greet).workers


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"num_cpus": 0}, {"num_gpus": -1}, {"workers": 0}, {"max_retries": -1}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            Ray(**wrong)  # type: ignore[arg-type]


def test_a_worker_gets_items_of_keys_that_it_had() -> None:
    queue = _Queue(["a", "b", "b", "c", "b"])
    assert queue.pop(set()) == 1
    assert queue.pop({"a"}) == 0
    queue.put_back(0)
    assert [queue.pop({"c"}), queue.pop({"c"})] == [3, 2]
    assert len(queue) == 2
    queue.clear()
    assert not queue
