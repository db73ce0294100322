"""All trainings of a search in one call of the engine: noted in a first pass, handed out in a second.

scikit-learn evaluates a candidate by calling `fit` of a clone on the rows of a fold. A search here makes these calls
twice. In the first pass each `fit` ends where its training would begin, and the training is noted. Then the engine
trains what was noted, all together. In the second pass scikit-learn's own code runs: `fit` finds its training done,
and scoring, messages, errors and results are scikit-learn's. A `fit` that finds nothing trains by itself, so that the
scores never depend on what was noted.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from unitune.data.arrays import Split
from unitune.engine.choose import choose_engine
from unitune.engine.contract import Job
from unitune.engine.fused import read_jobs
from unitune.integrations.sklearn.training import Trained, blank, train
from unitune.records import Array

T = TypeVar("T")

_CURRENT: ContextVar[SharedFits | None] = ContextVar("unitune_shared_trainings", default=None)


class Noted(BaseException):
    """Ends a `fit` whose training was noted. No `Exception`, so that nothing on the way takes it for a failure."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Wanted:
    """A training that was noted in the evaluation of a candidate."""

    place: int
    key: Hashable
    network: Hashable
    job: Job


class SharedFits:
    """The trainings of one search.

    Attributes:
        refused: From the place of an evaluation whose training cannot be fused to the reason.
        elapsed_s: From the place of an evaluation to the seconds of its training.
    """

    def __init__(self) -> None:
        self.refused: dict[int, str] = {}
        self.elapsed_s: dict[int, float] = {}
        self._place: int | None = None
        self._wanted: list[_Wanted] = []
        self._splits: dict[str, tuple[int, Split]] = {}
        self._done: dict[Hashable, deque[Trained]] = defaultdict(deque)
        self._made: dict[Hashable, Any] = {}
        self._jobs: list[Job] = []
        self._rows: list[Split] = []
        self._further: dict[Hashable, int] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        """While this lasts, every `fit` of this thread looks here for its training."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def note(self, place: int, fit: Callable[[], object]) -> None:
        """Runs a `fit` up to its training, and notes that for the evaluation of this number.

        A `fit` that raises is left alone: scikit-learn will meet the same error in the second pass, and knows what to
        do with it.
        """
        self._place = place
        try:
            with self.active():
                fit()
        except (Noted, Exception):
            pass
        finally:
            self._place = None

    def train(self, n_rows: int) -> None:
        """Trains what was noted; what has no fused form is left to the second pass, with the reason in `refused`.

        A further fit of each network, on up to `n_rows` rows, is planned along with the others: the refit of the best
        then finds its program compiled.
        """
        splits = [split for _, split in self._splits.values()]
        _, _, refused = read_jobs([wanted.job for wanted in self._wanted], splits)
        reasons = {id(job): reason for job, reason in refused}
        self.refused |= {w.place: reasons[id(w.job)] for w in self._wanted if id(w.job) in reasons}
        fusable = [wanted for wanted in self._wanted if id(wanted.job) not in reasons]
        if not fusable:
            return
        jobs = [wanted.job for wanted in fusable]
        for wanted in fusable:
            if wanted.network not in self._further:
                self._further[wanted.network] = len(jobs)
                member = replace(wanted.job.member, trial=len(jobs), fold=len(splits))
                jobs.append(replace(wanted.job, member=member, split=len(splits)))
        self._jobs, self._rows = jobs, [*splits, blank(splits[0], n_rows)]
        done: list[Trained | None] = [None] * len(jobs)
        for number, trained in train(choose_engine("fused", probes=False), jobs, self._rows, range(len(fusable))):
            done[number] = trained
        # In the order in which they were noted: equal trainings (with seeds drawn at random) are handed out like that.
        for wanted, result in zip(fusable, done, strict=False):
            if result is not None:
                self._done[wanted.key].append(result)
                self.elapsed_s[wanted.place] = result.elapsed_s

    def take(self, job: Job, split: Split, *, seeded: bool) -> Trained | None:
        """The training of a `fit`, if it was trained; None if not.

        Raises:
            Noted: This is the first pass.
        """
        rows = _digest(split)
        network = (_plain(job.blueprint), _plain(job.training))
        key = (rows, network, job.member.seed if seeded else None)
        if self._place is None:
            done = self._done.get(key)
            return done.popleft() if done else self._fit_further(job, split, self._further.get(network))
        number, _ = self._splits.setdefault(rows, (len(self._splits), split))
        member = replace(job.member, trial=len(self._wanted), fold=number)
        placed = replace(job, member=member, split=number)
        self._wanted.append(_Wanted(place=self._place, key=key, network=network, job=placed))
        raise Noted

    def _fit_further(self, job: Job, split: Split, planned: int | None) -> Trained | None:
        """Trains a network of the search on other rows, in the program that was made for it."""
        if planned is None:
            return None
        jobs, rows = list(self._jobs), [*self._rows[:-1], split]
        jobs[planned] = replace(job, member=replace(job.member, trial=planned, fold=len(rows) - 1), split=len(rows) - 1)
        ((_, trained),) = train(choose_engine("fused", probes=False), jobs, rows, (planned,))
        return trained

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once for each key."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made


def current() -> SharedFits | None:
    """The search in which this `fit` takes place; None outside of one."""
    return _CURRENT.get()


def _digest(split: Split) -> str:
    digest = hashlib.blake2b(digest_size=16)
    arrays: list[Array | None] = [split.x_train, split.y_train, split.x_val, split.y_val]
    for array in [*arrays, split.w_train, split.w_val, split.y_scale, split.y_offset]:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(str((array.shape, array.dtype)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _plain(value: Any) -> Hashable:
    """A value as something that can be compared: copies of equal Keras objects are equal."""
    if isinstance(value, str | int | float | bool | None):
        return (type(value).__name__, value)
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(_plain(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, Mapping):
        return tuple((str(key), _plain(value[key])) for key in sorted(value, key=str))
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if hasattr(value, "get_config"):
        config = value.get_config()
        return (type(value), _plain({name: item for name, item in config.items() if name != "name"}))
    return (type(value).__name__, id(value)) if callable(value) else repr(value)
