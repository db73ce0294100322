"""Strategies: they propose configurations and learn from finished trials."""

from unitune.search.base import COSTS, Change, Goal, Strategy, objective_value
from unitune.search.choose import STRATEGIES, Given, choose, make_strategy
from unitune.search.given import Enqueued, completed, value_in
from unitune.search.grid import Grid
from unitune.search.halving import Halving, Hyperband, Place
from unitune.search.one_at_a_time import OneAtATime
from unitune.search.qmc import Qmc
from unitune.search.racing import Racing
from unitune.search.random import Random

__all__ = [
    "COSTS",
    "STRATEGIES",
    "Change",
    "Enqueued",
    "Given",
    "Goal",
    "Grid",
    "Halving",
    "Hyperband",
    "OneAtATime",
    "Place",
    "Qmc",
    "Racing",
    "Random",
    "Strategy",
    "choose",
    "completed",
    "make_strategy",
    "objective_value",
    "value_in",
]
