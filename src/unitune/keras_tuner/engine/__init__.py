"""What a search consists of, by KerasTuner's import paths."""

import unitune.keras_tuner.engine.base_tuner as base_tuner
import unitune.keras_tuner.engine.conditions as conditions
import unitune.keras_tuner.engine.hypermodel as hypermodel
import unitune.keras_tuner.engine.hyperparameters as hyperparameters
import unitune.keras_tuner.engine.metrics_tracking as metrics_tracking
import unitune.keras_tuner.engine.multi_execution_tuner as multi_execution_tuner
import unitune.keras_tuner.engine.objective as objective
import unitune.keras_tuner.engine.oracle as oracle
import unitune.keras_tuner.engine.trial as trial
import unitune.keras_tuner.engine.tuner as tuner
import unitune.keras_tuner.engine.tuner_utils as tuner_utils

__all__ = [
    "base_tuner",
    "conditions",
    "hypermodel",
    "hyperparameters",
    "metrics_tracking",
    "multi_execution_tuner",
    "objective",
    "oracle",
    "trial",
    "tuner",
    "tuner_utils",
]
