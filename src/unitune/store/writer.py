"""Writing to a store that may be away or full for a while: what cannot be written waits, and training goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from unitune.errors import SaveError
from unitune.records import Trial
from unitune.store.members import MemberBlock
from unitune.store.run_store import RunStore

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
# A server comes back by itself, room on a disk seldom does.
PATIENCE_S = {True: 60.0, False: 5.0}
"""For how long a store is waited for that is away or full, by whether it is shared."""

T = TypeVar("T")


@dataclass(kw_only=True, eq=False)
class _Chunk:
    """Members, and trials that are finished, to be recorded in one transaction."""

    blocks: list[MemberBlock] = field(default_factory=list)
    finished: list[Trial] = field(default_factory=list)


class Writer:
    """Records whole chunks and what follows them, in order: at once if possible, otherwise as soon as possible.

    Args:
        store: The run.
        elapsed_s: How long the run has taken so far.
        clock, sleep: For tests.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        elapsed_s: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._elapsed_s = elapsed_s
        self._clock = clock
        self._sleep = sleep
        self._waiting: list[_Chunk | Callable[[], None]] = []
        self._pause_s = 0.0
        self._next_try = float("-inf")
        self.problem: Exception | None = None
        """Why the last attempt failed; None where it did not."""

    def add(self, block: MemberBlock, finished: Sequence[Trial]) -> None:
        """Records a chunk, unless an earlier attempt failed only just now; it is then recorded with a later one."""
        chunk = self._last_chunk()
        chunk.blocks.append(block)
        chunk.finished += finished
        self._try_if_due()

    def finish(self, trials: Sequence[Trial]) -> None:
        """Records trials that are finished without a further member, with the next chunk."""
        if trials:
            self._last_chunk().finished += trials

    def then(self, do: Callable[[], None]) -> None:
        """Does something with the store after what was recorded so far; again, until it succeeds."""
        self._waiting.append(do)
        self._try_if_due()

    def flush(self, patience_s: float | None = None) -> None:
        """Records what waits.

        Args:
            patience_s: For how long to try; `PATIENCE_S` if not given.

        Raises:
            SaveError: It could not be done for so long.
        """
        end = self._clock() + (PATIENCE_S[self._store.shared] if patience_s is None else patience_s)
        while self._waiting:
            self._try()
            if self.problem is None:
                return
            if self._clock() + self._pause_s > end:
                raise self._given_up()
            self._sleep(self._pause_s)

    def _last_chunk(self) -> _Chunk:
        if not self._waiting or not isinstance(self._waiting[-1], _Chunk):
            self._waiting.append(_Chunk())
        chunk = self._waiting[-1]
        assert isinstance(chunk, _Chunk)
        return chunk

    def _try_if_due(self) -> None:
        if self._clock() >= self._next_try:
            self._try()

    def _try(self) -> None:
        try:
            while self._waiting:
                first = self._waiting[0]
                if isinstance(first, _Chunk):
                    self._store.add(first.blocks, first.finished, elapsed_s=self._elapsed_s())
                else:
                    first()
                # An interruption before this does it again: members that are recorded are left out.
                del self._waiting[0]
        except DBAPIError as error:
            if not is_passing(error):
                raise
            self.problem = error
            self._pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self._pause_s))
            self._next_try = self._clock() + self._pause_s
            return
        self.problem, self._pause_s, self._next_try = None, 0.0, float("-inf")

    def _given_up(self) -> SaveError:
        chunks = [one for one in self._waiting if isinstance(one, _Chunk)]
        members = sum(len(block.trial) for chunk in chunks for block in chunk.blocks)
        return SaveError(
            f"`{self._store.where}` cannot be written: {reason(self.problem)}. {members:,} networks were trained and "
            "are not recorded; everything before them is. Make room or bring the store back, then `unitune resume`."
        )


def patiently(do: Callable[[], T], store: RunStore) -> T:
    """Does something with a store, again and again while it is away.

    Raises:
        SaveError: It was away for `PATIENCE_S`.
    """
    end, pause_s = time.monotonic() + PATIENCE_S[store.shared], FIRST_PAUSE_S
    while True:
        try:
            return do()
        except DBAPIError as error:
            if not is_passing(error):
                raise
            if time.monotonic() + pause_s > end:
                raise SaveError(
                    f"`{store.where}` cannot be used: {reason(error)}. What was recorded before is kept. Make room or "
                    "bring the store back, then `unitune resume`."
                ) from error
        time.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)


def is_passing(error: DBAPIError) -> bool:
    """Whether an error is one of the surroundings (a full disk, a server that is away), not of what was asked."""
    return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated


def reason(error: Exception | None) -> str:
    """What the database said, in one line."""
    said = str(getattr(error, "orig", error)).strip().splitlines()
    return said[0] if said else type(error).__name__
