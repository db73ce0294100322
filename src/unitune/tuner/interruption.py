"""Ctrl-C: once to finish what is being trained and stop, twice to stop at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interruption:
    """While it is entered, the first Ctrl-C only asks to stop; the second is a `KeyboardInterrupt`.

    Threads other than the main one, and programs that handle Ctrl-C themselves, are left as they are.

    Args:
        on_asked: Called at the first Ctrl-C.
    """

    def __init__(self, on_asked: Callable[[], None] = lambda: None) -> None:
        self._on_asked = on_asked
        self._asked = False
        self._before: Any = None

    @property
    def asked(self) -> bool:
        """Whether the user asked to stop."""
        return self._asked

    def __enter__(self) -> Interruption:
        mine = threading.current_thread() is threading.main_thread()
        if mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._on_asked()
