"""A run as an experiment of MLflow: a run of MLflow for each trial."""

from __future__ import annotations

import math
import re
import time
from typing import Any

from unitune.errors import OptionError, SaveError
from unitune.records import counted
from unitune.store.export import Exported

METRICS_AT_ONCE = 1_000  # MLflow takes no more in one call
PARAMS_AT_ONCE = 100
TEXT = 5_000  # characters of a tag, in every version
STATUS = {"complete": "FINISHED", "stopped": "KILLED"}


def export_mlflow(exported: Exported, uri: str) -> str:
    """Writes an experiment: parameters, scores, and the mean learning curves of each trial.

    Args:
        exported: The run; its name is the experiment's.
        uri: Of the tracking server or its database: `http://host:5000`, `sqlite:///mlflow.db`.

    Returns:
        What was written, as a sentence.

    Raises:
        OptionError: MLflow is not installed, has an experiment of that name, or does not take the place.
        SaveError: MLflow stopped answering on the way.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError:
        raise OptionError("Exporting to MLflow needs MLflow", "it is not installed", "pip install mlflow") from None
    try:
        client = MlflowClient(tracking_uri=uri)
        taken = client.get_experiment_by_name(exported.name) is not None
    except (MlflowException, ModuleNotFoundError) as error:  # a folder, a server that does not answer, a missing driver
        raise OptionError(
            "`mlflow` needs a place that MLflow takes", f"`{uri}`: {error}", "For example `sqlite:///mlflow.db`."
        ) from error
    if taken:
        raise OptionError(
            "An experiment is never overwritten", f"MLflow has one named `{exported.name}`", "Rename it there."
        )
    try:
        _write(exported, client)
    except MlflowException as error:
        raise SaveError(
            f"MLflow did not take all of the run: {error}. The experiment `{exported.name}` in {uri} is not whole: "
            "delete it there, and export again."
        ) from error
    return f"{counted(len(exported.trials), 'trial')} as the experiment `{exported.name}` in {uri}"


def _write(exported: Exported, client: Any) -> None:
    from mlflow.entities import Metric, Param, RunTag

    experiment = client.create_experiment(exported.name)
    curves, space, now = exported.curves(), exported.run.space, int(time.time() * 1000)
    for trial in exported.trials:
        run = client.create_run(experiment, run_name=f"trial {trial.number}").info.run_id
        metrics = [
            Metric(_name(name), score.mean, now, 0) for name, score in trial.scores.items() if math.isfinite(score.mean)
        ]
        for name, values in curves.get(trial.number, {}).items():
            metrics += [Metric(_name(name), float(value), now, int(epoch)) for epoch, value in values.dropna().items()]
        params = [Param(_name(name), str(value)) for name, value in space.labels(trial.configuration).items()]
        tags = [RunTag("unitune.trial", str(trial.number)), RunTag("unitune.engine", trial.engine)]
        if trial.failure:
            tags.append(RunTag("unitune.failure", trial.failure[:TEXT]))
        client.log_batch(run, tags=tags)
        for start in range(0, len(params), PARAMS_AT_ONCE):
            client.log_batch(run, params=params[start : start + PARAMS_AT_ONCE])
        for start in range(0, len(metrics), METRICS_AT_ONCE):
            client.log_batch(run, metrics=metrics[start : start + METRICS_AT_ONCE])
        client.set_terminated(run, STATUS.get(trial.state, "FAILED"))


def _name(name: str) -> str:
    """As MLflow takes names: letters, digits, and `_-./ `."""
    return re.sub(r"[^\w\-./ ]", "_", name)
