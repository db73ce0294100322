"""What a user may say: the options of `tune` and `compare`, each declared once, with its range and its words."""

from unitune.options.base import Options, description_of, flags_of, takes
from unitune.options.calls import CompareOptions, TuneOptions
from unitune.options.evaluation import EvaluationOptions
from unitune.options.flags import AtLeast, Flag
from unitune.options.rows import RowOptions
from unitune.options.run import RunOptions
from unitune.options.search import Budget, SearchOptions, TrainingOptions
from unitune.options.space import SPACE, SpaceOptions

__all__ = [
    "SPACE",
    "AtLeast",
    "Budget",
    "CompareOptions",
    "EvaluationOptions",
    "Flag",
    "Options",
    "RowOptions",
    "RunOptions",
    "SearchOptions",
    "SpaceOptions",
    "TrainingOptions",
    "TuneOptions",
    "description_of",
    "flags_of",
    "takes",
]
