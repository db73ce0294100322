"""What every engine takes and gives: jobs and splits in, outcomes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from unitune.data.arrays import Split
from unitune.engine.device import Device
from unitune.models.blueprint import Blueprint, Training
from unitune.records import Array, Member

Arrays = dict[str, Array | Sequence[Array]]
"""Arrays, and lists of arrays, by name."""


class MemberState(Protocol):
    """What a member that has stopped needs to go on, in the engine that stopped it."""

    def arrays(self) -> Arrays:
        """The form in which a store keeps it; `unitune.engine.paused.state_of` puts it together again."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One member to train.

    Attributes:
        member: Who it is; its `seed` decides initial weights, row order and dropout.
        split: The index of its rows in the sequence of splits given to the engine.
        blueprint: Its network.
        training: How it is trained.
        initial_weights: In the order of `keras.Model.get_weights()`; None draws them from the member's seed with the
            layers' own initializers (`unitune.models.initial`).
        until: Stop after this epoch, counted from 1, and keep the state; None trains to the end.
        state: What `Outcome.states` had for this member after an earlier `until`, from which it goes on.
    """

    member: Member
    split: int
    blueprint: Blueprint
    training: Training
    initial_weights: Sequence[Array] | None = None
    until: int | None = None
    state: MemberState | None = None

    @property
    def last_epoch(self) -> int:
        """The epoch after which it stops at the latest, counted from 1."""
        epochs = self.training.epochs
        return epochs if self.until is None else min(self.until, epochs)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What training some members of one split gave. Arrays lead with the member axis, in the order of `jobs`.

    Attributes:
        jobs: The members' jobs.
        metrics: Names of the per-epoch metrics; `"loss"` is first.
        train, validation: `(member, epoch, metric)`; NaN after a member's last epoch.
        learning_rate: `(member, epoch)`.
        n_epochs: `(member,)`, epochs trained.
        best_epoch: `(member,)`, counted from 1: the epoch whose weights were kept.
        train_predictions: `(member, row, output)` at the kept weights, in the row order of the split; several outputs
            of a network lie side by side.
        validation_predictions: likewise on the validation rows.
        weights: For each member its weights in the order of `keras.Model.get_weights()`.
        failures: `(member,)`, empty where all went well, else the reason.
        elapsed_s: `(member,)`, each member's share of the time.
        engine: `"fused"`, `"vmapped"` or `"solo"`.
        engine_reason: Why not faster; empty for fused members.
        probes: From a probe's name to `(member, epoch, layer)`.
        states: For each member what it needs to go on (`Job.state`), None where it is done; empty where all are done.
            A member that goes on is, with the fused engine, bit-equal to one that never stopped.
    """

    jobs: tuple[Job, ...]
    metrics: tuple[str, ...]
    train: Array
    validation: Array
    learning_rate: Array
    n_epochs: Array
    best_epoch: Array
    train_predictions: Array
    validation_predictions: Array
    weights: tuple[tuple[Array, ...], ...]
    failures: tuple[str, ...]
    elapsed_s: Array
    engine: str
    engine_reason: str = ""
    probes: Mapping[str, Array] = field(default_factory=dict)
    states: tuple[MemberState | None, ...] = ()


class OutOfTime(Exception):  # noqa: N818  (nothing is wrong)
    """Raised by `should_stop` where what is half-trained is to be given up, too."""


Take = Callable[[Sequence[Job]], Sequence[bool]]
"""Asked just before jobs are trained, on any thread: which of them are to be. The others are done or someone's."""


class Engine(Protocol):
    """Trains members. An outcome comes as soon as its members are done, in any order.

    `plans` says of each call so far how it was done, if there was a choice; an item prints as a sentence.
    """

    name: str

    @property
    def plans(self) -> Sequence[object]:
        """How each call of `train` was done."""
        ...

    @property
    def resumable(self) -> Resumable | None:
        """The engine as one that plans ahead for members which stop and go on; None where it has no programs."""
        ...

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Take | None = None,
    ) -> Iterator[Outcome]:
        """Trains every job; starts nothing more once `should_stop()` is true, and ends with `OutOfTime` where it
        raises that.

        With `take`, jobs that it does not grant are planned all the same: a member gives the same bits only in the same
        program, and so a search that goes on must plan what is done already.
        """
        ...


class Resumable(Engine, Protocol):
    """An engine whose members go on in the same programs, in this process and in later ones."""

    @property
    def device(self) -> Device:
        """For which it plans."""
        ...

    def plan_for(self, device: Device) -> None:
        """Plans for another device: that of the search which goes on, so that its programs are the same."""
        ...

    def prepare(self, jobs: Sequence[Job], splits: Sequence[Split]) -> list[MemberState | None]:
        """Plans jobs that are to be trained in several calls, so that all calls use the same programs.

        Returns:
            For each job the state to give it; None where it is in no program.
        """
        ...
