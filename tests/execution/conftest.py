"""A real Ray cluster of three nodes on loopback, one core and a small object store each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

STORE_BYTES = 80 * 2**20


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """The cluster, which this process has not joined; its processes end with the module."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False},
    )
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()
