"""The fused engine: all members as a few compiled programs.

What cannot be fused is vmapped on the JAX backend; what remains runs solo. Either way the outcome says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from unitune.data.arrays import Split, as_inputs, n_rows, row_shape
from unitune.engine.buckets import RowSizes
from unitune.engine.contract import Job, MemberState, Outcome, Take
from unitune.engine.device import Device, this_device
from unitune.engine.failed import failed_outcome
from unitune.engine.graph import Reading
from unitune.engine.lift.base import Unfusable, in_brief
from unitune.engine.metrics import check_axes
from unitune.engine.paused import Paused
from unitune.engine.plan import Plan, going_on, make_plan
from unitune.engine.program_key import Tile
from unitune.engine.programs import compiled_programs
from unitune.engine.reading import Reader
from unitune.engine.reuse import KnownPrograms
from unitune.engine.run import TileRun
from unitune.engine.solo import SoloEngine
from unitune.engine.vmap.engine import VmappedEngine
from unitune.engine.worth import NOT_WORTH_COMPILING, Ledger
from unitune.errors import FusionError
from unitune.models.backend import backend_name, ensure
from unitune.models.shapes import as_shapes

logger = logging.getLogger(__name__)


class FusedEngine:
    """Trains members together.

    Args:
        strict: Whether a member that cannot be fused is an error; otherwise it is vmapped or runs solo, and its outcome
            says why.
        device: How many tiles run at a time, and how large they may be; by default what suits this machine.
        probes: Whether activations, gradients and updates are measured.
        leaves: Whether a member that its program cannot train after all, or that `fit` trains sooner, comes back as a
            failure, with `"solo"` as its engine and the reason, so that the caller trains it.
        weighs: Whether members are trained with plain `fit` where compiling their program would take longer.

    Attributes:
        plans: What was planned for each call of `train` so far; a plan prints as one sentence.
    """

    name = "fused"

    def __init__(
        self,
        *,
        strict: bool = False,
        device: Device | None = None,
        probes: bool = True,
        leaves: bool = False,
        weighs: bool = False,
    ) -> None:
        self.strict = strict
        self.leaves = leaves
        self._ledger = Ledger() if weighs else None
        self._device = device
        self.probes = probes
        self.plans: list[Plan] = []
        self._known = KnownPrograms()
        self._vmapped: VmappedEngine | None = None

    @property
    def device(self) -> Device:
        """The limits of the tiles."""
        if self._device is None:
            self._device = this_device(backend_name())
        return self._device

    @property
    def resumable(self) -> FusedEngine:
        """This engine."""
        return self

    def plan_for(self, device: Device) -> None:
        """Plans for another device: that of the search which goes on, so that its programs are the same."""
        self._device = device

    def train(
        self,
        jobs: Sequence[Job],
        splits: Sequence[Split],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        take: Take | None = None,
    ) -> Iterator[Outcome]:
        """Trains every job; outcomes come tile by tile, in the order in which they are done.

        Raises:
            FusionError: If `strict`, and some job cannot be fused.
        """
        ensure()
        fusable, readings, refused = read_jobs(jobs, splits)
        self.check(jobs, refused)
        if fusable:
            tiles, by_fit = self._tiles(fusable, readings, splits)
            device = self.device
            run = TileRun(fusable, readings, splits, device.threads, should_stop, take, device.places)
            yield from run.outcomes(tiles)
            self.check(jobs, run.left)
            if self.leaves:
                for job, reason in (*run.left, *((job, NOT_WORTH_COMPILING) for job in by_fit)):
                    yield failed_outcome(job, splits[job.split], reason, engine="solo", engine_reason=reason)
                by_fit = []
            elif run.left and not should_stop():
                yield from self._others().train(run.left, splits, should_stop=should_stop)
            if by_fit and not should_stop():
                yield from SoloEngine(NOT_WORTH_COMPILING).train(by_fit, splits, should_stop=should_stop, take=take)
        if refused and not should_stop():
            yield from self._others().train(refused, splits, should_stop=should_stop, take=take)

    def _others(self) -> VmappedEngine:
        """What trains members that cannot be fused; one for all calls, since it keeps what it compiled."""
        if self._vmapped is None:
            self._vmapped = VmappedEngine(self.device)
        return self._vmapped

    def prepare(self, jobs: Sequence[Job], splits: Sequence[Split]) -> list[MemberState | None]:
        """Plans jobs that are to be trained in several calls, so that all calls use the same programs.

        Returns:
            For each job the state to give it; None where it cannot be fused.
        """
        ensure()
        fusable, readings, refused = read_jobs(jobs, splits)
        self.check(jobs, refused)
        if not fusable:
            return [None] * len(jobs)
        plan = self.plan(fusable, readings, splits)
        self.plans.append(plan)
        keys = {
            id(fusable[index]): Paused(key=tile.key)
            for tile in plan.tiles
            for index in tile.slots.tolist()
            if index >= 0
        }
        return [keys.get(id(job)) for job in jobs]

    def _tiles(
        self, jobs: Sequence[Job], readings: Sequence[Reading], splits: Sequence[Split]
    ) -> tuple[list[Tile], list[Job]]:
        """Planned tiles of members that begin, and those that plain `fit` is to train.

        Members that go on, or were prepared, join others of their program.
        """
        new = [index for index, job in enumerate(jobs) if not isinstance(job.state, Paused)]
        tiles: list[Tile] = []
        by_fit: list[Job] = []
        if new:
            beginning, read = [jobs[i] for i in new], [readings[i] for i in new]
            plan = self.plan(beginning, read, splits, ledger=self._ledger)
            by_fit = [beginning[i] for i in plan.by_fit]
            self.plans.append(plan)
            logger.info("plan: %s", plan)
            own = np.array([*new, -1])  # the last stands for an empty slot
            tiles += [replace(tile, slots=own[tile.slots]) for tile in plan.tiles]
        return tiles + going_on(jobs, readings), by_fit

    def check(self, jobs: Sequence[Job], refused: Sequence[tuple[Job, str]]) -> None:
        """Makes jobs that cannot be fused an error, if `strict`.

        Raises:
            FusionError: It names the first of them.
        """
        if not refused or not self.strict:
            return
        job, reason = refused[0]
        without, total = len({job.member.trial for job, _ in refused}), len({job.member.trial for job in jobs})
        raise FusionError(
            '`engine="fused"` needs every trial to have a fused form',
            f"{without} of {total} trials have none; trial {job.member.trial}: {reason}",
            'Use `engine="auto"` to train those in another way: vmapped on JAX, with plain `fit` on TensorFlow.',
        )

    def plan(
        self,
        jobs: Sequence[Job],
        readings: Sequence[Reading],
        splits: Sequence[Split],
        *,
        ledger: Ledger | None = None,
    ) -> Plan:
        """How `train` does jobs that can all be fused; the next plan may use the programs of this one."""
        rows = RowSizes(
            train=tuple(n_rows(split.x_train) for split in splits),
            validation=tuple(n_rows(split.x_val) for split in splits),
            inputs=tuple(as_shapes(row_shape(split.x_train)) for split in splits),
            weighted=any(split.w_train is not None or split.w_val is not None for split in splits),
            dtype=_type_of_rows(splits[0]),
        )
        return make_plan(
            jobs,
            readings,
            rows,
            device=self.device,
            probes=self.probes,
            backend=backend_name(),
            known=self._known,
            compiled=compiled_programs(),
            ledger=ledger,
        )


def _type_of_rows(split: Split) -> str:
    """The floating type of the rows; Keras's usual one where no input has floats."""
    types = [str(x.dtype) for x in as_inputs(split.x_train)]
    return next((kind for kind in types if kind in ("float32", "float64")), str(ensure().config.floatx()))


def read_jobs(jobs: Sequence[Job], splits: Sequence[Split]) -> tuple[list[Job], list[Reading], list[tuple[Job, str]]]:
    """Sorts jobs into those that can be fused, with their readings, and those that cannot, with the reasons."""
    reader = Reader()
    fusable: list[Job] = []
    readings: list[Reading] = []
    refused: list[tuple[Job, str]] = []
    for job in jobs:
        split = splits[job.split]
        try:
            if any(x.dtype == object for x in as_inputs(split.x_train)):
                raise Unfusable("`x` is not of numbers")
            if not n_rows(split.x_val) and any(name.startswith("val_") for name in job.training.watched):
                raise Unfusable("early stopping without validation rows has no fused form")
            reading = reader.read(job, row_shape(split.x_train))
            for spec, key, y in zip(job.training.each_output, reading.outputs, as_inputs(split.y_train), strict=True):
                if y.ndim == 1 and not key.loss[0].startswith("sparse_"):
                    for metric in spec.metrics:
                        check_axes(metric)
                if dict(key.loss[1]).get("batch_mean") and split.w_train is not None:
                    raise Unfusable(
                        "a loss of your own that gives one number for a batch has no fused form with weights"
                    )
        except Unfusable as reason:
            refused.append((job, str(reason)))
            continue
        except Exception as error:  # out of a function of the user's own, which plain `fit` may yet be able to call
            logger.info("a network could not be read", exc_info=error)
            refused.append((job, f"reading it failed with {in_brief(error)}"))
            continue
        fusable.append(job)
        readings.append(reading)
    return fusable, readings, refused
