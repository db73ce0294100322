"""From a problem and a strategy to a result: search, put together, refit, save."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitune.data.arrays import Split
from unitune.data.dataset import Dataset
from unitune.engine.contract import Engine, Job
from unitune.errors import OptionError, SaveError, TrainingError
from unitune.models import backend
from unitune.records import Array, Direction, Trial
from unitune.report.progress import Listener, Plan
from unitune.result import Reference, Result, Source
from unitune.result.engines import not_fused
from unitune.search import Halving, OneAtATime, Strategy
from unitune.space import Space
from unitune.store import Run, history_table, member_table, probe_table
from unitune.tuner.budget import Budget
from unitune.tuner.described import describe_data, fold_rows, versions
from unitune.tuner.interruption import Interruption
from unitune.tuner.loop import Network, search
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
    problem: Problem,
    strategy: Strategy,
    *,
    space: Space,
    network: Callable[[Mapping[str, Any]], Network],
    engine: Engine,
    limit: int | None,
    time_limit_s: float | None,
    started: float,
    listeners: Sequence[Listener],
    notes: Sequence[str],
    tests: Dataset | None,
    command: str,
    call: Mapping[str, Any] | None = None,
    folder: Path | None,
    overwrite: bool,
    spend: str | None = None,
    nested: Mapping[str, Mapping[str, Any]] | None = None,
    store: str | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    keep: int = 0,
    budget: Budget | None = None,
    objectives: Sequence[tuple[str, Direction]] = (),
    tolerance: float | None = None,
    references: Sequence[str] = (),
    all_references: bool = False,
    by_steps: bool = False,
) -> Result:
    """Searches, puts the result together, and saves it where a folder was given.

    With a folder every chunk of members is recorded while the search runs: in a file in the folder, or at the URL
    `store`. `resume` goes on with a run that is there, provided that `settings`, arguments that decide what is trained,
    and all else is the same. `keep` says of how many of the best trials the members' weights are kept.

    With `spend` a search that would use its whole budget leaves a third of it for repeats. `tolerance` is what may be
    given away for a cheaper trial. `budget` has limits beside trials and time; `objectives` are all of them, where
    there are several. `references` are kinds of simpler models, `all_references` says that none may be left out for the
    time it takes. `by_steps`: the refit on all rows trains as many steps as the folds needed, not as many epochs.
    """
    phases = _Phases(last=started, seconds={})
    phases.end("data")
    size = float("inf") if strategy.name == OneAtATime.name else space.size
    first_limit, first_time_s = limit, time_limit_s
    if spend:
        if limit is not None and limit < size:
            first_limit = max(1, round(limit * (1 - KEPT_FOR_REPEATS)))
        if time_limit_s is not None:
            first_time_s = time_limit_s * (1 - KEPT_FOR_REPEATS)
    most = [n for n in (first_limit, (budget or Budget()).trials(problem.n_members)) if n is not None]
    n_trials = int(min([*most, size])) if most or size != float("inf") else None
    plan = Plan(
        objective=problem.objective,
        direction=problem.direction,
        n_trials=n_trials,
        members_per_trial=problem.n_members,
        strategy=strategy.name,
        engine=engine.name,
        evaluation=problem.evaluation,
        notes=(*notes, *strategy.notes),
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
        notes=(*notes, *strategy.notes),
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
            url=store,
            resume=resume,
            overwrite=overwrite,
            settings=settings,
            keep=keep,
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
                trials=first_limit,
                time_limit_s=first_time_s,
                started=started,
                listeners=listeners,
                size=size,
                recorder=recorder,
                interrupted=lambda: interruption.asked,
                budget=budget,
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
                    trials=limit,
                    time_limit_s=time_limit_s,
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
            notes=(*notes, *strategy.notes),
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
            test_data=tests,
            solo=engine.name == "solo",
            averages=by_steps,
            kinds=() if found.interrupted else tuple(references),
            all_kinds=all_references,
            search_s=phases.seconds.get("search", 0.0),
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
    url: str | None,
    resume: bool,
    overwrite: bool,
    settings: Mapping[str, Any] | None,
    keep: int,
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
        settings=settings or {},
    )
    session = Session(
        folder,
        url=url,
        resume=resume,
        overwrite=overwrite,
        identity=identity,
        record=described,
        space=described.space,
        keep=keep,
        alone=alone,
    )
    device = getattr(engine, "device", None)
    if device is not None:
        engine.device = type(device)(**session.agreed("device", asdict(device)))  # type: ignore[attr-defined]
    return session


class _Stopped:
    """In the place of a refit that the user stopped."""

    def model(self, trial: Trial, epochs: int, learning_rates: Array) -> keras.Model:
        raise TrainingError("training the best on all rows was stopped by the user.")

    def test_scores(self, trial: Trial, model: Callable[[], keras.Model]) -> dict[str, float]:
        return {}

    def references(self) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
        return (), ()

    def members(self, trial: Trial) -> tuple[Sequence[Job], Sequence[Split]]:
        raise TrainingError("the run was stopped by the user.")


def _save(result: Result, folder: Path) -> None:
    try:
        result.save_beside_store(folder)
    except SaveError as error:
        error.result = result
        raise


def run_folder(
    out: str | Path | None, name: str | None, *, resume: bool = False, store: str | None = None
) -> Path | None:
    """Where the run is saved: `out/name`, with `runs` and the date and time where one of them is missing.

    Raises:
        OptionError: The name is no name of a folder, or missing where one is needed.
    """
    if name is None and (resume or store is not None):
        what = "`resume`" if resume else "`store`"
        raise OptionError(f"{what} needs the `name` of a run", "there is none", 'Give it one: `name="mine"`.')
    if out is None and name is None:
        return None
    if name is not None and (name in ("", ".", "..") or any(mark in name for mark in "/\\\0")):
        raise OptionError(
            "`name` must be the name of a folder, without separators", f"got {name!r}", "Give its place with `out`."
        )
    parent = Path(out) if out is not None else Path("runs")
    if name is not None:
        return parent / name
    stem = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    folder, number = parent / stem, 1
    while folder.exists():
        number += 1
        folder = parent / f"{stem}-{number}"
    return folder
