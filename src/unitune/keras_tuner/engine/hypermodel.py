"""`HyperModel`, by KerasTuner's import path."""

from unitune.tuner.hypermodel import HyperModel

__all__ = ["HyperModel"]
