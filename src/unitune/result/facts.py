"""From a result to what its report shows. What an older run does not have is left out here, and said on the page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from unitune.diagnosis.diagnose import judge
from unitune.diagnosis.generalization_gap import fits_well
from unitune.diagnosis.probes import flow, worst_layer
from unitune.errors import UnituneError
from unitune.models import dense, heads
from unitune.records import Finding, Trial, interval_text
from unitune.report.facts import Facts
from unitune.report.numbers import axis_name, seconds, setting
from unitune.report.prepared.architecture import Layer, layers_of, n_features_of
from unitune.result.conclusion import label
from unitune.result.epochs import best_epoch
from unitune.result.record import Record
from unitune.store.run import varying

if TYPE_CHECKING:
    from unitune.space import Space

Value = TypeVar("Value")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a search says in short: its conclusion, the trials that may be the best, what was found, names of trials."""

    conclusion: tuple[str, ...]
    credible: tuple[int, ...]
    findings: tuple[Finding, ...] | None
    labels: Mapping[int, str]


def answer_of(result: Record) -> Answer:
    """The answer of a search; what an older run does not have is left out."""
    best = _known(lambda: result.best)[0]
    return Answer(
        conclusion=tuple(_known(lambda: result.conclusion)[0] or _plain_conclusion(result, best)),
        credible=tuple(_known(lambda: result.credible)[0] or ()),
        findings=_known(lambda: tuple(result.findings))[0],
        labels={trial.number: label(result.run, trial) for trial in result.trials},
    )


def facts_of(result: Record) -> Facts:
    """Everything that the report of a result shows."""
    run = result.run
    settings = tuple(varying(run.space))
    best = _known(lambda: result.best)[0]
    recommended, _ = _known(lambda: result.recommended)
    chosen = recommended or best
    estimates, no_estimate = _known(lambda: dict(result.estimates))
    interplay, no_interplay = _known(lambda: result.interplay())
    tests = _known(lambda: result.test_scores)[0] if run.test_scores or result.folder is None else None
    short = answer_of(result)
    return Facts(
        name=result.folder.name if result.folder is not None else "",
        objective=run.objective,
        direction=run.direction,
        task=run.task,
        table=result.table(everything=True),
        trials={trial.number: trial for trial in result.trials},
        labels=short.labels,
        settings=settings,
        best=best.number if best else None,
        recommended=recommended.number if recommended else None,
        credible=short.credible,
        conclusion=short.conclusion,
        history=result.history,
        probes=result.probes,
        best_epoch=lambda number: best_epoch(
            result.members(number), result.history(number), until_learnt="fold_rows" in run.data
        ),
        estimates={name: one for name, one in (estimates or {}).items() if one is not None and one.mean == one.mean},
        no_estimate=no_estimate,
        test_scores={} if tests is None else {str(name): float(value) for name, value in tests["test"].items()},
        kinds=_kinds(result),
        fitting=_known(lambda: _fitting(result))[0] or (),
        findings=short.findings,
        next_space=_known(lambda: result.next_space())[0] or "",
        interplay=interplay if interplay is not None and len(interplay) else None,
        no_interplay=no_interplay,
        marginals=_marginals(result, settings),
        trial_health=_trial_health(result),
        references=_known(lambda: result.references)[0],
        layers=_layers(result, chosen) if chosen else (),
        standardised=bool(run.data.get("standardised")),
        how=_how(result),
        notes=result.notes,
    )


def _known(get: Callable[[], Value]) -> tuple[Value | None, str]:
    """The value, or None and why there is none."""
    try:
        return get(), ""
    except UnituneError as error:
        log.debug("left out of the report", exc_info=True)
        return None, str(error)


def _plain_conclusion(result: Record, best: Trial | None) -> tuple[str, ...]:
    if best is None:
        return (f"All {len(result.trials):,} trials failed, so nothing can be recommended.",)
    score = best.scores[result.objective]
    named = label(result.run, best)
    return (
        f"Of {len(result.trials):,} trials, trial {best.number} ({named}) has the best {result.objective}: "
        f"{score.mean:.4g}{interval_text(score.low, score.high)}.",
        "This score is that of a winner, and so likely a little better than on new rows.",
    )


def _kinds(result: Record) -> Callable[[int], tuple[str, ...] | None]:
    """The kinds of findings about each trial."""
    judged, _ = _known(lambda: judge(result._evidence))
    judgable = () if judged is None else result._evidence.trials  # without trials that were stopped
    places = {trial.number: place for place, trial in enumerate(judgable)}

    def kinds(number: int) -> tuple[str, ...] | None:
        if judged is None or number not in places:
            return None
        return tuple(kind for kind, (_, found) in judged.items() if found[places[number]])

    return kinds


def _fitting(result: Record) -> tuple[int, ...]:
    """Numbers of the trials that fit well."""
    evidence = result._evidence
    return tuple(
        trial.number for trial, fits in zip(evidence.trials, fits_well(evidence).tolist(), strict=True) if fits
    )


def _marginals(result: Record, settings: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """The marginals of each hyperparameter of which the complete trials have several values."""
    found = {name: _known(lambda name=name: result.marginals(name))[0] for name in settings}  # type: ignore[misc]
    return {name: table for name, table in found.items() if table is not None}


def _trial_health(result: Record) -> pd.DataFrame | None:
    """What diagnosis judges each trial's activations by; None where nothing was measured."""
    evidence = result._evidence
    if not evidence.probes:
        return None
    return pd.DataFrame(
        {
            "trial": [trial.number for trial in evidence.trials],
            "dead_units": worst_layer(evidence, "dead_units")[0],
            "saturated": worst_layer(evidence, "saturated")[0],
            "gradient_flow": flow(evidence)[0],
        }
    )


def _layers(result: Record, trial: Trial) -> tuple[Layer, ...]:
    """The layers of a trial of the dense family; of a user's own model, those of the trained network."""
    run = result.run
    if "units" not in run.space.names and "units_1" not in run.space.names:
        return ()
    try:
        classes = run.data.get("classes")
        outputs = run.data.get("target")
        head = heads.head(
            run.task,
            n_classes=None if classes is None else len(classes),
            n_outputs=len(outputs) if isinstance(outputs, list | tuple) else 1,
        )
        blueprint = dense.blueprint(trial.configuration, head)
        n_features = n_features_of(blueprint, trial.n_parameters)
        return () if n_features is None else layers_of(blueprint, (n_features,))
    except (KeyError, ValueError, UnituneError):
        log.debug("the layers are not known", exc_info=True)
        return ()


def _how(result: Record) -> dict[str, dict[str, Any]]:
    run = result.run
    classes = run.data.get("classes")
    target = run.data.get("target")
    data: dict[str, Any] = {"rows": f"{run.data['n_rows']:,}", "task": run.task}
    if target:
        data["target"] = ", ".join(map(str, target)) if isinstance(target, list | tuple) else target
    if classes is not None:
        data["classes"] = ", ".join(map(str, classes[:12])) + (f" and {len(classes) - 12} more" if classes[12:] else "")
    columns = [str(column.get("name")) for column in run.data.get("schema", {}).get("columns", []) or []]
    if columns:
        data["columns"] = ", ".join(columns[:40]) + (f" and {len(columns) - 40} more" if columns[40:] else "")
    data["fingerprint"] = run.data.get("fingerprint", "")
    engines: dict[str, int] = {}
    for trial in result.trials:
        engines[trial.engine] = engines.get(trial.engine, 0) + run.folds["n_folds"] * run.folds["repeats"]
    return {
        "Data": data,
        "Evaluation": {
            "rows were split": run.folds["kind"],
            "objective": f"{run.objective}, to {run.direction}",
            "also scored": ", ".join(name for name in run.metrics if name != run.objective),
        },
        "Plan": {
            "strategy": run.strategy,
            "trials": f"{len(result.trials):,}",
            "networks trained": ", ".join(f"{n:,} {name}" for name, n in engines.items()),
            "seed": run.seed,
        },
        "Space": {axis_name(h.name): domain_text(run.space, h.name) for h in run.space},
        "Time": {phase: seconds(value) for phase, value in run.elapsed_s.items()},
        "Versions": dict(run.versions),
        "Command": {"": run.command} if run.command else {},
    }


def domain_text(space: Space, name: str, *, none: str = "default") -> str:
    """The values that a hyperparameter could take; `none` stands for the value None."""
    domain = space[name].domain
    if domain.size <= 24:
        return ", ".join(setting(space.label(name, value)) or none for value in domain.values())
    low, high = domain.edges() or ("", "")
    return f"{setting(low)} to {setting(high)}" + (", logarithmic" if getattr(domain, "log", False) else "")
