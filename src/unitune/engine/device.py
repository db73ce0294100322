"""What the machine gives to tiles: how many run at a time, and how large one may be."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Device:
    """Limits of the tiles.

    Attributes:
        threads: Tiles that run at a time.
        tile_bytes: What one step of a tile may touch: the cache of a core, or a share of an accelerator's memory.
        max_tile: Members of a tile at most.
    """

    threads: int
    tile_bytes: int
    max_tile: int


def this_device(backend: str) -> Device:
    """The limits of this process's device.

    On CPU a tile runs on each core and should stay in its cache. On an accelerator a tile is as large as the memory
    allows, since one call has to fill it; a second thread prepares the next tile meanwhile.
    """
    if _accelerated(backend):
        return Device(threads=2, tile_bytes=2**30, max_tile=4096)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Device(threads=cores, tile_bytes=3 * 2**20, max_tile=64)


def _accelerated(backend: str) -> bool:
    if backend == "jax":
        import jax

        return bool(jax.default_backend() != "cpu")
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def limit_memory(backend: str, share: float) -> None:
    """Caps what this process may take of each GPU's memory; to be called before the backend is used.

    Args:
        backend: `"tensorflow"` or `"jax"`.
        share: Of the whole memory, between 0 and 1. A twentieth of it is left to the driver's own needs.
    """
    share *= 0.95
    if backend == "jax":
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{share:.4f}"
        return
    import tensorflow as tf

    for gpu, total_mib in zip(tf.config.list_physical_devices("GPU"), gpu_memory_mib(), strict=False):
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=int(total_mib * share))
        tf.config.set_logical_device_configuration(gpu, [limit])


def gpu_memory_mib() -> list[int]:
    """The whole memory of each GPU that this process may see, in MiB; empty where NVIDIA's tool is missing."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if visible:
        command.append(f"--id={visible}")
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [int(line) for line in answer.splitlines() if line.strip().isdigit()]
