"""Networks that cannot be trained: their members are failures, and take no others down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from unitune.data.arrays import Split
from unitune.engine.around import Around
from unitune.engine.contract import Engine, Job, MemberState, Outcome
from unitune.engine.failed import failed_outcome
from unitune.models.blueprint import Blueprint


class Failures:
    """Networks that cannot be trained, with the reason: their members are failures, and take no others down."""

    def __init__(self) -> None:
        self._reasons: dict[int, tuple[Blueprint, str]] = {}  # which keeps the ids valid

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def add(self, blueprint: Blueprint, reason: str) -> None:
        """Notes why a network cannot be trained."""
        self._reasons[id(blueprint)] = (blueprint, reason)

    def before(self, engine: Engine) -> Engine:
        """An engine before which they are sorted out."""
        return _Sorting(engine, self._reasons)


class _Sorting(Around):
    def __init__(self, engine: Engine, failures: Mapping[int, tuple[Blueprint, str]]) -> None:
        super().__init__(engine)
        self._failures = failures

    def prepare(self, jobs: Sequence[Job], splits: Sequence[Split]) -> list[MemberState | None]:
        sound = [job for job in jobs if id(job.blueprint) not in self._failures]
        states = iter(super().prepare(sound, splits) if sound else ())
        return [None if id(job.blueprint) in self._failures else next(states) for job in jobs]

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Callable[[Sequence[Job]], Sequence[bool]] | None = None,
    ) -> Iterator[Outcome]:
        sound = [job for job in jobs if id(job.blueprint) not in self._failures]
        for job in jobs:
            if id(job.blueprint) in self._failures and (take is None or take([job])[0]):
                yield failed_outcome(job, splits[job.split], self._failures[id(job.blueprint)][1], engine="solo")
        if sound:
            yield from self.inner.train(sound, splits, should_stop=should_stop, take=take)
