"""An engine around another: the same programs and states, other jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from unitune.data.arrays import Split
from unitune.engine.contract import Engine, Job, MemberState, Outcome, Resumable, Take
from unitune.engine.device import Device


class Around:
    """Trains what the engine inside it trains; a subclass says which jobs that is."""

    def __init__(self, inner: Engine) -> None:
        self.name = inner.name
        self.inner = inner

    @property
    def plans(self) -> Sequence[object]:
        """Those of the inner engine."""
        return self.inner.plans

    @property
    def resumable(self) -> Resumable | None:
        """This engine, where the inner one is resumable."""
        return None if self.inner.resumable is None else self

    @property
    def device(self) -> Device:
        """That of the inner engine."""
        return self._resumable.device

    def plan_for(self, device: Device) -> None:
        """Has the inner engine plan for another device."""
        self._resumable.plan_for(device)

    def prepare(self, jobs: Sequence[Job], splits: Sequence[Split]) -> list[MemberState | None]:
        """As the inner engine does."""
        return self._resumable.prepare(jobs, splits)

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Take | None = None,
    ) -> Iterator[Outcome]:
        """As the inner engine does."""
        return self.inner.train(jobs, splits, should_stop=should_stop, take=take)

    @property
    def _resumable(self) -> Resumable:
        found = self.inner.resumable
        assert found is not None
        return found
