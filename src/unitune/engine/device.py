"""What the machine gives to tiles: how many run at a time, and how large one may be."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# The share of an accelerator's memory that a step of a tile may touch: two tiles at a time, XLA's copies, rows.
_TILE_SHARE = 16
_TILE_BYTES = 2**30

_place = threading.local()


@dataclass(frozen=True, kw_only=True)
class Device:
    """Limits of the tiles.

    Attributes:
        threads: Tiles that run at a time.
        tile_bytes: What one step of a tile may touch: the cache of a core, or a share of an accelerator's memory.
        max_tile: Members of a tile at most.
        places: Names of the accelerators that the threads take turns at, as `at` takes them; empty on CPU.
    """

    threads: int
    tile_bytes: int
    max_tile: int
    places: tuple[str, ...] = ()


def this_device(backend: str) -> Device:
    """The limits of this process's devices.

    On CPU a tile runs on each core and should stay in its cache. On an accelerator a tile is as large as the memory
    allows, since one call has to fill it; a second thread prepares the next tile meanwhile. Of several accelerators
    each gets its own two threads, and the smallest memory counts.
    """
    places = accelerators(backend)
    if places:
        memory = min(gpu_memory_mib(), default=16 * 1024) * 2**20
        return Device(
            threads=2 * len(places),
            tile_bytes=min(_TILE_BYTES, memory // _TILE_SHARE),
            max_tile=4096,
            places=places if len(places) > 1 else (),
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Device(threads=cores, tile_bytes=3 * 2**20, max_tile=64)


def accelerators(backend: str) -> tuple[str, ...]:
    """The names of this machine's accelerators, `"gpu:0"` and so on."""
    if backend == "jax":
        import jax

        return tuple(f"{d.platform}:{i}" for i, d in enumerate(jax.local_devices()) if d.platform != "cpu")
    import tensorflow as tf

    return tuple(f"gpu:{i}" for i in range(len(tf.config.list_logical_devices("GPU"))))


@contextmanager
def at(place: str) -> Iterator[None]:
    """What this thread computes inside the block is computed there; `""` leaves it to the backend."""
    if not place:
        yield
        return
    import keras

    previous = here()
    _place.name = place
    try:
        with keras.device(place):
            yield
    finally:
        _place.name = previous


def here() -> str:
    """The place that `at` gave this thread, or `""`."""
    return str(getattr(_place, "name", ""))


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
