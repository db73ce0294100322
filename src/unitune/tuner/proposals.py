"""What a strategy proposes, a batch ahead: the next batch is asked for while the one before is in training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from unitune.records import Trial
from unitune.search import Strategy


class Proposals:
    """Asks and tells a strategy, one thing at a time and in an order that does not depend on time.

    A strategy that may be asked ahead is asked for batch `k + 1` when batch `k` begins, before it is told of it.

    Attributes:
        proposing_s: Seconds that asking and telling took.
        waited_s: Seconds of them in which nothing was trained.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: Future[list[dict[str, Any]]] | None = None
        self.proposing_s = 0.0
        self.waited_s = 0.0

    @property
    def waiting(self) -> bool:
        """Whether a batch was asked for ahead and not taken."""
        return self._ahead is not None

    @property
    def done(self) -> bool:
        """Whether there is nothing more to take."""
        return self._ahead is None and self._strategy.done

    def ask(self, n: int) -> list[dict[str, Any]]:
        """At most `n` configurations now."""
        began = time.perf_counter()
        asked = self._ask(n)
        self.waited_s += time.perf_counter() - began
        return asked

    def ask_ahead(self, n: int) -> None:
        """Begins to ask for the batch that `take` will give."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="unitune-propose")
        self._ahead = self._pool.submit(self._ask, n)

    def take(self) -> list[dict[str, Any]]:
        """What was asked for ahead, once it is there."""
        assert self._ahead is not None
        began = time.perf_counter()
        asked = self._ahead.result()
        self._ahead = None
        self.waited_s += time.perf_counter() - began
        return asked

    def tell(self, finished: Sequence[Trial]) -> None:
        """Tells the strategy, after what is being asked."""
        began = time.perf_counter()
        if self._ahead is not None:
            self._ahead.exception()
        told = time.perf_counter()
        self._strategy.tell(finished)
        now = time.perf_counter()
        self.proposing_s += now - told
        self.waited_s += now - began

    def close(self) -> None:
        """Asks for nothing more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, n: int) -> list[dict[str, Any]]:
        began = time.perf_counter()
        asked = self._strategy.ask(n)
        self.proposing_s += time.perf_counter() - began
        return asked
