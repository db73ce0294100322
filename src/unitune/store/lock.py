"""One process at a time on a run folder. The system lifts the lock of a process that dies, however it dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from unitune.errors import RunFolderError


class FolderLock:
    """Keeps other processes off a run folder, from its making until `release`.

    Raises:
        RunFolderError: Another process works on it.
    """

    def __init__(self, folder: Path) -> None:
        self._handle: int | None = None
        handle = _open(folder)
        try:
            _lock(handle)
        except OSError:
            os.close(handle)
            raise RunFolderError(
                "One process at a time works on a run folder",
                f"another one works on `{folder}`",
                "Wait until it has ended; `unitune show` and `unitune dashboard` may look at it meanwhile.",
            ) from None
        self._handle = handle

    def release(self) -> None:
        """Lets others in."""
        if self._handle is not None:
            os.close(self._handle)  # which lifts the lock
            self._handle = None


if sys.platform == "win32":
    import msvcrt

    def _open(folder: Path) -> int:
        return os.open(folder / "store.lock", os.O_RDWR | os.O_CREAT)

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _open(folder: Path) -> int:
        # The folder itself: no file is left that another could take for a lock that holds.
        return os.open(folder, os.O_RDONLY)

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
