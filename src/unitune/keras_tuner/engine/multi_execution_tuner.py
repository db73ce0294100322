"""`MultiExecutionTuner`, by KerasTuner's older import path: every `Tuner` trains a trial as often as is asked for."""

from unitune.keras_tuner.engine.tuner import Tuner as MultiExecutionTuner

__all__ = ["MultiExecutionTuner"]
