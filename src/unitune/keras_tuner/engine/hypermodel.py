"""`HyperModel`, by KerasTuner's import path."""

from unitune.adoption.hypermodel import HyperModel

__all__ = ["HyperModel"]
