"""Conditions, by KerasTuner's import path."""

from __future__ import annotations

from typing import Any

from unitune.space.hyperparameters import conditions


class Parent(conditions.Parent):
    """Active only where another hyperparameter has one of these values: numbers, text or booleans."""

    def __init__(self, name: str, values: Any) -> None:
        super().__init__(name, values)
        for value in self.values:
            if not isinstance(value, int | float | str):
                raise TypeError(f"Can contain only numbers, text or booleans, but got {value!r}.")
