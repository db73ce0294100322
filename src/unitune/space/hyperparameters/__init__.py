"""Hyperparameters that a function asks for while it builds a model: KerasTuner's interface, free of any framework.

`HyperParameters` is what `build_model(hp)` receives. What it holds is also a `unitune.space.Space` (`as_space`).
"""

from unitune.space.hyperparameters.conditions import Parent
from unitune.space.hyperparameters.container import HyperParameters
from unitune.space.hyperparameters.hyperparameter import HyperParameter
from unitune.space.hyperparameters.kinds import Boolean, Choice, Fixed, Float, Int

__all__ = ["Boolean", "Choice", "Fixed", "Float", "HyperParameter", "HyperParameters", "Int", "Parent"]
