"""Unitune tunes Keras networks: units, activations and what interplays with them, and says how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unitune.errors import (
    DataError,
    FusionError,
    InputError,
    OptionError,
    RunFolderError,
    SaveError,
    SpaceError,
    TrainingError,
    UnituneError,
)

if TYPE_CHECKING:
    from unitune.adoption.hypermodel import HyperModel
    from unitune.engine.lift import register_lift
    from unitune.execution.ray import Ray
    from unitune.keras_tuner import BayesianOptimization, GridSearch, Hyperband, Objective, RandomSearch
    from unitune.report.progress import Listener
    from unitune.result import Result, load
    from unitune.result.export import export
    from unitune.space import Choice, Fixed, Float, Int
    from unitune.space.hyperparameters import HyperParameters
    from unitune.tuner import compare, resume, tune, verify

__all__ = [
    "BayesianOptimization",
    "Choice",
    "DataError",
    "Fixed",
    "Float",
    "FusionError",
    "GridSearch",
    "HyperModel",
    "HyperParameters",
    "Hyperband",
    "InputError",
    "Int",
    "Listener",
    "Objective",
    "OptionError",
    "RandomSearch",
    "Ray",
    "Result",
    "RunFolderError",
    "SaveError",
    "SpaceError",
    "TrainingError",
    "UnituneError",
    "compare",
    "export",
    "load",
    "register_lift",
    "resume",
    "tune",
    "verify",
]

_HOMES = {
    "RandomSearch": "unitune.keras_tuner",
    "Objective": "unitune.keras_tuner",
    "Hyperband": "unitune.keras_tuner",
    "HyperParameters": "unitune.space.hyperparameters",
    "HyperModel": "unitune.adoption.hypermodel",
    "GridSearch": "unitune.keras_tuner",
    "BayesianOptimization": "unitune.keras_tuner",
    "Choice": "unitune.space",
    "Fixed": "unitune.space",
    "Float": "unitune.space",
    "Int": "unitune.space",
    "Listener": "unitune.report.progress",
    "Ray": "unitune.execution.ray",
    "Result": "unitune.result",
    "export": "unitune.result.export",
    "load": "unitune.result",
    "register_lift": "unitune.engine.lift",
    "compare": "unitune.tuner",
    "resume": "unitune.tuner",
    "tune": "unitune.tuner",
    "verify": "unitune.tuner",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are used, so that `import unitune` is quick."""
    if name == "__version__":
        from importlib.metadata import version

        return version("unitune")
    if name not in _HOMES:
        raise AttributeError(f"module 'unitune' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "__doc__", "__name__", "__all__"])
