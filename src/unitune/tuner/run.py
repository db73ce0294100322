"""From a problem and a strategy to a result: search, put together, refit, save."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitune.data.arrays import Split
from unitune.engine.contract import Engine, Job
from unitune.engine.device import Device
from unitune.engine.fake import FakeEngine
from unitune.errors import SaveError, TrainingError
from unitune.models import backend
from unitune.options import Budget, RunOptions
from unitune.records import Array, Direction, Trial
from unitune.report.progress import Listener, Plan
from unitune.result import Result, Source
from unitune.result.engines import not_fused
from unitune.search import Halving, OneAtATime, Strategy
from unitune.store import Run, check_folder, history_table, member_table, probe_table
from unitune.tuner.defaults import seconds_of_the_end
from unitune.tuner.described import describe_data, fold_rows, versions
from unitune.tuner.interruption import Interruption
from unitune.tuner.loop import search
from unitune.tuner.pose import Posed
from unitune.tuner.predictions import out_of_fold
from unitune.tuner.problem import Problem
from unitune.tuner.recorder import Recorder
from unitune.tuner.refit import Refitter
from unitune.tuner.spend import KEPT_FOR_REPEATS, spend_on_repeats

if TYPE_CHECKING:
    import keras

    from unitune.tuner.session import Session

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Phases:
    """Seconds for each phase."""

    last: float
    seconds: dict[str, float]

    def end(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self.last
        self.last = now


def run(
    posed: Posed,
    strategy: Strategy,
    *,
    engine: Engine,
    budget: Budget,
    tolerance: float | None,
    started: float,
    listeners: Sequence[Listener] = (),
    kept: RunOptions = RunOptions(),  # noqa: B008  (frozen)
    folder: Path | None = None,
    command: str = "",
    call: Mapping[str, Any] | None = None,
    nested: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    objectives: Sequence[tuple[str, Direction]] = (),
    references: Sequence[str] = (),
    all_references: bool = False,
) -> Result:
    """Searches, puts the result together, and saves it where a folder was given.

    With a folder every chunk of members is recorded while the search runs, in a store that `kept` tells of; a run that
    is there goes on, provided that `settings`, options that decide what is trained, and all else is the same.

    A time limit includes what comes after the search: see `seconds_of_the_end`.

    With `budget.spend` a search that would use its whole budget leaves a third of it for repeats. `tolerance` is what
    may be given away for a cheaper trial. `objectives` are all of them, where there are several. `references` are kinds
    of simpler models, `all_references` says that none may be left out for the time it takes. Where how long networks
    train follows from the rows, the refit on all rows trains as many steps as the folds needed, not as many epochs.
    """
    problem, space, network, by_steps = posed.problem, posed.space, posed.network, posed.by_steps
    limit, time_limit_s, spend = budget.trials, budget.time_limit_s, budget.spend
    tolerance = None if tolerance is None else float(tolerance)
    phases = _Phases(last=started, seconds={})
    phases.end("data")
    size = float("inf") if strategy.name == OneAtATime.name else space.size
    first = budget
    if spend and limit is not None and limit < size:
        first = replace(first, trials=max(1, round(limit * (1 - KEPT_FOR_REPEATS))))
    end_s = 0.0 if folder is None or time_limit_s is None else seconds_of_the_end(time_limit_s)
    repeats_s = time_limit_s * KEPT_FOR_REPEATS if spend and time_limit_s is not None else 0.0
    told = (*posed.notes, *strategy.notes)
    most = [n for n in (first.trials, first.trials_of(problem.n_members)) if n is not None]
    n_trials = int(min([*most, size])) if most or size != float("inf") else None
    plan = Plan(
        objective=problem.objective,
        direction=problem.direction,
        n_trials=n_trials,
        members_per_trial=problem.n_members,
        strategy=strategy.name,
        engine=engine.name,
        evaluation=problem.evaluation,
        notes=told,
    )
    described = Run(
        objective=problem.objective,
        direction=problem.direction,
        metrics=problem.metrics,
        task=problem.dataset.task,
        space=space,
        strategy=strategy.name,
        engine=engine.name,
        seed=problem.seed,
        folds={
            "n_folds": problem.n_folds,
            "repeats": problem.repeats,
            "validation_ratio": problem.validation_ratio,
            "kind": problem.evaluation,
        },
        data=describe_data(problem) | ({"fold_rows": fold_rows(problem)} if by_steps else {}),
        versions=versions(),
        command=command,
        call=call or {},
        notes=told,
        nested=nested or {},
        objectives=tuple(objectives),
        tolerance=tolerance,
    )
    session = None
    if folder is not None:
        session = _session(
            folder,
            problem,
            described,
            engine,
            kept=kept,
            settings=settings or {},
            alone=isinstance(strategy.referee, Halving),
        )
        # The time between its sessions is no part of a run.
        started -= session.before_s
    recorder = Recorder() if session is None else session.recorder
    failed = True
    try:
        for listener in listeners:
            listener.on_start(plan)
        with Interruption(lambda: _tell(listeners, "stopping")) as interruption:
            found = search(
                problem,
                strategy,
                network=network,
                engine=engine,
                budget=first,
                started=started,
                listeners=listeners,
                size=size,
                kept_s=end_s + repeats_s,
                recorder=recorder,
                interrupted=lambda: interruption.asked,
            )
            phases.end("search")
            if strategy.learns:
                phases.seconds |= {"proposing": found.proposing_s, "waited for proposals": found.waited_s}
            if not any(trial.state == "complete" for trial in found.trials):
                reason = found.trials[0].failure if found.trials else ""
                if session is not None and not found.interrupted:
                    session.discard()
                    session = None
                raise TrainingError.of_all(len(found.trials), reason)
            spent: Mapping[str, Any] = {}
            if spend:
                _tell(listeners, "repeats")
                spent = spend_on_repeats(
                    problem,
                    found,
                    space=space,
                    tolerance=tolerance,
                    network=network,
                    engine=engine,
                    budget=budget,
                    kept_s=end_s,
                    started=started,
                    listeners=listeners,
                    recorder=recorder,
                    interrupted=lambda: interruption.asked,
                )
                phases.end("repeats")
        left_out = found.left_out
        if found.interrupted and session is not None:
            left_out += f" `unitune resume {folder}` goes on."
        record = replace(
            described,
            elapsed_s=phases.seconds,
            plans=tuple(str(plan) for plan in engine.plans),
            notes=(*posed.notes, *strategy.notes),
            left_out=left_out,
            interrupted=found.interrupted,
            logits=tuple(found.logits),
            changes=tuple(asdict(c) for c in strategy.changes),
            spent=spent,
        )

        def make(run: Run, source: Source) -> Result:
            return Result(
                run=run,
                trials=found.trials,
                members=lambda: member_table(found.blocks),
                histories=lambda: history_table(found.blocks),
                probes=lambda: probe_table(found.blocks),
                predictions=lambda: out_of_fold(problem, found),
                source=source,
            )

        source = Refitter(
            problem=problem,
            network=network,
            test_data=posed.tests,
            solo=engine.name == "solo",
            engine=engine if isinstance(engine, FakeEngine) else None,
            averages=by_steps,
            kinds=() if found.interrupted else tuple(references),
            all_kinds=all_references,
            search_s=phases.seconds.get("search", 0.0),
            ends=started + time_limit_s - end_s / 2 if end_s and time_limit_s is not None else math.inf,
        )
        result = make(record, source)
        if folder is not None and session is not None:
            failed = False
            try:
                recorder.flush()
            except SaveError as error:
                error.result = result
                raise
            try:
                if source.kinds:
                    _tell(listeners, "references")
                    result.references  # noqa: B018  (trained now, and then kept)
                    phases.end("references")
                _tell(listeners, "refit")
                result.model()
            except TrainingError:
                pass  # `save` keeps the rest and says so
            except KeyboardInterrupt:
                result = make(replace(result.run, interrupted=True), _Stopped())
            phases.end("refit")
            _tell(listeners, "save")
            phases.seconds["total"] = time.perf_counter() - started
            _save(result, folder)
            session.end("interrupted" if result.interrupted else "finished", result.run)
        else:
            phases.seconds["total"] = time.perf_counter() - started
    finally:
        if session is not None:
            session.close(failed=failed)
        for listener in listeners:
            listener.on_end()
    for sentence in not_fused(result.trials):
        logger.warning(sentence)
    return result


def _tell(listeners: Sequence[Listener], phase: str) -> None:
    for listener in listeners:
        listener.on_phase(phase)


def _session(
    folder: Path,
    problem: Problem,
    described: Run,
    engine: Engine,
    *,
    kept: RunOptions,
    settings: Mapping[str, Any],
    alone: bool,
) -> Session:
    """Begins a run in a store, or goes on with one; its members are then planned as on the device that began it."""
    from unitune.tuner.session import Session, identity_of

    identity = identity_of(
        fingerprint=problem.dataset.fingerprint,
        folds=[(fold.train, fold.validation) for fold in problem.folds],
        objective=problem.objective,
        direction=problem.direction,
        evaluation=problem.evaluation,
        seed=problem.seed,
        strategy=described.strategy,
        engine=engine.name,
        backend=backend.backend_name(),
        space=described.space,
        settings=settings,
    )
    session = Session(
        folder,
        url=kept.store,
        resume=kept.resume,
        overwrite=kept.overwrite,
        identity=identity,
        record=described,
        space=described.space,
        keep=kept.keep,
        alone=alone,
    )
    if engine.resumable is not None:
        engine.resumable.plan_for(Device(**session.agreed("device", asdict(engine.resumable.device))))
    return session


class _Stopped(Source):
    """In the place of a refit that the user stopped."""

    def model(self, trial: Trial, epochs: int, learning_rates: Array) -> keras.Model:
        raise TrainingError("training the best on all rows was stopped by the user.")

    def members(self, trial: Trial) -> tuple[Sequence[Job], Sequence[Split]]:
        raise TrainingError("the run was stopped by the user.")


def _save(result: Result, folder: Path) -> None:
    try:
        result.save_beside_store(folder)
    except SaveError as error:
        error.result = result
        raise


def checked_folder(options: RunOptions) -> Path | None:
    """The run folder, into which a run can be written; None where nothing is kept.

    Raises:
        OptionError: Its name is none, or something is to be kept and there is no folder.
        RunFolderError: It exists, or cannot be written.
    """
    folder = options.folder()
    if folder is not None:
        check_folder(folder, overwrite=options.overwrite, resume=options.resume)
    return folder
