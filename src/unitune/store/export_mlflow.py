"""A run as an experiment of MLflow: a run of MLflow for each trial."""

from __future__ import annotations

import math
import time

from unitune.errors import OptionError
from unitune.store.export import Exported

METRICS_AT_ONCE = 1_000  # MLflow takes no more in one call


def export_mlflow(exported: Exported, uri: str) -> str:
    """Writes an experiment: parameters, scores, and the mean learning curves of each trial.

    Args:
        exported: The run; its name is the experiment's.
        uri: Of the tracking server or folder: `http://host:5000`, `sqlite:///mlflow.db`.

    Returns:
        What was written, as a sentence.

    Raises:
        OptionError: MLflow is not installed, or has an experiment of that name.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag
    except ModuleNotFoundError:
        raise OptionError("Exporting to MLflow needs MLflow", "it is not installed", "pip install mlflow") from None
    client = MlflowClient(tracking_uri=uri)
    if client.get_experiment_by_name(exported.name) is not None:
        raise OptionError(
            "An experiment is never overwritten", f"MLflow has one named `{exported.name}`", "Rename it there."
        )
    experiment = client.create_experiment(exported.name)
    curves, space, now = exported.curves(), exported.run.space, int(time.time() * 1000)
    for trial in exported.trials:
        run = client.create_run(experiment, run_name=f"trial {trial.number}").info.run_id
        metrics = [
            Metric(name, score.mean, now, 0) for name, score in trial.scores.items() if math.isfinite(score.mean)
        ]
        for name, values in curves.get(trial.number, {}).items():
            metrics += [Metric(name, float(value), now, int(epoch)) for epoch, value in values.dropna().items()]
        params = [Param(name, str(value)) for name, value in space.labels(trial.configuration).items()]
        tags = [RunTag("unitune.trial", str(trial.number)), RunTag("unitune.engine", trial.engine)]
        if trial.failure:
            tags.append(RunTag("unitune.failure", trial.failure))
        client.log_batch(run, metrics=metrics[:METRICS_AT_ONCE], params=params, tags=tags)
        for start in range(METRICS_AT_ONCE, len(metrics), METRICS_AT_ONCE):
            client.log_batch(run, metrics=metrics[start : start + METRICS_AT_ONCE])
        client.set_terminated(run, "FINISHED" if trial.state == "complete" else "FAILED")
    return f"{len(exported.trials):,} trials as the experiment `{exported.name}` in {uri}"
