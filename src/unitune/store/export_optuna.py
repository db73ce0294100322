"""A run as a study of Optuna: distributions, values, intermediate values, attributes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from unitune.errors import OptionError
from unitune.records import Trial, counted
from unitune.space import Choice, Float, Int, Space
from unitune.store.export import Exported, attributes, objective_curve
from unitune.store.run import varying

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each hyperparameter that varies. Lists of values are categories."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name in varying(space):
        domain = space[name].domain
        if isinstance(domain, Float) and domain.size == math.inf:
            found[name] = FloatDistribution(domain.low, domain.high, log=domain.log)
        elif isinstance(domain, Int) and (domain.step is None or not domain.log):
            values = domain.values() if domain.step is not None else (domain.low, domain.high)
            found[name] = IntDistribution(values[0], values[-1], log=domain.log, step=domain.step or 1)
        else:
            options = domain.options if isinstance(domain, Choice) else domain.values()
            found[name] = CategoricalDistribution([space.label(name, option) for option in options])
    return found


def frozen_trial(
    trial: Trial,
    exported: Exported,
    known: Mapping[str, BaseDistribution],
    curve: pd.DataFrame | None,
    start: datetime,
) -> FrozenTrial:
    """A trial as Optuna has it."""
    from optuna.trial import TrialState, create_trial

    run = exported.run
    labels = run.space.labels(trial.configuration)
    params = {name: value for name, value in labels.items() if name in known}
    fixed = {name: value for name, value in labels.items() if name not in known}
    intermediate: dict[int, float] = {}
    attrs: dict[str, Any] = {**attributes(trial), "number in Unitune": trial.number}
    if fixed:
        attrs["fixed"] = fixed
    if curve is not None:
        name, values = objective_curve(curve, run.objective)
        intermediate = {int(epoch): float(value) for epoch, value in values.items() if math.isfinite(value)}
        attrs["intermediate values"] = f"validation {name} after each epoch, the mean of the folds"
    states = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}
    complete = trial.state == "complete"
    made = create_trial(
        state=states.get(trial.state, TrialState.PRUNED),
        value=trial.scores[run.objective].mean if complete else None,
        params=params,
        distributions={name: known[name] for name in params},
        user_attrs=attrs,
        intermediate_values=intermediate,
    )
    made.datetime_start = start
    made.datetime_complete = start + timedelta(seconds=trial.elapsed_s)
    return made


def frozen_trials(exported: Exported, numbers: Sequence[int] | None = None) -> list[FrozenTrial]:
    """The trials of a run as Optuna has them, in the order of their numbers.

    Args:
        exported: The run.
        numbers: Only these; all if not given.
    """
    known, curves, start = distributions(exported.run.space), exported.curves(), datetime.now()
    wanted = None if numbers is None else set(numbers)
    return [
        frozen_trial(trial, exported, known, curves.get(trial.number), start)
        for trial in exported.trials
        if wanted is None or trial.number in wanted
    ]


def describe(study: Study, exported: Exported) -> None:
    """Sets what a study tells of itself."""
    run = exported.run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls it experimental
        study.set_metric_names([run.objective])
    told = {
        "unitune": run.versions.get("unitune", ""),
        "strategy": run.strategy,
        "evaluation": run.folds.get("kind", ""),
        "seed": run.seed,
        "data": run.data.get("fingerprint", ""),
        "command": run.command,
    }
    for name, value in told.items():
        study.set_user_attr(name, value)


def export_optuna(exported: Exported, url: str) -> str:
    """Writes a run as a study into a storage of Optuna.

    Args:
        exported: The run; its name is the study's.
        url: Of a database (`sqlite:///study.db`, `postgresql+psycopg://...`), or the path of a journal file (`*.log`).

    Returns:
        What was written, as a sentence.

    Raises:
        OptionError: Optuna is not installed, the storage cannot be opened, or holds a study of that name.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise OptionError(
            "Exporting to Optuna needs Optuna", "it is not installed", "pip install 'unitune[dashboard]'"
        ) from None
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(study_name=exported.name, storage=_storage(url), direction=exported.run.direction)
        describe(study, exported)
        study.add_trials(frozen_trials(exported))
    except optuna.exceptions.DuplicatedStudyError:
        raise OptionError(
            "A study is never overwritten", f"the storage has one named `{exported.name}`", "Export to another storage."
        ) from None
    finally:
        optuna.logging.set_verbosity(before)
    return f"{counted(len(exported.trials), 'trial')} as the study `{exported.name}` in {url}"


def _storage(url: str) -> BaseStorage:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" not in url:
        if not url.endswith(".log"):
            raise OptionError(
                "Optuna's storage must be a URL, or a journal file that ends with `.log`",
                f"got `{url}`",
                "For example `sqlite:///study.db`.",
            )
        return JournalStorage(JournalFileBackend(url))
    try:
        return RDBStorage(url)
    except Exception as error:  # of SQLAlchemy, of a driver, or an import
        first = (str(error).strip().splitlines() or [""])[0]
        raise OptionError("Optuna's storage must be within reach", f"`{url}` is not ({first})") from error
